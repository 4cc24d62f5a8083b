"""Resampled bars in a kernel against stock Backtrader: which bars come when, and indicators over them."""

from __future__ import annotations

from types import SimpleNamespace

import backtrader as bt
import pandas as pd
import pytest

from engine.cerebro import assemble, history_feed, stock_broker
from engine.compiled.delivery import check_indicators, deliver
from engine.once import evaluate
from engine.refusal import Refused
from engine.setup import Setup, prepare
from tests.parity.engines import Case, difference, on_fast, on_stock
from tests.parity.markets import frames
from tests.parity.test_once_stock import CLASSES, _builder, _nodes, _same_bits

BARS = 240
WEEKS = 45
"""How long a warm-up leaves some of those bars."""


def _market(kind: str = "trend", bars: int = BARS, spacing: str = "") -> dict[str, pd.DataFrame]:
    found = frames(kind, 3, bars)
    if not spacing:
        return found
    index = pd.date_range("2024-01-01", periods=bars, freq=spacing, tz="UTC", name="time")
    return {name: frame.set_axis(index) for name, frame in found.items()}


def _strategy(names: list[str]) -> type[bt.Strategy]:
    """All these indicators over the bars that are given and over those made of them."""

    class Built(bt.Strategy):
        def __init__(self):
            for data in self.datas:
                for name in names:
                    _builder(name)(SimpleNamespace(data=data))

    return Built


def _prepared(strategy: type[bt.Strategy], market: dict[str, pd.DataFrame]) -> Setup:
    return prepare(strategy, {}, market, stock_broker(1e5, 0.0), resample=("1W",), recorder=False)


def _accepted() -> list[str]:
    """The classes that a kernel may evaluate at once where bars are resampled, without those made of others alone."""
    found = []
    for name in sorted(CLASSES):
        if name.endswith(("Envelope", "Oscillator")):
            continue
        setup = _prepared(_strategy([name]), _market(bars=30))
        if setup.strategy._minperiods[1] > WEEKS:
            continue
        try:
            check_indicators(setup)
        except Refused:
            continue
        found.append(name)
    return found


def test_indicators_are_those_of_bar_by_bar():
    """Every class that is let through has the same lines, to the last bit, as Backtrader moving it bar by bar."""
    names = _accepted()
    assert {"ExponentialMovingAverage", "AverageTrueRange", "MACD", "CrossOver", "Stochastic"} <= set(names)
    assert not {"LaguerreRSI", "ParabolicSAR", "ZeroLagIndicator", "Ichimoku"} & set(names)
    strategy, market = _strategy(names), _market("coarse")
    feeds = {name: history_feed(name, frame) for name, frame in market.items()}
    (stock,) = assemble(strategy, {}, feeds, stock_broker(1e5, 0.0), resample=("1W",)).run()
    setup = _prepared(strategy, market)
    deliver(setup)
    evaluate(setup.strategy)
    for theirs, ours in zip(_nodes(stock), _nodes(setup.strategy), strict=True):
        assert theirs[0] == ours[0]
        assert _same_bits(theirs[4], ours[4]), f"{ours[0]} differs"


class Ladder(bt.Strategy):
    """What it orders depends on how many bars of each data it has seen, and on what they were."""

    params = (("period", 3),)

    def __init__(self):
        self.means = [bt.ind.EMA(data, period=self.p.period) for data in self.datas]

    def prenext(self):
        if len(self) % 5 == 2:
            self.buy(size=len(self.data1) + 1)

    def nextstart(self):
        self.sell(size=2)

    def next(self):
        units = sum(len(data) for data in self.datas) % 7
        if units == 3:
            self.buy(size=1 + units, exectype=bt.Order.Limit, price=self.data1.low[0])
        elif units == 5 and self.means[0][0] > self.means[-1][-1]:
            self.close()
        elif units == 6 and self.datetime.date(0).day > 9:
            self.sell(size=1 + len(self) % 3, exectype=bt.Order.Stop, price=self.data1.low[-1])


SETTINGS: dict[str, tuple[dict[str, pd.DataFrame], tuple[str, ...]]] = {
    "weeks": (_market("gappy"), ("1W",)),
    "weeks and months": (_market("chop"), ("1W", "1M")),
    "two weeks": (_market("gappy"), ("2W",)),
    "hours to days and weeks": (_market("chop", spacing="4h"), ("1D", "1W")),
    "minutes to hours": (_market("minute", spacing="20min"), ("1h",)),
    "quarters of an hour": (frames("minute", 2, 300), ("30m", "2h")),
    "weeks beside two datas": (frames("trend", 5, 160, (0, 12), holes=True), ("1W",)),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bars_come_as_stock_delivers_them(name: str) -> None:
    market, resample = SETTINGS[name]
    case = Case(Ladder, {}, market, resample=resample)
    stock = on_stock(case)
    assert stock.recording is not None, stock.error
    assert len(stock.recording.fills) > 10
    for _ in range(2):
        assert difference(stock, on_fast("compiled", case)) is None


def test_higher_frames_are_no_part_of_the_past():
    """A bar further back than the first is a wrap around to the newest in stock; a kernel leaves that to lean."""

    class Back(bt.Strategy):
        def prenext(self):
            if len(self.data1) and self.data1.close[-1] > 0:
                self.buy()

        def next(self):
            self.prenext()

    fast = on_fast("compiled", Case(Back, {}, _market("trend"), resample=("1W",)))
    assert "ends in an exception" in str(fast.refusal)


class OrdersWeeks(bt.Strategy):
    def next(self):
        self.buy(data=self.data1)


class Mixes(bt.Strategy):
    def __init__(self):
        self.above = bt.ind.CrossOver(self.data0.close, bt.ind.SMA(self.data1, period=3))

    def next(self):
        if self.above[0] > 0:
            self.buy()


class Remembers(bt.Strategy):
    def __init__(self):
        self.line = bt.ind.LaguerreRSI(self.data1)

    def next(self):
        self.buy()


class Chooses(bt.Strategy):
    def __init__(self):
        close = self.data1.close
        self.line = bt.functions.CmpEx(close, close(-1), close, close, close)

    def next(self):
        if self.line[0] > 1:
            self.buy()


class TooEarly(bt.Indicator):
    """Its average is older than the line it averages."""

    lines = ("value",)

    def __init__(self):
        self.average = bt.ind.SMA(self.lines.value(-1), period=2)
        self.lines.value = self.data.close + 1.0


class ReadsTooEarly(bt.Strategy):
    def __init__(self):
        self.line = TooEarly(self.data1)

    def next(self):
        if self.line.average[0] > 1:
            self.buy()


REFUSED = {
    Chooses: "CmpEx may come to other values bar by bar",
    ReadsTooEarly: "reads a line that has no values yet",
    OrdersWeeks: "orders what may be a resampled data",
    Mixes: "mixes bars of two datas",
    Remembers: "LaguerreRSI is computed bar by bar",
}


@pytest.mark.parametrize("strategy", REFUSED)
def test_what_is_refused_is_named(strategy: type[bt.Strategy]) -> None:
    fast = on_fast("compiled", Case(strategy, {}, _market("trend"), resample=("1W",)))
    assert REFUSED[strategy] in str(fast.refusal)
