"""Yahoo asked again and again: each bar once, when it is over, and a failure in between is got over."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

import feeds
from core.clock import SimulatedClock
from core.errors import ProviderError
from feeds.live.yahoo import YahooStreams, YahooStreamSettings
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, Taker, Watcher

OPENED = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Yahoo:
    """Minutes of one session, as yfinance hands them over: the last is still open."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(OPENED + timedelta(minutes=3, seconds=20))
        self.failing = threading.Event()
        self.asked = 0

    def __call__(self, symbol: str, **wanted: Any) -> pd.DataFrame | None:
        self.asked += 1
        if self.failing.is_set() or symbol != "AAPL":
            return None
        count = int((self.clock.now() - OPENED) / MINUTE) + 1
        index = pd.date_range(OPENED, periods=count, freq="1min").tz_convert("America/New_York")
        frame = pd.DataFrame(
            {name: [100.0 + n for n in range(count)] for name in ("Open", "High", "Low", "Close")}, index
        )
        frame["Volume"] = 1.0
        return frame[frame.index >= pd.Timestamp(wanted["start"])]


@pytest.fixture
def yahoo() -> Yahoo:
    return Yahoo()


def streams_of(yahoo: Yahoo) -> YahooStreams:
    return YahooStreams(YahooStreamSettings(poll_seconds=0.02, clock=yahoo.clock, download=yahoo))


def test_each_bar_comes_once_when_it_is_over(yahoo: Yahoo) -> None:
    """D11"""
    streams = streams_of(yahoo)
    try:
        source = streams.source("AAPL", "1m", OPENED + MINUTE)
        source.start()
        taker = Taker(source)
        taker.until(lambda: Feed.LIVE in taker.feeds)
        taker.check(2)
        assert taker.bars[0].time == OPENED + 2 * MINUTE
        yahoo.clock.advance_to(yahoo.clock.now() + MINUTE)
        taker.until(lambda: len(taker.bars) == 3)
        yahoo.failing.set()
        taker.until(lambda: taker.feeds[-1] is Feed.DISCONNECTED)
        yahoo.clock.advance_to(yahoo.clock.now() + 3 * MINUTE)
        yahoo.failing.clear()
        taker.until(lambda: taker.feeds[-1] is Feed.LIVE)
        taker.check(6)
        asked = yahoo.asked
        taker.until(lambda: yahoo.asked > asked + 3)
        taker.check(6)
    finally:
        streams.close()


def test_a_symbol_without_bars_is_said(yahoo: Yahoo) -> None:
    streams = streams_of(yahoo)
    try:
        source = streams.source("NOPE", "1m", OPENED)
        source.start()
        with pytest.raises(ProviderError, match="yahoo did not answer for NOPE"):
            Taker(source).until(lambda: False)
    finally:
        streams.close()


def test_a_plain_script_gets_its_bars(yahoo: Yahoo) -> None:
    """D11, B29: stock Cerebro, our data."""
    over = threading.Event()

    def pass_time() -> None:
        while not over.wait(0.1):
            yahoo.clock.advance_to(yahoo.clock.now() + MINUTE)

    cerebro = bt.Cerebro()
    cerebro.adddata(
        feeds.YahooData(
            dataname="AAPL",
            timeframe=bt.TimeFrame.Minutes,
            fromdate=OPENED,
            settings=YahooStreamSettings(poll_seconds=0.02, clock=yahoo.clock, download=yahoo),
        )
    )
    cerebro.addstrategy(Watcher)
    clock = threading.Thread(target=pass_time)
    clock.start()
    try:
        (watcher,) = cerebro.run()
    finally:
        over.set()
        clock.join()
    assert watcher.states[:2] == ["DELAYED", "LIVE"]
    assert watcher.times[0] == OPENED + MINUTE
    assert all(later - one == MINUTE for one, later in itertools.pairwise(watcher.times))
