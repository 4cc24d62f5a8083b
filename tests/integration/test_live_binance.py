"""Bars from Binance as they happen, over the real client library, whatever becomes of the connection."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import backtrader as bt
import pytest

import feeds
from core.errors import ConfigError, UnknownNameError
from core.types import Bar
from feeds.live.binance import BinanceStreams, StreamSettings
from feeds.live.source import Feed, LiveSource
from tests.simulator import Simulator, simulator

SYMBOL, NATIVE = "ABC/USDT", "ABCUSDT"
SECONDS = 20
MINUTE = timedelta(minutes=1)
_prices = itertools.count(100)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator("binance", "--symbols", SYMBOL) as running:
        yield running


@pytest.fixture
def market(sim: Simulator) -> Iterator[Simulator]:
    """Some minutes of history, and no fault."""
    sim.control.clear()
    minutes(sim, 5)
    yield sim
    sim.control.clear()


def minutes(sim: Simulator, count: int) -> None:
    """So many minutes pass, each with a price of its own."""
    for _ in range(count):
        sim.control.price(NATIVE, next(_prices))
        sim.control.advance(60)


def settings(sim: Simulator, **changes: float) -> StreamSettings:
    where = f"{sim.host}:{sim.port}"
    given: dict[str, float] = {"timeout_seconds": 2.0, "ping_seconds": 0.5, "silence_seconds": 0.6, **changes}
    return StreamSettings(f"http://{where}/api/v3", f"ws://{where}/ws", **given)


def now(sim: Simulator) -> datetime:
    return datetime.fromisoformat(sim.control.state()["time"])


class Taker:
    """What a source has told so far."""

    def __init__(self, source: LiveSource) -> None:
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

    def check(self, count: int) -> None:
        """So many bars came, each once, in order, at its close, with the price of its minute."""
        assert len(self.bars) == count
        assert all(later.time - bar.time == MINUTE for bar, later in itertools.pairwise(self.bars))
        assert all(later.close == bar.close + 1 for bar, later in itertools.pairwise(self.bars))
        assert all(bar.time.second == 0 for bar in self.bars)


@pytest.fixture
def taker(market: Simulator) -> Iterator[Taker]:
    streams = BinanceStreams(settings(market))
    since = now(market).replace(second=0, microsecond=0) - 3 * MINUTE
    source = streams.source(SYMBOL, "1m", since)
    source.start()
    try:
        taken = Taker(source)
        taken.until(lambda: Feed.LIVE in taken.feeds)
        taken.check(3)
        yield taken
    finally:
        streams.close()


def test_history_and_stream_are_one(market: Simulator, taker: Taker) -> None:
    """D11"""
    for _ in range(4):
        minutes(market, 1)
    taker.until(lambda: len(taker.bars) == 7)
    taker.check(7)
    assert taker.feeds == [Feed.LIVE]
    assert taker.bars[-1].time == now(market).replace(second=0, microsecond=0)


@pytest.mark.parametrize("fault", ["disconnect", "half-open"])
def test_what_closed_while_the_connection_was_gone_comes_later(
    market: Simulator, taker: Taker, fault: str
) -> None:
    market.control.fault(fault)
    minutes(market, 3)
    taker.until(lambda: len(taker.bars) == 6)
    minutes(market, 1)
    taker.until(lambda: len(taker.bars) == 7)
    taker.check(7)
    if fault == "disconnect":
        taker.until(lambda: taker.feeds == [Feed.LIVE, Feed.DISCONNECTED, Feed.LIVE])


def test_a_venue_that_is_away_for_long_is_said_to_be(market: Simulator, taker: Taker) -> None:
    market.control.fault("refuse", seconds=1.5)
    market.control.fault("disconnect")
    taker.until(lambda: taker.feeds[-1] is Feed.DISCONNECTED)
    minutes(market, 2)
    taker.until(lambda: taker.feeds[-1] is Feed.LIVE)
    taker.check(5)


@pytest.mark.parametrize(("fault", "times"), [("lose", 60), ("duplicate", 60), ("reorder", 3), ("mute", 1)])
def test_messages_that_are_lost_doubled_or_late_change_nothing(
    market: Simulator, taker: Taker, fault: str, times: int
) -> None:
    market.control.fault(fault, match="kline", times=times, seconds=1.0 if fault == "mute" else 0)
    minutes(market, 3)
    taker.until(lambda: len(taker.bars) == 6)
    market.control.clear()
    minutes(market, 2)
    taker.until(lambda: len(taker.bars) == 8)
    taker.check(8)


def test_an_unknown_symbol_and_interval_are_said(market: Simulator) -> None:
    streams = BinanceStreams(settings(market))
    try:
        for symbol, interval in (("XYZ/USDT", "1m"), (SYMBOL, "7m")):
            source = streams.source(symbol, interval, now(market))
            source.start()
            with pytest.raises(UnknownNameError, match=r"Binance (symbol|interval)"):
                Taker(source).until(lambda: False)
        with pytest.raises(ConfigError, match="live bars of 1M"):
            streams.source(SYMBOL, "1M", now(market))
    finally:
        streams.close()
    streams.close()


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


def test_a_plain_script_gets_its_bars(market: Simulator) -> None:
    """D11, B29: stock Cerebro, our data."""
    cerebro = bt.Cerebro()
    start = now(market).replace(second=0, microsecond=0)
    cerebro.adddata(
        feeds.BinanceData(
            dataname=SYMBOL,
            timeframe=bt.TimeFrame.Minutes,
            compression=1,
            fromdate=start - 4 * MINUTE,
            settings=settings(market),
        )
    )
    cerebro.addstrategy(Watcher)
    passing = threading.Event()

    def pass_time() -> None:
        while not passing.wait(0.3):
            minutes(market, 1)

    clock = threading.Thread(target=pass_time)
    clock.start()
    try:
        (watcher,) = cerebro.run()
    finally:
        passing.set()
        clock.join()
    assert watcher.states[:2] == ["DELAYED", "LIVE"]
    assert watcher.times[0] == start - 3 * MINUTE
    assert len(watcher.times) >= 4 + 3
    assert all(later - one == MINUTE for one, later in itertools.pairwise(watcher.times))
