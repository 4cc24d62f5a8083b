"""Runs over resampled bars on the lean engine: which bars come when, and all that lines hold on every step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import UserError
from engine.cerebro import stock_broker
from engine.lean_bars import BarsKnown
from engine.lean_delivery import deliver_recorded, deliver_told, tell_bars
from engine.refusal import Refused
from engine.setup import prepare
from tests.parity.test_lean_stock import SEEN, Setting, assert_same, by_hand, look, market, on_lean, watch

MARKETS = {
    "weeks and months": Setting(bt.Strategy, {"A": market(3, bars=130)}, resample=("1W", "1M")),
    "minutes to hours": Setting(
        bt.Strategy, {"A": market(8, bars=160, start="2024-03-04 09:30", spacing="20min")}, resample=("1h",)
    ),
    "sessions": Setting(
        bt.Strategy,
        {"A": market(9, bars=200, start="2024-03-04", spacing="30min").between_time("09:30", "16:00")},
        resample=("2h", "1D"),
    ),
    "hours to days and weeks": Setting(
        bt.Strategy, {"A": market(8, bars=200, spacing="4h")}, resample=("1D", "1W")
    ),
    "weeks beside two datas": Setting(
        bt.Strategy,
        {
            "A": market(4, bars=90),
            "B": market(5, bars=80, start="2019-01-10").drop(index=market(5).index[30:34]),
        },
        resample=("1W",),
    ),
}


def lines_below(part: Any) -> Iterator[Any]:
    """Every line of the indicators of a strategy, and of those they are made of."""
    for indicator in part.getindicators():
        if isinstance(indicator, bt.LineSeries):
            yield from lines_below(indicator)
            yield from indicator.lines.lines
        else:
            yield indicator


def values_of(line: Any) -> int:
    """A number for all that a line holds, whatever sign a NaN has."""
    values = np.array(line.array)
    values[np.isnan(values)] = np.nan
    return hash(values.tobytes())


class Sees(bt.Strategy):
    """Writes down what every line holds on every step, and orders now and then."""

    def see(self) -> None:
        lines = [line for data in self.datas for line in data.lines.lines] + list(lines_below(self))
        SEEN.append(
            [
                (
                    len(line),
                    line.buflen(),
                    values_of(line),
                    [look(line, ago) for ago in (0, -1, -4, 1)],
                )
                for line in lines
            ]
        )
        SEEN.append([(list(line.get(size=3)), list(line.get(ago=-1, size=2))) for line in lines])
        SEEN.append((len(self), self.datetime.datetime(), [len(each) for each in self.getindicators()]))
        if len(self) % 7 == 3:
            self.buy()
        elif len(self) % 11 == 6:
            self.close()

    def prenext(self) -> None:
        self.see()

    def next(self) -> None:
        self.see()

    def notify_order(self, order: bt.Order) -> None:
        SEEN.append([look(line, 0) for line in lines_below(self)])


class OverOneData(Sees):
    """Indicators that each look at one data alone."""

    def __init__(self) -> None:
        for data in self.datas:
            means = [bt.ind.SMA(data.close, period=3), bt.ind.EMA(data, period=2)]
            bt.ind.CrossOver(*means)
            bt.ind.MACDHisto(data, period_me1=2, period_me2=3, period_signal=2)
            bt.ind.BollingerBands(means[0], period=2)
            bt.ind.ATR(data, period=2)
            bt.ind.Stochastic(data, period=3, period_dfast=2, period_dslow=2)
            rises = bt.And(means[0] > means[0](-1), data.close > data.open)
            bt.If(rises, data.high - data.low, 0.0)


class OwnMemory(bt.Indicator):
    lines = ("sum", "calls")

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data, period=2)
        self.called = 0

    def next(self) -> None:
        self.called += 1
        self.lines.sum[0] = self.mean[0] + (self.lines.sum[-1] if self.called > 1 else 0.0)
        self.lines.calls[0] = self.called


class Reads(bt.Indicator):
    """Looks at an indicator that the strategy makes after it."""

    lines = ("seen",)

    def next(self) -> None:
        later = self._owner.later
        self.lines.seen[0] = later[0] if len(later) else -1.0


class WithMemory(Sees):
    """Indicators computed by methods of their own, between those that are not."""

    def __init__(self) -> None:
        for data in self.datas:
            first = bt.ind.EMA(data, period=2)
            own = OwnMemory(data)
            bt.ind.SMA(own.calls, period=2)
            bt.ind.LaguerreRSI(data)
            Reads(data)
            self.later = bt.ind.SMA(first, period=2)


class AcrossDatas(Sees):
    """Lines of two timeframes in one expression."""

    def __init__(self) -> None:
        slow = bt.ind.SMA(self.datas[-1], period=2)
        fast = bt.ind.EMA(self.data, period=3)
        coupled = slow()
        bt.ind.CrossOver(fast, coupled)
        bt.ind.SMA(fast - self.datas[-1].close(), period=3)
        bt.Or(self.data.close > coupled, self.data.open < self.datas[-1].high())
        self.datas[-1].low() - self.data.low
        bt.ind.BollingerBands(self.datas[-1], period=2)().top - self.data.close


class OnSlowBars(Sees):
    """Lines that move with a higher timeframe and read a lower one."""

    def __init__(self) -> None:
        slow = bt.ind.SMA(self.datas[-1], period=2)
        slow - self.data.close
        bt.ind.SMA(slow - bt.ind.SMA(self.data.close, period=2), period=2)
        bt.Max(self.datas[-1].close, self.data.close)


def at_random(seed: int) -> type[bt.Strategy]:
    """Indicators on lines, and on indicators, of whatever timeframe."""

    class AtRandom(Sees):
        def __init__(self) -> None:
            dice = random.Random(seed)
            lines = [self.data, self.data.close]
            for data in self.datas[
                1:
            ]:  # a line without bars is an IndexError: what is made later reads it later
                lines += [data.low(), bt.ind.SMA(data, period=9), bt.ind.SMA(data, period=3)()]
            for _ in range(12):
                one, other = dice.choice(lines), dice.choice(lines[-8:])
                number = dice.randint(1, 3)
                lines.append(dice.choice(MADE_OF)(one, other, number))

    return AtRandom


MADE_OF: tuple[Callable[[Any, Any, int], Any], ...] = (
    lambda one, other, number: one - other,
    lambda one, other, number: one > other,
    lambda one, other, number: -other,
    lambda one, other, number: number * one,
    lambda one, other, number: one(-number),
    lambda one, other, number: one(),
    lambda one, other, number: other(),
    lambda one, other, number: bt.ind.SMA(one, period=number),
    lambda one, other, number: bt.ind.EMA(other, period=number),
    lambda one, other, number: bt.ind.Highest(other, period=number),
    lambda one, other, number: bt.ind.CrossOver(one, other),
    lambda one, other, number: bt.ind.MACD(one, period_me1=2, period_me2=3, period_signal=number),
    lambda one, other, number: bt.ind.BollingerBands(one, period=number + 1),
    lambda one, other, number: bt.ind.Accum(other),
    lambda one, other, number: bt.And(one, other > number),
    lambda one, other, number: bt.If(one > other, one, other),
    lambda one, other, number: bt.Max(one, other, number),
    lambda one, other, number: bt.Cmp(one, other),
    lambda one, other, number: bt.functions.CmpEx(one, other, one, other, one),
    lambda one, other, number: bt.DivByZero(one, other, zero=0.5),
)


class MakesMore(Sees):
    """An indicator made in the run, one that is a line of the strategy, one whose period changes."""

    lines = ("mean",)

    def __init__(self) -> None:
        self.lines.mean = bt.ind.EMA(self.data, period=3)
        self.fast = bt.ind.SMA(self.datas[-1], period=1)

    def see(self) -> None:
        super().see()
        SEEN.append((look(self.lines.mean, 0), look(self.lines.mean, -1)))
        if len(self) == 20:
            self.more = bt.ind.SMA(self.data, period=2)


STRATEGIES = (OverOneData, WithMemory, AcrossDatas, OnSlowBars, MakesMore)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", MARKETS)
def test_lines_hold_what_they_hold_in_stock(name: str, strategy: type[bt.Strategy]) -> None:
    kept = MARKETS[name]
    assert_same(Setting(strategy, kept.frames, kept.resample))


@pytest.mark.parametrize("seed", range(10))
def test_indicators_at_random(seed: int) -> None:
    kept = list(MARKETS.values())[seed % len(MARKETS)]
    setting = Setting(
        at_random(seed), {name: frame[:70] for name, frame in kept.frames.items()}, kept.resample
    )
    expected, seen = watch(by_hand, setting)
    answer, lean_seen = watch(on_lean, setting)
    assert (type(answer), len(lean_seen)) == (type(expected), len(seen))
    assert repr(lean_seen) == repr(seen)


class WritesToALine(Sees):
    def __init__(self) -> None:
        self.highest = bt.ind.Highest(self.data, period=3)

    def see(self) -> None:
        if len(self) == 20:
            self.data.lines.close[0] = 1.0


class ChangesAPeriod(WritesToALine):
    def see(self) -> None:
        if len(self) == 20:
            self.highest.p.period = 2


@pytest.mark.parametrize("strategy", [WritesToALine, ChangesAPeriod])
def test_refuses_what_changes_values_that_are_known(strategy: type[bt.Strategy]) -> None:
    weeks = MARKETS["weeks and months"]
    answer, _ = watch(on_lean, Setting(strategy, weeks.frames, weeks.resample))
    assert isinstance(answer, Refused)


def known_ahead(strategy: type[bt.Strategy], setting: Setting) -> list[str]:
    """Classes of the strategy's indicators that are known before the run."""
    setup = prepare(
        strategy, {}, setting.frames, stock_broker(1e5, 0.0), resample=setting.resample, recorder=False
    )
    datas = sorted(setup.datas, key=lambda data: (data._timeframe, data._compression))
    bars = BarsKnown(setup.cerebro, setup.strategy, datas, [-1], lambda *_: None)
    return [type(each).__name__ for each in setup.strategy.getindicators() if id(each) in bars._ahead]


