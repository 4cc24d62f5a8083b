"""Bars from Binance as they happen, over the real client library, whatever becomes of the connection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import backtrader as bt
import pytest

import feeds
from core.errors import ConfigError, UnknownNameError
from feeds.live.binance import BinanceStreams, StreamSettings
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, Taker, Watcher, market_time, minutes, passing_time
from tests.simulator import Simulator, simulator

SYMBOL, NATIVE = "ABC/USDT", "ABCUSDT"


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator("binance", "--symbols", SYMBOL) as running:
        yield running


@pytest.fixture
def market(sim: Simulator) -> Iterator[Simulator]:
    """Some minutes of history, and no fault."""
    sim.control.clear()
    minutes(sim, NATIVE, 5)
    yield sim
    sim.control.clear()


def settings(sim: Simulator, **changes: float) -> StreamSettings:
    where = f"{sim.host}:{sim.port}"
    given: dict[str, float] = {"timeout_seconds": 2.0, "ping_seconds": 0.5, "silence_seconds": 0.6, **changes}
    return StreamSettings(f"http://{where}/api/v3", f"ws://{where}/ws", **given)


@pytest.fixture
def taker(market: Simulator) -> Iterator[Taker]:
    streams = BinanceStreams(settings(market))
    since = market_time(market) - 3 * MINUTE
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
        minutes(market, NATIVE, 1)
    taker.until(lambda: len(taker.bars) == 7)
    taker.check(7)
    assert taker.feeds == [Feed.LIVE]
    assert taker.bars[-1].time == market_time(market)


@pytest.mark.parametrize("fault", ["disconnect", "half-open"])
def test_what_closed_while_the_connection_was_gone_comes_later(
    market: Simulator, taker: Taker, fault: str
) -> None:
    market.control.fault(fault)
    minutes(market, NATIVE, 3)
    taker.until(lambda: len(taker.bars) == 6)
    minutes(market, NATIVE, 1)
    taker.until(lambda: len(taker.bars) == 7)
    taker.check(7)
    if fault == "disconnect":
        taker.until(lambda: taker.feeds == [Feed.LIVE, Feed.DISCONNECTED, Feed.LIVE])


def test_a_venue_that_is_away_for_long_is_said_to_be(market: Simulator, taker: Taker) -> None:
    market.control.fault("refuse", seconds=1.5)
    market.control.fault("disconnect")
    taker.until(lambda: taker.feeds[-1] is Feed.DISCONNECTED)
    minutes(market, NATIVE, 2)
    taker.until(lambda: taker.feeds[-1] is Feed.LIVE)
    taker.check(5)


@pytest.mark.parametrize(("fault", "times"), [("lose", 60), ("duplicate", 60), ("reorder", 3), ("mute", 1)])
def test_messages_that_are_lost_doubled_or_late_change_nothing(
    market: Simulator, taker: Taker, fault: str, times: int
) -> None:
    market.control.fault(fault, match="kline", times=times, seconds=1.0 if fault == "mute" else 0)
    taker.take_through(lambda count: minutes(market, NATIVE, count), market.control.clear)


def test_an_unknown_symbol_and_interval_are_said(market: Simulator) -> None:
    streams = BinanceStreams(settings(market))
    try:
        for symbol, interval in (("XYZ/USDT", "1m"), (SYMBOL, "7m")):
            source = streams.source(symbol, interval, market_time(market))
            source.start()
            with pytest.raises(UnknownNameError, match=r"Binance (symbol|interval)"):
                Taker(source).until(lambda: False)
        with pytest.raises(ConfigError, match="live bars of 1M"):
            streams.source(SYMBOL, "1M", market_time(market))
    finally:
        streams.close()
    streams.close()


def test_a_plain_script_gets_its_bars(market: Simulator) -> None:
    """D11, B29: stock Cerebro, our data."""
    cerebro = bt.Cerebro()
    start = market_time(market)
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
    with passing_time(market, NATIVE):
        (watcher,) = cerebro.run()
    assert watcher.states[:2] == ["DELAYED", "LIVE"]
    assert watcher.times[0] == start - 3 * MINUTE
    assert len(watcher.times) >= 4 + 3
    assert all(later - one == MINUTE for one, later in itertools.pairwise(watcher.times))
