"""What Binance says unasked, and what must be asked after a silence.

The user stream is a hint: what it tells is held against what an order has traded in all, and what is missing is read.
After every new connection everything that lives is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from brokers.binance_book import BinanceBook, outcome
from brokers.binance_desk import BinanceDesk
from brokers.binance_link import WALL_CLOCK, BinanceLink, BinanceSettings, OpenSession, Refused
from brokers.binance_lists import BinanceLists
from brokers.binance_orders import BinanceOrder, Stage, Trade
from core.clock import Clock
from core.connect import ccxt_stream_session
from core.errors import TradingError
from core.tasks import end_tasks
from core.telemetry import get_logger
from core.types import OrderIntent, OrderStatus, Side

log = get_logger("brokers.binance")


class BinanceEar:
    """Takes reports in, one after another. acting: held by whoever acts on orders."""

    def __init__(
        self,
        settings: BinanceSettings,
        book: BinanceBook,
        *,
        clock: Clock = WALL_CLOCK,
        open_session: OpenSession = ccxt_stream_session,
    ) -> None:
        self.acting = asyncio.Lock()
        self.link = BinanceLink(settings, self._hear, clock=clock, open_session=open_session)
        self.desk = BinanceDesk(self.link, book)
        self.lists = BinanceLists(self.link, book, self.desk)
        self._book = book
        self._tasks: set[asyncio.Task[None]] = set()
        self._deferred: list[dict[str, Any]] = []
        self._natives: frozenset[str] = frozenset()
        self._open = False

    async def start(
        self,
        natives: frozenset[str],
        on_lost: Callable[[], None],
        complete: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """Listen; returns once everything missed has been read.

        natives: symbols to read even without an order. on_lost: called when nothing more will be heard.
        complete: called whenever everything has been read, to go on with what was interrupted.
        """
        self._natives, self._open, self._complete = natives, True, complete
        await self.link.listen(self._catch_up, on_lost)
        self._keep(asyncio.create_task(self._watch(), name=WATCH))

    async def stop(self) -> None:
        """Listen no more."""
        self._open = False
        await end_tasks(self._tasks)
        await self.link.close()

    async def settled(self) -> None:
        """Wait until nothing that was heard is still being followed up."""
        waiting = {task for task in self._tasks if task.get_name() not in (EXPIRY, WATCH)}
        if waiting:
            await asyncio.wait(waiting)

    async def follow(self, client_id: str) -> None:
        """What follows for the bracket an order belongs to, after something happened to it."""
        order = self._book.order(client_id)
        if order is not None and order.stage is Stage.KNOWN:
            await self.lists.protect(order)
        self.hear_deferred()

    def hear_deferred(self) -> None:
        """Take in what was said of a change before its own answer came."""
        deferred, self._deferred = self._deferred, []
        for report in deferred:
            self._hear(report)

    def expire_in_time(self, intent: OrderIntent) -> None:
        """Cancel an order when its time is over."""
        if intent.expires_at is not None:
            seconds = max(intent.expires_at.timestamp() - self.link.seconds(), 0.0)
            self._start(self._expire(intent.client_id, seconds), EXPIRY)

    # -- within

    async def _watch(self) -> None:
        """The stream may lose a report and never say so: while an order lives, read now and then what it tells."""
        while True:
            await asyncio.sleep(self.link.settings.watch_seconds)
            if self._book.live():
                await self._reported(self._catch_up())

    async def _catch_up(self) -> None:
        """What happened while nobody listened, or while something was lost."""
        async with self.acting:
            for order in self._book.live():
                if order.stage is Stage.SENT or order.pending:
                    await self.desk.look(order)
            natives = self._natives | {order.native for order in self._book.log.orders.values()}
            await self.desk.begin(natives)
            for native in sorted(natives):
                await self.desk.read_trades(native)
            for order in self._book.live():
                if order.stage is Stage.KNOWN:
                    await self.desk.look(order)
                elif order.stage is Stage.WAITING and order.intent.parent is None:
                    await self.lists.place_alone(order)
            for client_id in list(self._book.log.orders):
                await self.follow(client_id)
            await self._complete()

    def _hear(self, report: dict[str, Any]) -> None:
        """One executionReport."""
        if not self._open:
            return
        native, sent_id = str(report["s"]), str(report.get("C") or report["c"])
        order = self._book.owner(native, int(report["i"]), sent_id)
        if order is None or order.stage is Stage.ABSENT:
            if report["x"] == "TRADE":
                side = Side.BUY if report["S"] == "BUY" else Side.SELL
                self._book.note_external(native, side, Trade.of_report(report), sent_id)
            return
        if order.pending and sent_id == order.sent_id(order.pending):
            self._deferred.append(report)
            return
        self._hear_of(order, report, present=sent_id == order.sent_id() and not order.pending)

    def _hear_of(self, order: BinanceOrder, report: dict[str, Any], *, present: bool) -> None:
        """A report on an order of ours; present: on the generation that lives."""
        time = int(report["T"])
        if report["x"] == "NEW" and present and order.stage is Stage.SENT:
            placed = replace(order, order_id=int(report["i"]), list_id=max(int(report["g"]), 0))
            self._book.accepted(replace(placed, stage=Stage.KNOWN), time)
            return
        if report["x"] == "TRADE":
            if not order.order_id and present:
                order = replace(order, order_id=int(report["i"]))
            order = self._book.trade(order, Trade.of_report(report))
        if present:
            status, executed = outcome({"status": report["X"], "executedQty": report["z"]})
            if executed > order.traded - order.earlier:
                self._start(self._fill_gap(order.client_id))
            elif status is not None:
                self._book.ended(order, status, time)
            if report["x"] != "NEW":
                self._start(self._follow_later(order.client_id))

    async def _fill_gap(self, client_id: str) -> None:
        """A trade was lost on the way: ask for it."""
        async with self.acting:
            order = self._book.order(client_id)
            if order is not None and order.order_id:
                await self.desk.look(order)

    async def _follow_later(self, client_id: str) -> None:
        async with self.acting:
            await self.follow(client_id)

    async def _expire(self, client_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        async with self.acting:
            order = self._book.order(client_id)
            if order is not None and order.live:
                await self.desk.cancel(order, OrderStatus.EXPIRED)
                await self.follow(client_id)

    def _start(self, work: Coroutine[Any, Any, None], name: str = "binance follow-up") -> None:
        task = asyncio.create_task(self._reported(work), name=name)
        task.add_done_callback(lambda ended: work.close())  # one that was stopped before it began
        self._keep(task)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reported(self, work: Coroutine[Any, Any, None]) -> None:
        """What nobody waits for must not fail in silence; the next connection reads everything again."""
        try:
            await work
        except (TradingError, Refused) as error:
            log.error("binance.follow_up_failed", error=str(error))


EXPIRY, WATCH = "binance expiry", "binance watch"
