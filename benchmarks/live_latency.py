"""From a bar's arrival to its order at the venue, and what an idle session costs: the live path with ten feeds."""

from __future__ import annotations

import math
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np

import store
from benchmarks.measure import Row
from brokers.paper import PaperVenue
from core.types import Bar, OrderIntent
from engine.live_path import LivePath
from feeds.bridge import LiveData
from feeds.live.source import LiveSource
from feeds.source import Feed

FEEDS = 10
CASH = 1_000_000.0
BEGIN = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE_SECONDS = 60.0


class OnEveryBar(bt.Strategy):
    """A market order for each new bar of each data: in, and out on the next."""

    def __init__(self) -> None:
        self.seen = [0] * len(self.datas)

    def next(self) -> None:
        for number, data in enumerate(self.datas):
            if len(data) > self.seen[number]:
                self.seen[number] = len(data)
                (self.sell if self.getposition(data).size else self.buy)(data=data, size=1)


class TimedVenue(PaperVenue):
    """The paper venue; says when an order has been taken."""

    def __init__(self, state: Path) -> None:
        super().__init__(CASH, 0.0, state=state)
        self.taken: queue.SimpleQueue[tuple[float, float]] = queue.SimpleQueue()

    async def submit(self, intent: OrderIntent) -> None:
        await super().submit(intent)
        self.taken.put((time.perf_counter(), time.process_time()))


class LiveSession:
    """A live path on a thread of its own, journal on disk; bars are put by whoever holds this, as by a venue's thread."""

    def __init__(
        self,
        symbols: Sequence[str],
        folder: Path,
        strategy: type[bt.Strategy] = OnEveryBar,
        venue: Callable[[], PaperVenue] | None = None,
    ) -> None:
        self.sources = {symbol: LiveSource(symbol) for symbol in symbols}
        self.venue: Any = (venue or (lambda: TimedVenue(folder / "paper.db")))()
        self._database = store.open_store(f"sqlite:///{folder}/journal.db")
        self.path = LivePath(
            strategy,
            {},
            self._feeds,
            lambda: self.venue,
            self._database.journal("bench"),
            CASH,
            0.0,
            quick=True,
            ending="leave",
        )
        self._minute = 0
        self.idle = threading.Event()
        self._wait = self.path.gateway.wait
        self.path.gateway.wait = self._note_wait  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self.path.run, name="strategy")

    def _feeds(self, hurrying: Callable[[], bool]) -> dict[str, LiveData]:
        return {symbol: LiveData(source=source, name=symbol) for symbol, source in self.sources.items()}

    def __enter__(self) -> LiveSession:
        for source in self.sources.values():
            source.put([Feed.LIVE])
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.path.request_stop()
        self._thread.join()
        self._database.close()

    def _note_wait(self, seconds: float, *, stopping: bool = False) -> None:
        self.idle.set()
        self._wait(seconds, stopping=stopping)

    def bars(self, *symbols: str) -> None:
        """A bar of each symbol arrives, all of the same minute."""
        self.idle.clear()
        self._minute += 1
        at = BEGIN + timedelta(minutes=self._minute)
        price = 100.0 + self._minute % 7
        for symbol in symbols:
            self.sources[symbol].put([Bar(symbol, at, price, price + 1, price - 1, price, 10.0)])


def latency(orders: int, idle_seconds: float) -> list[Row]:
    """Median and 99th percentile of bar to order, and the share of a core that waiting takes."""
    symbols = [f"S{number}" for number in range(FEEDS)]
    with (
        tempfile.TemporaryDirectory(prefix="tradewright-bench-") as folder,
        LiveSession(symbols, Path(folder)) as session,
    ):
        session.bars(*symbols)
        session.idle.wait(PATIENCE_SECONDS)
        while not session.venue.taken.empty():
            session.venue.taken.get()
        waited = [_bar_to_order(session, symbols[number % FEEDS]) for number in range(orders + 2 * FEEDS)]
        taken, busy = np.array(waited[2 * FEEDS :]).T
        session.idle.wait(PATIENCE_SECONDS)
        before, begun = time.process_time(), time.perf_counter()
        time.sleep(idle_seconds)
        idle = (time.process_time() - before) / (time.perf_counter() - begun)
    group = f"bar to order, paper venue, {FEEDS} feeds"
    note = f"{orders} orders, journal and venue on disk"
    return [
        Row(group, "median", float(np.median(taken)), math.nan, note=note),
        Row(group, "median of processor time", float(np.median(busy)), math.nan),
        Row(group, "99 of 100 within", float(np.quantile(taken, 0.99)), math.nan),
        Row(group, "idle, processor seconds a second", idle, math.nan, note=f"{100 * idle:.2f}% of a core"),
    ]


def _bar_to_order(session: LiveSession, symbol: str) -> tuple[float, float]:
    """Seconds from a bar's arrival at a session that waits to the venue having its order, by the wall and of processors."""
    session.idle.wait(PATIENCE_SECONDS)
    busy, begun = time.process_time(), time.perf_counter()
    session.bars(symbol)
    taken, done = session.venue.taken.get(timeout=PATIENCE_SECONDS)
    return taken - begun, done - busy
