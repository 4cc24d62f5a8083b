"""Bars of three simulated Binances merged into one a minute, over the real client library: one lies, one goes silent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import feeds
from feeds.live.binance import BinanceStreams, StreamSettings
from feeds.merge import MergedBars
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, Taker, Watcher, market_time
from tests.simulator import Simulator, simulator

SYMBOL, NATIVE = "ABC/USDT", "ABCUSDT"
NAMES = ("first", "second", "third")


class Exchanges:
    """Three of the same market, whose clocks go together; who lies says another price, who is silent comes later."""

    def __init__(self, sims: dict[str, Simulator]) -> None:
        self.sims = sims
        self.prices = itertools.count(1000)
        self.liar = self.silent = ""
        self.lie = 1.5
        self.unsaid: list[float] = []

    def minutes(self, count: int) -> None:
        for _ in range(count):
            price = next(self.prices)
            for name in self.sims:
                if name == self.silent:
                    self.unsaid.append(price)
                else:
                    self._minute(name, price * self.lie if name == self.liar else price)

    def return_(self) -> None:
        """Who was silent says what it has not said."""
        for price in self.unsaid:
            self._minute(self.silent, price)
        self.silent, self.unsaid = "", []

    def _minute(self, name: str, price: float) -> None:
        self.sims[name].control.price(NATIVE, price)
        self.sims[name].control.advance(60)

    def settings(self, name: str) -> StreamSettings:
        where = f"{self.sims[name].host}:{self.sims[name].port}"
        return StreamSettings(f"http://{where}/api/v3", f"ws://{where}/ws", 2.0, 0.5, 0.6)


@pytest.fixture(scope="module")
def three() -> Iterator[Exchanges]:
    with ExitStack() as stack:
        yield Exchanges(
            {name: stack.enter_context(simulator("binance", "--symbols", SYMBOL)) for name in NAMES}
        )


@pytest.fixture
def exchanges(three: Exchanges) -> Exchanges:
    """Some minutes of history, and no fault."""
    for sim in three.sims.values():
        sim.control.clear()
    three.liar, three.lie = "", 1.5
    three.minutes(5)
    return three


@pytest.fixture
def taker(exchanges: Exchanges) -> Iterator[Taker]:
    since = market_time(exchanges.sims["first"]) - 3 * MINUTE
    with ExitStack() as stack:
        sources = {}
        for name in NAMES:
            streams = BinanceStreams(exchanges.settings(name))
            stack.callback(streams.close)
            sources[name] = streams.source(SYMBOL, "1m", since)
        merged = MergedBars(SYMBOL, sources, step=MINUTE, grace=1.0)
        merged.start()
        taken = Taker(merged)
        taken.until(lambda: Feed.LIVE in taken.feeds)
        taken.check(3)
        yield taken


def said(caplog: pytest.LogCaptureFixture, event: str, source: str) -> int:
    return sum(event in line and f"'{source}'" in line for line in caplog.text.splitlines())


def test_one_lies_one_goes_silent_and_returns_and_no_bar_is_missing_or_twice(
    exchanges: Exchanges, taker: Taker, caplog: pytest.LogCaptureFixture
) -> None:
    """D16"""
    exchanges.liar = "second"
    exchanges.minutes(2)
    taker.until(lambda: len(taker.bars) == 5)
    exchanges.liar = ""
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 6)
    taker.check(6)
    assert said(caplog, "merge.left_out", "second") == 1
    assert said(caplog, "merge.counts_again", "second") == 1
    exchanges.silent = "third"
    for bars in (7, 8):
        exchanges.minutes(1)
        taker.until(lambda bars=bars: len(taker.bars) == bars)  # type: ignore[misc]
    assert said(caplog, "merge.left_out", "third") == 1
    exchanges.return_()
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 9)
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 10)
    taker.check(10)
    assert said(caplog, "merge.counts_again", "third") == 1
    assert taker.feeds == [Feed.LIVE], "two of three are a quorum"


def test_without_a_quorum_bars_are_not_live_and_come_when_enough_are_back(
    exchanges: Exchanges, taker: Taker
) -> None:
    away = [exchanges.sims[name].control for name in ("second", "third")]
    for control in away:
        control.fault("refuse", seconds=600)
        control.fault("disconnect")
    taker.until(lambda: taker.feeds[-1] is Feed.DISCONNECTED)
    exchanges.minutes(3)
    for control in away:
        control.clear()
    taker.until(lambda: taker.feeds[-1] is Feed.LIVE and len(taker.bars) == 6)
    taker.check(6)


def test_a_plain_script_that_starts_again_is_shown_the_bars_it_saw(
    exchanges: Exchanges, tmp_path: Path
) -> None:
    """D16: stock Cerebro; the second life has a source less, and is shown what was merged before."""

    class Keeper(Watcher):
        def __init__(self) -> None:
            super().__init__()
            self.closes: list[float] = []

        def notify_data(self, data: Any, status: int, *args: object, **kwargs: object) -> None:
            super().notify_data(data, status)
            if status == data.LIVE:
                exchanges.minutes(1)

        def next(self) -> None:
            self.closes.append(self.data.close[0])
            super().next()
            if self.states[-1] == "LIVE":
                exchanges.minutes(1)

    exchanges.liar, exchanges.lie = "third", 1.004
    exchanges.minutes(5)
    start = market_time(exchanges.sims["first"])

    def life(names: tuple[str, ...], live_bars: int) -> Keeper:
        cerebro = bt.Cerebro()
        data = feeds.MergedData(
            dataname=SYMBOL,
            timeframe=bt.TimeFrame.Minutes,
            sources=[feeds.VenueStream(name, "binance", "", exchanges.settings(name)) for name in names],
            fromdate=start - 4 * MINUTE,
            grace=1.0,
            tolerance=0.01,
            remember=tmp_path / "bars.json",
        )
        cerebro.adddata(data)
        cerebro.addstrategy(Keeper, live_bars=live_bars)
        keeper: Keeper = cerebro.run()[0]
        return keeper

    first = life(NAMES, 2)
    assert first.states == ["DELAYED", "LIVE"]
    assert first.times[0] == start - 3 * MINUTE
    second = life(("first", "second"), 5)
    assert not first.closes[0].is_integer(), "the third counts"
    assert second.closes[-1].is_integer(), "and is gone"
    assert second.closes[: len(first.closes)] == first.closes
    assert second.times[: len(first.times)] == first.times
    assert len(second.times) > len(first.times)
    assert all(later - one == MINUTE for one, later in itertools.pairwise(second.times))