def test_what_is_known_before_the_run() -> None:
    """The test above would pass, too, if no indicator were."""
    weeks = MARKETS["weeks and months"]
    names = known_ahead(OverOneData, weeks)
    for name in ("SMA", "CrossOver", "MACDHisto", "BollingerBands", "ATR", "Stochastic", "And", "If"):
        assert names.count(name) >= len(weeks.resample) + 1, name
    assert known_ahead(WithMemory, weeks) == ["EMA", "SMA"] * 3


def same_delivery(frames: dict[str, pd.DataFrame], resample: tuple[str, ...]) -> bool | None:
    """Whether bars told from the times are those Backtrader delivers, at the same steps; None where it must tell."""

    def datas() -> tuple[Any, list[Any]]:
        broker = stock_broker(1e5, 0.0)
        setup = prepare(bt.Strategy, {}, frames, broker, resample=resample, recorder=False)
        return setup.cerebro, sorted(setup.datas, key=lambda data: (data._timeframe, data._compression))

    (_, ours), (cerebro, theirs) = datas(), datas()
    bars = tell_bars(ours)
    if bars is None:
        return None
    told, delivered = deliver_told(ours, bars), deliver_recorded(cerebro, theirs)
    assert delivered.error is None
    pairs = zip(ours, theirs, strict=True)
    lines = [pair for a, b in pairs for pair in zip(a.lines.lines, b.lines.lines, strict=True)]
    return (
        told.times == delivered.times
        and np.array_equal(told.at, delivered.at)
        and np.array_equal(told.held, delivered.held)
        and all(a.array.tobytes() == b.array.tobytes() and len(a) == len(b) for a, b in lines)
    )


