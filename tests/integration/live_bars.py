"""What tests of live bars share: time that passes at a simulator, and what was taken from a source meanwhile."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import backtrader as bt

from core.types import Bar
from feeds.source import BarSource, Feed
from tests.simulator import Simulator

SECONDS = 20
MINUTE = timedelta(minutes=1)
_prices = itertools.count(100)


def minutes(sim: Simulator, symbol: str, count: int) -> None:
    """So many minutes pass, each with a price of its own."""
    for _ in range(count):
        sim.control.price(symbol, next(_prices))
        sim.control.advance(60)


@contextmanager
def passing_time(sim: Simulator, symbol: str) -> Iterator[None]:
    """A minute every 0.3 s."""
    over = threading.Event()

    def pass_time() -> None:
        while not over.wait(0.3):
            minutes(sim, symbol, 1)

    clock = threading.Thread(target=pass_time)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def market_time(sim: Simulator) -> datetime:
    """The minute it is at the simulator."""
    return datetime.fromisoformat(sim.control.state()["time"]).replace(second=0, microsecond=0)


class Taker:
    """What a source has told so far."""

    def __init__(self, source: BarSource) -> None:
        self.source = source
        self.bars: list[Bar] = []
        self.feeds: list[Feed] = []

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < end, (self.bars, self.feeds)
            self.source.wait(0.2)
            while (told := self.source.next()) is not None:
                (self.bars if isinstance(told, Bar) else self.feeds).append(told)  # type: ignore[arg-type]

    def take_through(self, pass_minutes: Callable[[int], None], end_fault: Callable[[], None]) -> None:
        """Three minutes with a fault and two without it, after the three it began with; each bar once."""
        pass_minutes(3)
        self.until(lambda: len(self.bars) == 6)
        end_fault()
        pass_minutes(2)
        self.until(lambda: len(self.bars) == 8)
        self.check(8)

    def check(self, count: int) -> None:
        """So many bars came, each once, in order, at its close, with the price of its minute."""
        assert len(self.bars) == count
        assert all(later.time - bar.time == MINUTE for bar, later in itertools.pairwise(self.bars))
        assert all(later.close == bar.close + 1 for bar, later in itertools.pairwise(self.bars))
        assert all(bar.time.second == 0 for bar in self.bars)


class Watcher(bt.Strategy):
    """Notes what it is told, and ends after so many bars of now."""

    params = (("live_bars", 3),)

    def __init__(self) -> None:
        self.states: list[str] = []
        self.times: list[datetime] = []
        self.live = 0

    def notify_data(self, data: bt.feed.DataBase, status: int, *args: object, **kwargs: object) -> None:
        self.states.append(data._getstatusname(status))

    def next(self) -> None:
        self.times.append(bt.num2date(self.data.datetime[0]).replace(tzinfo=UTC))
        self.live += self.states[-1] == "LIVE"
        if self.live == self.p.live_bars:
            self.env.runstop()
