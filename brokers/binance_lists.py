"""Orders that belong together: brackets, and pairs of which one cancels the other.

A pair of a limit and a stop is Binance's own order list, and rests there. The children of a bracket are placed, as
such a pair, as soon as their parent has filled anything, for what it has filled, and again whenever it fills more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from brokers.binance_book import BinanceBook
from brokers.binance_desk import BinanceDesk
from brokers.binance_link import BinanceLink, Refused
from brokers.binance_orders import LIVE_TYPES, REACHED, BinanceOrder, Pair, Stage, price_params
from core.errors import OrderRejected, OutcomeUnknown
from core.telemetry import get_logger
from core.types import OrderStatus, OrderType, Side

PAIRED = 2

log = get_logger("brokers.binance")


class BinanceLists:
    """Acts on orders that are linked."""

    def __init__(self, link: BinanceLink, book: BinanceBook, desk: BinanceDesk) -> None:
        self._link = link
        self._book = book
        self._desk = desk

    async def join(self, order: BinanceOrder, partner: BinanceOrder) -> None:
        """Place an order as one of a pair whose other one rests alone: both end in one list at Binance."""
        if not can_pair(order, partner) or partner.list_id:
            raise OrderRejected("Binance pairs one limit and one stop of the same side", rule="oco")
        if partner.stage is not Stage.KNOWN or partner.traded or not partner.live:
            raise OrderRejected(f"order {partner.client_id} can no longer be paired", rule="oco")
        quantity = min(order.quantity, partner.quantity)
        again = replace(partner, generation=partner.generation + 1, order_id=0, quantity=quantity)
        self._book.keep(replace(partner, pending=again.generation))
        about = {"symbol": partner.native, "orderId": str(partner.order_id), "cancelRestrictions": "ONLY_NEW"}
        try:
            await self._link.send("privateDeleteOrder", about)
        except (Refused, OutcomeUnknown) as failure:
            self._book.keep(replace(self._order(partner), pending=0))
            await self._desk.look(self._order(partner))
            raise OrderRejected(
                f"order {partner.client_id} could not be paired: {failure}", rule="oco"
            ) from failure
        try:
            await self._place_pair(replace(again, pending=0), replace(order, quantity=quantity))
        except OrderRejected:
            await self._desk.place(replace(again, generation=again.generation + 1, quantity=partner.quantity))
            raise

    async def protect(self, parent: BinanceOrder) -> None:
        """Let the children of a bracket follow what their parent has filled."""
        children = [
            o for o in self._book.live() if o.intent.parent == parent.client_id and o.stage is not Stage.HELD
        ]
        if not children:
            return
        if not parent.received:
            if parent.status.terminal:
                for child in children:
                    self._book.ended(child, OrderStatus.CANCELLED, _time(parent), "its parent ended")
            return
        pair = self._book.pairs[parent.native]
        wanted = {child.client_id: pair.lots(min(child.size, parent.received)) for child in children}
        waiting = [child for child in children if child.stage is Stage.WAITING]
        if waiting:
            await self._place_children([replace(c, quantity=wanted[c.client_id]) for c in waiting], pair)
        elif any(child.quantity < wanted[child.client_id] for child in children):
            await self._enlarge(children, wanted, pair)

    async def _place_children(self, children: Sequence[BinanceOrder], pair: Pair) -> None:
        least = pair.instrument.min_notional or Decimal(0)
        for child in children:
            if child.quantity * (child.price or child.intent.reference_price) < least:
                log.warning("order.too_small_yet", client_id=child.client_id, size=child.quantity)
                return
        if len(children) == PAIRED and can_pair(*children):
            await self._place_pair_or_stop(children[0], children[1])
            return
        for child in children:
            await self._place_alone(child)

    async def _enlarge(
        self, children: Sequence[BinanceOrder], wanted: dict[str, Decimal], pair: Pair
    ) -> None:
        """The parent has filled more: cancel what protects the part, and protect the whole."""
        if any(child.traded for child in children):
            return
        renewed = [
            replace(c, generation=c.generation + 1, order_id=0, list_id=0, quantity=wanted[c.client_id])
            for c in children
        ]
        for child, again in zip(children, renewed, strict=True):
            self._book.keep(replace(child, pending=again.generation))
        first = children[0]
        try:
            await self._link.send(
                "privateDeleteOrder", {"symbol": first.native, "orderId": str(first.order_id)}
            )
        except (Refused, OutcomeUnknown):
            for child in children:
                self._book.keep(replace(self._order(child), pending=0))
                await self._desk.look(self._order(child))
            return
        await self._place_children([replace(again, pending=0) for again in renewed], pair)

    async def _place_pair_or_stop(self, one: BinanceOrder, other: BinanceOrder) -> None:
        """A pair that Binance refuses, because the market is there already, becomes its stop alone."""
        try:
            await self._place_pair(one, other)
        except OrderRejected as refusal:
            stop, limit = (one, other) if one.intent.type in REACHED else (other, one)
            self._book.ended(
                replace(limit, stage=Stage.KNOWN), OrderStatus.CANCELLED, _time(limit), refusal.message
            )
            await self._place_alone(stop)

    async def _place_alone(self, order: BinanceOrder) -> None:
        try:
            await self._desk.place(order)
        except OrderRejected as refusal:
            log.error("order.unprotected", client_id=order.client_id, reason=refusal.message)
            self._book.ended(
                replace(order, stage=Stage.KNOWN), OrderStatus.REJECTED, _time(order), refusal.message
            )

    async def _place_pair(self, one: BinanceOrder, other: BinanceOrder) -> None:
        """Send a pair once. Raises OrderRejected, and leaves both as they were, when Binance refuses it."""
        pair = self._book.pairs[one.native]
        orders = [self._desk.sent(one), self._desk.sent(other)]
        try:
            answer = await self._link.send("privatePostOrderListOco", pair_params(orders[0], orders[1], pair))
        except Refused as refusal:
            raise OrderRejected(f"Binance: {refusal.text}", rule="venue") from refusal
        except OutcomeUnknown:
            for order in orders:
                await self._desk.settle(order)
            return
        for report in answer["orderReports"]:
            owner = self._book.owner(one.native, int(report["orderId"]), report["clientOrderId"])
            if owner is not None:
                await self._desk.take(owner.client_id, report)

    def _order(self, order: BinanceOrder) -> BinanceOrder:
        return self._book.order(order.client_id) or order


def can_pair(one: BinanceOrder, other: BinanceOrder) -> bool:
    """Whether Binance takes the two as a list: a limit and a stop, same symbol and side."""
    kinds = {one.intent.type is OrderType.LIMIT, other.intent.type is OrderType.LIMIT}
    stops = one.intent.type in REACHED or other.intent.type in REACHED
    return (
        stops and len(kinds) == PAIRED and (one.native, one.intent.side) == (other.native, other.intent.side)
    )


def pair_params(one: BinanceOrder, other: BinanceOrder, pair: Pair) -> dict[str, str]:
    """The parameters that place two orders as a list."""
    limit, stop = (one, other) if one.intent.type is OrderType.LIMIT else (other, one)
    above, below = (limit, stop) if limit.intent.side is Side.SELL else (stop, limit)
    params = {
        "symbol": pair.native,
        "side": limit.intent.side.value.upper(),
        "quantity": f"{min(one.remaining, other.remaining):f}",
        "listClientOrderId": f"{limit.sent_id()}.l",
        "newOrderRespType": "RESULT",
    }
    for leg, order in (("above", above), ("below", below)):
        maker = order is limit
        params[f"{leg}Type"] = "LIMIT_MAKER" if maker else LIVE_TYPES[order.intent.type]
        params[f"{leg}ClientOrderId"] = order.sent_id()
        for name, value in price_params(order, pair, order.intent.type).items():
            if not (maker and name == "timeInForce"):
                params[f"{leg}{name[0].upper()}{name[1:]}"] = value
    return params


def _time(order: BinanceOrder) -> int:
    return int(order.sent_at * 1000)
