"""The thread between Backtrader, which is synchronous, and the executor, which is not.

One asyncio loop on one thread serves a session. Calls from the strategy's thread wait for the answer; the
wait of an idle session ends as soon as the venue has news or somebody asks it to stop.
"""

from __future__ import annotations

import asyncio
import threading
import time as wall
from collections.abc import Callable, Coroutine, Mapping, Sequence, Set
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any, TypeVar

from brokers.bell import Bell
from brokers.executor import Executor, Submission
from brokers.movements import Movement
from core.connect import new_loop
from core.errors import InconsistentState
from core.types import Bar, OrderEvent, OrderIntent

AGREE_PAUSES = (0.1, 0.3, 1.0, 2.0)
T = TypeVar("T")


class Gateway:
    """A synchronous door to one executor. `build` makes the executor on the loop's own thread.

    on_wait: called by the strategy's thread each time it has nothing else to do.
    """

    on_wait: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, build: Callable[[], Executor]) -> None:
        self._build = build
        self._executor: Executor | None = None
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._serve, name="venue", daemon=True)
        self._stopping = False
        self._beside: list[Future[None]] = []
        self._serving: set[asyncio.Task[Any]] = set()
        self._bell = Bell()

    def start(self) -> None:
        """Start the thread, connect and recover; calling it again changes nothing."""
        if self._executor is None:
            self._thread.start()
            self._executor = self._call(self._start())

    def stop(self) -> None:
        """Close the session and end the thread; calling it again changes nothing."""
        if not self._thread.is_alive():
            return
        for each in self._beside:
            each.cancel()
        try:
            if self._executor is not None:
                self._call(self._executor.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run_beside(self, work: Callable[[Executor], Coroutine[Any, Any, None]]) -> None:
        """Run `work` on the session's thread until it stops; it handles its own errors."""
        self._beside.append(asyncio.run_coroutine_threadsafe(work(self._running), self._loop))

    @property
    def recovering(self) -> bool:
        """Whether turns are still being repeated from the journal."""
        return self._running.recovering

    @property
    def hears_late(self) -> bool:
        """See `Executor`."""
        return self._running.hears_late

    @property
    def stop_requested(self) -> bool:
        """Whether the session was asked to end after the current bar."""
        return self._stopping

    def request_stop(self) -> None:
        """Ask the session to end after the current bar; safe in a signal handler."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """End the wait of an idle session: there is news. From any thread, and safe in a signal handler."""
        self._bell.ring()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Have `act` called on the gateway's thread after so long, unless it has stopped; from any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, act)

    def step(
        self, number: int, time: datetime, bars: Mapping[str, Bar], stale: Set[str] = frozenset()
    ) -> list[OrderEvent]:
        """See `Executor.step`."""
        return self._call(self._running.step(number, time, bars, stale))

    def movements(self, number: int) -> Sequence[Movement]:
        """See `Executor.movements`."""
        return self._running.movements(number)

    def submit(self, intent: OrderIntent) -> Submission:
        """See `Executor.submit`."""
        return self._call(self._running.submit(intent))

    def cancel(self, client_id: str, now: datetime) -> list[OrderEvent]:
        """See `Executor.cancel`."""
        return self._call(self._running.cancel(client_id, now))

    def wind_up(self) -> list[OrderEvent]:
        """See `Executor.wind_up`."""
        return self._call(self._running.wind_up())

    def finish(self) -> None:
        """See `Executor.finish`."""
        self._call(self._running.finish())

    def agree(self) -> None:
        """See `Executor.agree`; asked again for a while, since what is on its way makes a difference."""
        for pause in AGREE_PAUSES:
            with suppress(InconsistentState):
                return self._call(self._running.agree())
            wall.sleep(pause)
        return self._call(self._running.agree())

    @property
    def news(self) -> bool:
        """See `Executor.news`."""
        return self._running.news

    @property
    def missed(self) -> bool:
        """See `Executor.missed`."""
        return self._running.missed

    def between_bars(self) -> list[OrderEvent]:
        """See `Executor.between_bars`."""
        return self._call(self._running.between_bars())

    def wait(self, seconds: float, *, stopping: bool = False) -> None:
        """Sleep until `seconds` have passed, there is news or a stop is requested; `stopping`: even though one is."""
        self.on_wait()
        if (self._stopping and not stopping) or seconds <= 0:
            return
        self._bell.wait(seconds)

    @property
    def _running(self) -> Executor:
        if self._executor is None:
            raise RuntimeError("the gateway is not started")
        return self._executor

    def _serve(self) -> None:
        # Clients' libraries look for the thread's loop, not for the running one.
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _start(self) -> Executor:
        executor = self._build()
        executor.on_news = self.wake
        try:
            await executor.start()
        except BaseException:
            await executor.stop()
            raise
        return executor

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """What the venue answers; `question` is one of its coroutines."""
        return self._call(question)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        # As `asyncio.run_coroutine_threadsafe` does, whose future takes twice the time.
        ended: SimpleQueue[asyncio.Task[T]] = SimpleQueue()
        self._loop.call_soon_threadsafe(self._begin, coroutine, ended.put)
        return ended.get().result()

    def _begin(self, coroutine: Coroutine[Any, Any, T], tell: Callable[[asyncio.Task[T]], object]) -> None:
        task = self._loop.create_task(coroutine)
        self._serving.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._serving.discard)
        task.add_done_callback(tell)
