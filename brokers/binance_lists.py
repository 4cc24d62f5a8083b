"""Orders that belong together: brackets, and pairs of which one cancels the other.

A pair of a limit and a stop is Binance's own order list, and rests there. The children of a bracket are placed, as
such a pair, as soon as their parent has filled anything, for what it has filled, and again whenever it fills more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from brokers.binance_book import BinanceBook
from brokers.binance_desk import BinanceDesk
from brokers.binance_link import BinanceLink, Priority, Refused
from brokers.binance_orders import LIVE_TYPES, REACHED, BinanceOrder, Pair, Stage, price_params
from core.errors import OrderRejected, OutcomeUnknown
from core.telemetry import get_logger
from core.types import OrderStatus, OrderType, Side

PAIRED = 2
PLACE_ATTEMPTS = WITHDRAW_ATTEMPTS = 3

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
        whole, quantity = partner.quantity, min(order.quantity, partner.quantity)
        if not await self._withdraw([partner]):
            raise OrderRejected(f"order {partner.client_id} could not be paired", rule="oco")
        partner = replace(self._order(partner), quantity=quantity)
        try:
            await self._place_pair(partner, replace(order, quantity=quantity))
        except OrderRejected:
            await self.place_alone(replace(self._order(partner), quantity=whole))
            raise
        if self._order(order).stage is Stage.ABSENT:
            raise OutcomeUnknown(f"order {order.client_id} was lost on its way")

    async def protect(self, parent: BinanceOrder) -> None:
        """Let the children of a bracket follow what their parent has filled."""
        children = self._children(parent)
        if not children or self._undecided(parent):
            return
        if not parent.received:
            if parent.status.terminal:
                for child in children:
                    self._book.ended(child, OrderStatus.CANCELLED, _time(parent), "its parent ended")
            return
        pair = self._book.pairs[parent.native]
        wanted = {child.client_id: pair.lots(min(child.size, parent.received)) for child in children}
        await self._make_way(parent, wanted)
        for _ in range(PLACE_ATTEMPTS):
            waiting = self._children(parent)
            if any(child.stage is not Stage.WAITING for child in waiting):
                return
            resized = [replace(child, quantity=wanted[child.client_id]) for child in waiting]
            if not resized or too_small(resized, pair):
                return
            await self._place_children(resized)
        log.error("order.unprotected", client_id=parent.client_id, size=parent.received)

    async def _make_way(self, parent: BinanceOrder, wanted: Mapping[str, Decimal]) -> None:
        """Withdraw children that rest for less than is wanted, or without one another; a lost cancel is repeated.

        One that is alone is replaced instead: Binance carries out the cancel and the new order together.
        """
        for _ in range(WITHDRAW_ATTEMPTS):
            children = self._children(parent)
            resting = [child for child in children if child.stage is Stage.KNOWN]
            short = any(child.quantity < wanted[child.client_id] for child in resting)
            if not (short or 0 < len(resting) < len(children)):
                return
            if len(children) == 1 and replaceable(resting[0]):
                grown = replace(resting[0], quantity=wanted[resting[0].client_id])
                done = await self._desk.change(resting[0], grown)
            else:
                done = await self._withdraw(resting)
            if done:
                return

    def _undecided(self, parent: BinanceOrder) -> bool:
        """Whether a child is still to be released, or on its way: placed one by one, two would both be filled."""
        siblings = [o for o in self._book.live() if o.intent.parent == parent.client_id]
        return any(order.stage in (Stage.HELD, Stage.SENT) for order in siblings)

    def _children(self, parent: BinanceOrder) -> list[BinanceOrder]:
        return [
            o for o in self._book.live() if o.intent.parent == parent.client_id and o.stage is not Stage.HELD
        ]

    async def _place_children(self, children: Sequence[BinanceOrder]) -> None:
        if len(children) == PAIRED and can_pair(*children):
            await self._place_pair_or_stop(children[0], children[1])
            return
        for child in children:
            await self.place_alone(child)

    async def _withdraw(self, orders: Sequence[BinanceOrder]) -> bool:
        """Take orders off the market (one of a list takes its list), to be placed anew; False when it was too late."""
        for order in orders:
            self._book.keep(replace(order, pending=order.generation + 1, sent_at=self._link.seconds()))
        first = orders[0]
        about = {"symbol": first.native, "orderId": str(first.order_id)}
        try:
            answer = await self._link.send("privateDeleteOrder", about, Priority.CANCEL)
        except (Refused, OutcomeUnknown):
            for order in orders:
                await self._desk.look(self._order(order))
            return False
        for report in answer.get("orderReports", [answer]):
            await self._desk.withdrawn(report)
        return True

    async def _place_pair_or_stop(self, one: BinanceOrder, other: BinanceOrder) -> None:
        """A pair that Binance refuses, because the market is there already, becomes its stop alone."""
        try:
            await self._place_pair(one, other)
        except OrderRejected as refusal:
            stop, limit = (one, other) if one.intent.type in REACHED else (other, one)
            self._book.ended(
                replace(limit, stage=Stage.KNOWN), OrderStatus.CANCELLED, _time(limit), refusal.message
            )
            await self.place_alone(stop)

    async def place_alone(self, order: BinanceOrder) -> None:
        """Place an order that was told before; that Binance refuses it is told as its end."""
        try:
            await self._desk.place(order)
        except OutcomeUnknown:
            await self._desk.settle(self._order(order))
        except OrderRejected as refusal:
            log.error("order.unprotected", client_id=order.client_id, reason=refusal.message)
            known = replace(self._order(order), stage=Stage.KNOWN)
            end = OrderStatus.CANCELLED if known.traded else OrderStatus.REJECTED
            self._book.ended(known, end, _time(known), refusal.message)

    async def _place_pair(self, one: BinanceOrder, other: BinanceOrder) -> None:
        """Send a pair once. Raises OrderRejected when Binance refuses it; one that was lost waits again."""
        pair = self._book.pairs[one.native]
        orders = [self._desk.sent(one), self._desk.sent(other)]
        try:
            answer = await self._link.send("privatePostOrderListOco", pair_params(orders[0], orders[1], pair))
        except Refused as refusal:
            raise OrderRejected(f"Binance: {refusal.text}", rule="venue") from refusal
        except OutcomeUnknown:
            for order in orders:
                await self._desk.settle(self._order(order))
            return
        for report in answer["orderReports"]:
            owner = self._book.owner(one.native, int(report["orderId"]), report["clientOrderId"])
            if owner is not None:
                await self._desk.take(owner.client_id, report)

    def _order(self, order: BinanceOrder) -> BinanceOrder:
        return self._book.order(order.client_id) or order


def too_small(orders: Sequence[BinanceOrder], pair: Pair) -> bool:
    """Whether Binance would not take these orders yet: they are worth too little."""
    least = pair.instrument.min_notional or Decimal(0)
    small = [o for o in orders if o.remaining * (o.price or o.intent.reference_price) < least]
    for order in small:
        log.warning("order.too_small_yet", client_id=order.client_id, size=order.remaining)
    return bool(small)


def can_pair(one: BinanceOrder, other: BinanceOrder) -> bool:
    """Whether Binance takes the two as a list: a limit and a stop, same symbol and side."""
    kinds = {one.intent.type is OrderType.LIMIT, other.intent.type is OrderType.LIMIT}
    stops = one.intent.type in REACHED or other.intent.type in REACHED
    return (
        stops and len(kinds) == PAIRED and (one.native, one.intent.side) == (other.native, other.intent.side)
    )


def replaceable(order: BinanceOrder) -> bool:
    """Whether Binance replaces the order in one request: not one of a list, nor what a part of has traded."""
    return not order.list_id and order.status is OrderStatus.ACCEPTED


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
