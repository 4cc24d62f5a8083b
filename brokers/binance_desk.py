"""How orders reach Binance, are changed and cancelled there, and how what is unknown is found out.

What is unknown is asked by the id it was sent with, until Binance has it or can no longer take it (`recv_window`);
only then may it be sent again. Lists of orders are in `binance_lists`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.binance_book import BinanceBook, outcome
from brokers.binance_link import BinanceLink, Priority, Refused
from brokers.binance_orders import (
    REACHED,
    BinanceOrder,
    Stage,
    Trade,
    order_params,
    terms_of,
    told_terms,
)
from core.errors import InconsistentState, OrderRejected, OutcomeUnknown, TradingError, VenueTransient
from core.telemetry import get_logger
from core.types import OrderStatus, OrderType, Side

MARGIN_SECONDS = 0.5
CANCEL_ATTEMPTS = 3
PAGE = 1000
NO_SUCH_ORDER, UNKNOWN_ORDER, NEW_REFUSED = -2013, -2011, -2021
DUPLICATE, INSUFFICIENT, REACHED_TEXT = "Duplicate order", "insufficient balance", "trigger immediately"
CROSSING, STEPS_BACK = "immediately match", 3
"""What Binance says of a post-only order that would take, and how often it is then offered again, each time behind."""

log = get_logger("brokers.binance")


class BinanceDesk:
    """Acts on single orders. Calls are made one after another by the venue."""

    def __init__(self, link: BinanceLink, book: BinanceBook) -> None:
        self._link = link
        self._book = book

    async def begin(self, natives: frozenset[str]) -> None:
        """Trades before this run's first connection are nobody's news: note where they end."""
        for native in sorted(natives - self._book.last_trade.keys()):
            rows = await self._link.read("privateGetMyTrades", {"symbol": native, "limit": "1"})
            newest = str(rows[-1]["id"]) if rows else "0"
            self._book.last_trade[native] = int(self._book.log.fact(f"trades:{native}", newest))

    # -- placing

    async def place(
        self, order: BinanceOrder, kind: OrderType | None = None, *, steps: int = STEPS_BACK
    ) -> BinanceOrder:
        """Send an order once. Raises OrderRejected when Binance refuses it, OutcomeUnknown when nobody knows.

        steps: how often a post-only order that was refused because it would take is offered again, further back.
        """
        order = self.sent(order)
        try:
            answer = await self._link.send(
                "privatePostOrder", order_params(order, self._book.pairs[order.native], kind)
            )
        except Refused as refusal:
            if steps and order.intent.post_only and CROSSING in refusal.text:
                return await self.place(await self._further_back(order), kind, steps=steps - 1)
            return await self._refused(order, refusal, kind)
        return await self.take(order.client_id, answer)

    async def _further_back(self, order: BinanceOrder) -> BinanceOrder:
        """A post-only order that would have taken, at the best price of its own side as it is now."""
        pair, price = self._book.pairs[order.native], order.price or order.intent.reference_price
        best = price
        with suppress(VenueTransient, Refused):
            told = await self._link.read("publicGetTickerBookTicker", {"symbol": order.native})
            best = Decimal(told["bidPrice" if order.intent.side is Side.BUY else "askPrice"])
        price = pair.behind(price, best, order.intent.side)
        log.info("order.behind", client_id=order.client_id, price=price)
        return replace(order, price=price)

    def sent(self, order: BinanceOrder) -> BinanceOrder:
        """Write down that an order is on its way."""
        order = replace(order, stage=Stage.SENT, sent_at=self._link.seconds())
        self._book.keep(order)
        return order

    async def take(self, client_id: str, answer: Mapping[str, Any]) -> BinanceOrder:
        """Take in what Binance says of the present generation of an order: its id, its trades, its end."""
        order = self._known(client_id)
        time = int(answer.get("transactTime") or answer.get("updateTime") or 0)
        order = replace(order, order_id=int(answer["orderId"]), list_id=max(int(answer["orderListId"]), 0))
        order = self._book.accepted(replace(order, stage=Stage.KNOWN), time)
        for fill in answer.get("fills", ()):
            order = self._book.trade(order, Trade.of_fill(fill, answer))
        return await self._conclude(order, answer, time)

    async def _refused(self, order: BinanceOrder, refusal: Refused, kind: OrderType | None) -> BinanceOrder:
        text = refusal.text
        if REACHED_TEXT in text and kind is None and order.intent.type in REACHED:
            return await self.place(order, REACHED[order.intent.type])
        if DUPLICATE in text:
            found = await self._look_up(order, order.sent_id())
            if found is not None:
                return await self.take(order.client_id, found)
        # One that was told before is its caller's to end: nobody may find it neither sent nor ended.
        if order.status is OrderStatus.INTENT:
            if INSUFFICIENT in text:
                return self._book.refused(order, OrderStatus.MARGIN, self._link.milliseconds(), text)
            self._book.forget(order)
        rule = "post_only" if order.intent.post_only and CROSSING in text else "venue"
        raise OrderRejected(f"Binance: {text}", rule=rule)

    # -- finding out

    async def settle(self, order: BinanceOrder) -> BinanceOrder | None:
        """What became of an order on its way; None once it is certain that Binance never took it.

        One that was told before (the child of a bracket, a change of a resting order) is put back in its place then.
        """
        found = await self._find(order, order.sent_id())
        if found is not None:
            return await self.take(order.client_id, found)
        order = self._known(order.client_id)
        if order.status is OrderStatus.INTENT:
            self._book.forget(order)
            return None
        return await self._restore(order)

    async def look(self, order: BinanceOrder) -> None:
        """Ask once about an order that was sent or lives at Binance, and take in the answer."""
        if order.pending:
            await self._resolve(order)
            return
        if order.stage is Stage.SENT and order.status is not OrderStatus.INTENT:
            await self.settle(order)
            return
        found = await self._look_up(order, order.sent_id())
        if found is not None:
            await self.take(order.client_id, found)
        elif order.stage is Stage.KNOWN:
            raise InconsistentState(
                f"Binance no longer knows order {order.client_id} ({order.order_id})",
                hint="look at the account's order history; a person decides",
            )

    async def read_trades(self, native: str) -> None:
        """Every trade of a symbol since the last one known; those of nobody we know are flagged."""
        while True:
            first = self._book.last_trade.get(native, 0) + 1
            rows = await self._link.read(
                "privateGetMyTrades", {"symbol": native, "fromId": str(first), "limit": str(PAGE)}
            )
            for row in rows:
                trade = Trade.of_row(row)
                order = self._book.owner(native, trade.order_id)
                if order is None:
                    side = Side.BUY if row["isBuyer"] else Side.SELL
                    self._book.note_external(native, side, trade, str(trade.order_id))
                else:
                    self._book.trade(order, trade)
            if len(rows) < PAGE:
                return

    async def _read_own_trades(self, order: BinanceOrder) -> BinanceOrder:
        """The trades of one generation of an order: what the stream may have lost."""
        rows = await self._link.read(
            "privateGetMyTrades", {"symbol": order.native, "orderId": str(order.order_id)}
        )
        for row in rows:
            order = self._book.trade(self._known(order.client_id), Trade.of_row(row))
        return order

    async def _conclude(self, order: BinanceOrder, answer: Mapping[str, Any], time: int) -> BinanceOrder:
        """Complete the trades an answer speaks of, then the end it speaks of."""
        status, executed = outcome(answer)
        if executed > order.traded - order.earlier:
            order = await self._read_own_trades(order)
        if status is not None:
            order = self._book.ended(self._known(order.client_id), status, time)
        return order

    async def _find(self, order: BinanceOrder, sent_id: str) -> Mapping[str, Any] | None:
        """An order by the id it was sent with, asked for until a request sent then can no longer take effect."""
        while True:
            found = await self._look_up(order, sent_id)
            left = self._seconds_left(order)
            if found is not None or left <= 0:
                return found
            await asyncio.sleep(left)

    async def _restore(self, order: BinanceOrder) -> BinanceOrder:
        """An order that was told as resting and rests no more, by our own doing: put it back.

        The child of a bracket waits to be placed with its sibling; any other is placed anew, once.
        """
        again = replace(
            order, generation=order.generation + 2, pending=0, order_id=0, list_id=0, earlier=order.traded
        )
        if order.intent.parent is not None:
            again = replace(again, stage=Stage.WAITING)
            self._book.keep(again)
            return again
        log.error("order.restored", client_id=order.client_id)
        try:
            return await self.place(again)
        except OutcomeUnknown as doubt:
            found = await self._find(self._known(order.client_id), again.sent_id())
            if found is not None:
                return await self.take(order.client_id, found)
            failure: TradingError = doubt
        except OrderRejected as refusal:
            failure = refusal
        known = replace(self._known(order.client_id), stage=Stage.KNOWN)
        return self._book.ended(known, OrderStatus.CANCELLED, self._link.milliseconds(), failure.message)

    async def _look_up(self, order: BinanceOrder, sent_id: str) -> Mapping[str, Any] | None:
        asked = {"symbol": order.native, "origClientOrderId": sent_id}
        if order.order_id and sent_id == order.sent_id():
            asked = {"symbol": order.native, "orderId": str(order.order_id)}
        try:
            found: Mapping[str, Any] = await self._link.read("privateGetOrder", asked)
        except Refused as refusal:
            if refusal.code == NO_SUCH_ORDER:
                return None
            raise VenueTransient(f"Binance does not say what became of {sent_id}: {refusal}") from refusal
        return found

    def _seconds_left(self, order: BinanceOrder) -> float:
        """Seconds until a request sent then can no longer take effect."""
        return order.sent_at + self._link.settings.recv_window / 1000 + MARGIN_SECONDS - self._link.seconds()

    # -- cancelling

    async def cancel(self, order: BinanceOrder, status: OrderStatus = OrderStatus.CANCELLED) -> bool:
        """Cancel an order; False when it was over before. A cancel does no harm twice, so it is repeated."""
        if not order.live:
            return False
        if order.stage is Stage.SENT:
            if await self.settle(order) is None:
                return False
            order = self._known(order.client_id)
            if not order.live:
                return order.status is status
        if order.stage in (Stage.HELD, Stage.WAITING):
            self._book.ended(order, status, self._link.milliseconds())
            return True
        for _ in range(CANCEL_ATTEMPTS):
            order = self._known(order.client_id)
            try:
                answer = await self._link.send(
                    "privateDeleteOrder",
                    {"symbol": order.native, "orderId": str(order.order_id)},
                    Priority.CANCEL,
                )
            except OutcomeUnknown:
                continue
            except Refused as refusal:
                if refusal.code != UNKNOWN_ORDER:
                    raise VenueTransient(f"Binance did not cancel {order.client_id}: {refusal}") from refusal
                await self.look(order)
                return self._known(order.client_id).status is status
            for report in answer.get("orderReports", [answer]):
                await self._cancelled(report, status)
            return True
        raise OutcomeUnknown(f"nobody can say whether order {order.client_id} was cancelled")

    async def _cancelled(self, report: Mapping[str, Any], status: OrderStatus) -> None:
        order = self._book.owner(report["symbol"], int(report["orderId"]))
        if order is None:
            return
        if Decimal(report["executedQty"]) > order.traded - order.earlier:
            order = await self._read_own_trades(order)
        self._book.ended(self._known(order.client_id), status, int(report["transactTime"]))

    async def withdrawn(self, report: Mapping[str, Any]) -> None:
        """An order was taken off the market to be placed anew: it waits, for what it has not traded."""
        order = self._book.owner(report["symbol"], int(report["orderId"]))
        if order is None:
            return
        if Decimal(report["executedQty"]) > order.traded - order.earlier:
            order = await self._read_own_trades(order)
        if order.live:
            renewed = replace(order, generation=order.generation + 1, pending=0, order_id=0, list_id=0)
            self._book.keep(replace(renewed, stage=Stage.WAITING, earlier=order.traded))

    # -- changing

    async def change(self, order: BinanceOrder, wanted: BinanceOrder) -> bool:
        """Put `wanted` in the place of a resting order; False when it can no longer be changed."""
        wanted = replace(wanted, generation=order.generation + 1, order_id=0)
        self._book.keep(replace(order, pending=wanted.generation, sent_at=self._link.seconds()))
        params = order_params(wanted, self._book.pairs[order.native])
        # The rest to trade was worked out from what had traded: if more does meanwhile, the cancel must fail.
        untouched = order.status is OrderStatus.ACCEPTED
        if not untouched:
            return await self._change_in_two(order, wanted)
        params |= {
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "cancelOrderId": str(order.order_id),
            "cancelRestrictions": "ONLY_NEW",
        }
        try:
            answer = await self._link.send("privatePostOrderCancelReplace", params)
        except OutcomeUnknown:
            await self._resolve(self._known(order.client_id), wanted)
            return self._known(order.client_id).generation == wanted.generation
        except Refused as refusal:
            await self._not_changed(order, refusal)
            return False
        await self._adopt(self._known(order.client_id), wanted, answer["newOrderResponse"])
        return True

    async def _change_in_two(self, order: BinanceOrder, wanted: BinanceOrder) -> bool:
        """Of an order that has traded in part: cancel what is left, then place what is left of the wish."""
        about = {"symbol": order.native, "orderId": str(order.order_id)}
        try:
            answer = await self._link.send("privateDeleteOrder", about, Priority.CANCEL)
        except (Refused, OutcomeUnknown):
            await self._resolve(self._known(order.client_id), wanted)
            return False
        order = self._known(order.client_id)
        if Decimal(answer["executedQty"]) > order.traded - order.earlier:
            order = await self._read_own_trades(order)
        if order.status.terminal or order.traded >= wanted.quantity:
            self._book.ended(order, OrderStatus.CANCELLED, self._link.milliseconds())
            return False
        again = replace(order, **terms_of(wanted), generation=wanted.generation, pending=0, order_id=0)
        try:
            await self.place(replace(again, earlier=order.traded))
        except OrderRejected as refusal:
            self._book.ended(
                replace(again, stage=Stage.KNOWN),
                OrderStatus.CANCELLED,
                self._link.milliseconds(),
                refusal.message,
            )
            return False
        return True

    async def _not_changed(self, order: BinanceOrder, refusal: Refused) -> None:
        """A replacement that was refused: the order stands, or was cancelled and must be put back."""
        order = self._known(order.client_id)
        if refusal.code == NEW_REFUSED:
            log.error("order.change_refused", client_id=order.client_id, reason=str(refusal.data))
            await self._restore(order)
            return
        order = replace(order, pending=0)
        self._book.keep(order)
        await self.look(order)

    async def _adopt(
        self, order: BinanceOrder, wanted: BinanceOrder | None, answer: Mapping[str, Any]
    ) -> None:
        """The next generation of an order lives."""
        terms = terms_of(wanted) if wanted is not None else told_terms(order, answer)
        # That a child follows what its parent has filled is no news.
        reason = "" if terms == {**terms_of(order), "quantity": terms["quantity"]} else "amended"
        order = replace(
            order,
            **terms,
            generation=order.generation + 1 if wanted is None else wanted.generation,
            pending=0,
            earlier=order.traded,
            order_id=int(answer["orderId"]),
            stage=Stage.KNOWN,
        )
        time = int(answer.get("transactTime") or answer.get("time") or 0)
        self._book.accepted(order, time, reason=reason)
        await self.take(order.client_id, answer)

    async def _resolve(self, order: BinanceOrder, wanted: BinanceOrder | None = None) -> None:
        """Find out which generation of an order lives, when a change was interrupted."""
        found = await self._find(order, order.sent_id(order.pending))
        if found is not None:
            await self._adopt(self._known(order.client_id), wanted, found)
            return
        before = await self._look_up(replace(order, pending=0), order.sent_id())
        order = self._known(order.client_id)
        if before is not None and before["status"] == "CANCELED":
            if Decimal(before["executedQty"]) > order.traded - order.earlier:
                order = await self._read_own_trades(order)
            await self._restore(order)
            return
        order = replace(order, pending=0)
        self._book.keep(order)
        await self.look(order)

    def _known(self, client_id: str) -> BinanceOrder:
        order = self._book.order(client_id)
        if order is None:
            raise InconsistentState(f"order {client_id} is not on file", hint="this is a defect: report it")
        return order
