"""What IBKR says, taken in one message after the other, written down, and only then made known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.ibkr_book import IBKRBook
from brokers.ibkr_link import IBKRSettings, Link
from brokers.ibkr_market import IBKRMarket
from brokers.ibkr_orders import IBOrder
from brokers.ibkr_words import Completed
from brokers.venue_log import VenueLog
from core.errors import TradewrightError, VenueFatal, VenueTransient
from core.tasks import end_tasks
from core.telemetry import get_logger

LOST, RESTORED_EMPTY, RESTORED = 1100, 1101, 1102
BARRIER = "barrier"
LONGEST_PAUSE = 5.0
REVIEW: tuple[tuple[str, Callable[[Any], Awaitable[Any]]], ...] = (
    ("open orders", lambda session: session.reqAllOpenOrdersAsync()),
    ("completed orders", lambda session: session.reqCompletedOrdersAsync(False)),
    ("executions", lambda session: session.reqExecutionsAsync()),
)

log = get_logger("brokers.ibkr")


class Reports:
    """The messages of one session with IBKR, over a link that is made anew when it breaks.

    shrink: makes an order smaller. wake: set whenever something may have changed. failure: why no more will come.
    """

    def __init__(
        self,
        settings: IBKRSettings,
        kept: VenueLog[IBOrder],
        shrink: Callable[[str, Decimal], Awaitable[object]],
    ) -> None:
        self.link = Link(settings, hear=self._hear, up=self._review, down=self._on_down, failed=self._on_end)
        self.market = IBKRMarket(self.link)
        self.failure: TradewrightError | None = None
        self.wake = asyncio.Event()
        self._settings = settings
        self._log = kept
        self._shrink = shrink
        self._book: IBKRBook | None = None
        self._open = False
        self._heard: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._barriers: list[asyncio.Future[None]] = []
        self._reviewing = asyncio.Lock()
        self._reread: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._nudge: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be made known."""
        return not self._open or self.failure is not None

    @property
    def book(self) -> IBKRBook:
        """Our orders. Raises VenueFatal once something has failed, VenueTransient when the session is closed."""
        if self.failure is not None:
            raise VenueFatal(self.failure.message, hint=self.failure.hint) from self.failure
        if self._book is None or not self._open:
            raise VenueTransient("the IBKR venue is closed", hint="call connect() first")
        return self._book

    @property
    def last_book(self) -> IBKRBook | None:
        """As `book`, whatever has become of the session; None before the first."""
        return self._book

    async def start(self) -> None:
        """Connect, and take in all that IBKR tells of the past. Raises VenueFatal, with what to do."""
        self._book = IBKRBook(self._log, self.link.now, self._settings.client_id)
        self.failure, self._open = None, True
        self._heard = asyncio.Queue()
        self._pump = asyncio.create_task(self._take_messages(), name="ibkr messages")
        self._pump.add_done_callback(self._on_end)
        await self.link.open()

    async def stop(self) -> None:
        """End the connection; calling it again changes nothing."""
        self._open = False
        await self.link.close()
        await end_tasks(task for task in (self._pump, self._reread) if task is not None)
        await self._announce()

    async def until(self, done: Callable[[], object]) -> bool:
        """Wait for what messages bring about; False after the time an answer may take, or when the connection breaks."""
        session = self.link.session
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.answer), self._changed:
                await self._changed.wait_for(lambda: done() or self.ended or self.link.session is not session)
        return bool(done()) and self.book is not None

    async def drained(self) -> None:
        """Wait until what was heard up to now is taken in."""
        barrier: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard.put_nowait((BARRIER, (barrier,)))
        pumps = {self._pump} if self._pump is not None else set()
        await asyncio.wait({barrier, *pumps}, return_when=asyncio.FIRST_COMPLETED)
        _ = self.book

    async def review(self) -> None:
        """Read again what is open, what is done and what was executed. Raises VenueTransient."""
        await self.link.usable()
        await self._review()

    # -- inside

    def _hear(self, name: str, told: tuple[Any, ...]) -> None:
        # What waits here is kept small.
        self._heard.put_nowait((name, (Completed.of(*told),) if name == "completedOrder" else told))

    async def _take_messages(self) -> None:
        """Whole batches are written down before anybody hears of them."""
        while True:
            batch = [await self._heard.get()]
            while not self._heard.empty():
                batch.append(self._heard.get_nowait())
            book = self.book
            for name, told in batch:
                self._take(book, name, told)
            book.flush()
            barriers, self._barriers = self._barriers, []
            for barrier in barriers:
                barrier.set_result(None)
            await self._announce()
            self._follow_up(book)

    def _take(self, book: IBKRBook, name: str, told: tuple[Any, ...]) -> None:
        if name == BARRIER:
            self._barriers.append(told[0])
        elif name == "openOrder":
            book.open_order(*told)
        elif name == "orderStatus":
            book.order_status(*told)
        elif name == "execDetails":
            book.execution(*told)
        elif name == "commissionReport":
            book.commission(*told)
        elif name == "completedOrder":
            book.completed_order(*told)
        elif name == "error":
            self._take_error(book, *told)

    def _take_error(self, book: IBKRBook, request: int, code: int, text: str, *rest: Any) -> None:
        if code not in (LOST, RESTORED_EMPTY, RESTORED):
            book.error(request, code, text)
            return
        log.warning("ibkr.connectivity", code=code, reason=text)
        self.market.interrupted(lost=code == LOST)
        if code != LOST and self.link.ready:
            if code == RESTORED_EMPTY:
                self.market.resubscribe(self.link.session)
            self._start_reread(0.0)

    def _follow_up(self, book: IBKRBook) -> None:
        """Ask for what is overdue, cut exits to their entry, end orders that came to light after they were given up."""
        if (book.incomplete or book.oversized()) and self.link.ready:
            self._start_reread(self._settings.overdue)
        while book.revived:
            order = book.orders[book.revived.pop()]
            log.error("order.revived", order=order.client_id)
            if order.order_id and self.link.session is not None:
                self.link.session.client.cancelOrder(order.order_id, "")

    def _start_reread(self, seconds: float) -> None:
        if self._reread is None or self._reread.done():
            self._reread = asyncio.create_task(self._read_again_after(seconds), name="ibkr re-reading")

    async def _read_again_after(self, seconds: float) -> None:
        """Until nothing is missing: what is read may be lost on its way as well."""
        again = True
        while again:
            await asyncio.sleep(seconds)
            with suppress(VenueTransient):
                if seconds == 0.0 or self.book.incomplete:
                    await self.review()
                for client_id, size in self.book.oversized():
                    log.warning("order.oversized", order=client_id, size=size)
                    await self._shrink(client_id, size)
            again = not self.ended and self.link.ready and bool(self.book.incomplete)
            seconds = min(max(2 * seconds, self._settings.overdue), LONGEST_PAUSE)

    async def _review(self) -> None:
        """As `review`, on a connection that may be only just being made."""
        async with self._reviewing:
            book = self.book
            if book.since is None:
                book.since = datetime.fromisoformat(self._log.fact("since", self.link.now().isoformat()))
            book.begin_review()
            try:
                for what, request in REVIEW:
                    await self.link.ask(what, request, early=True)
                await self.drained()
            except BaseException:
                book.drop_review()
                raise
            book.end_review()
            book.flush()
            if not self.link.ready:
                self.market.resubscribe(self.link.session)
        await self._announce()

    def _on_down(self) -> None:
        if self._book is not None:
            self._book.disconnected()
        self.market.interrupted(lost=True)
        self._announce_soon()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """The pump or the keeper of the link has ended; unless that was asked for, the session has failed."""
        error = None if task.cancelled() else task.exception()
        if error is not None and self.failure is None:
            self.failure = error if isinstance(error, TradewrightError) else VenueFatal(f"{error!r}")
            log.error("ibkr.failed", reason=str(self.failure), exc_info=error)
            self._announce_soon()

    def _announce_soon(self) -> None:
        self._nudge = asyncio.ensure_future(self._announce())

    async def _announce(self) -> None:
        self.wake.set()
        async with self._changed:
            self._changed.notify_all()