@pytest.mark.parametrize("name", MARKETS)
def test_bars_are_told_from_the_times(name: str) -> None:
    assert same_delivery(MARKETS[name].frames, MARKETS[name].resample)


SECOND = pd.Timedelta("1s")
HIGHER = ("2m", "5m", "15m", "45m", "1h", "90m", "4h", "1D", "2D", "1W", "2W", "1M", "3M")
SPACINGS = {"20s": 0, "1min": 0, "7min": 2, "20min": 4, "1h": 6, "4h": 7}
"""Spacings of bars, and from where on timeframes are above them all."""


@settings(max_examples=60, deadline=None)
@given(
    spacing=st.sampled_from(sorted(SPACINGS)),
    start=st.integers(0, 20 * 24 * 3600),
    gaps=st.lists(st.just(1) | st.integers(1, 200), min_size=2, max_size=80),
    late=st.sampled_from((0, 0, 1, 17)),
    resample=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
    other=st.none() | st.integers(-30, 30),
)
def test_bars_are_told_or_left_to_backtrader(
    spacing: str, start: int, gaps: list[int], late: int, resample: list[int], other: int | None
) -> None:
    """Whatever the times: bars with gaps between them, off the grid, over midnights and months."""
    frame = market(6, bars=len(gaps))
    places = np.cumsum([0, *gaps[1:]])
    begin = pd.Timestamp("2024-01-25", tz="UTC") + pd.Timedelta(seconds=start - start % (60 if late else 1))
    seconds = late * (np.arange(len(gaps)) % 3 == 1)
    index = begin + pd.TimedeltaIndex(places * pd.Timedelta(spacing)) + pd.TimedeltaIndex(seconds * SECOND)
    specs = dict.fromkeys(HIGHER[min(SPACINGS[spacing] + number * 2, len(HIGHER) - 1)] for number in resample)
    try:
        given = {"A": frame.set_axis(index.rename("time"))}
        if other is not None:
            given["B"] = given["A"].shift(other, freq="1h")[other % 3 :: 2]
        same = same_delivery(given, tuple(specs))
    except UserError:  # what is mostly gaps counts as a higher timeframe
        assume(False)
    assert same is not False


def test_times_that_rounding_could_move_to_the_next_day_are_left_to_backtrader() -> None:
    frame = market(8, bars=30, start="2019-01-01 23:59:59.5", spacing="D")
    assert same_delivery({"A": frame}, ("1W",)) is None
