"""`engine.lookahead`: errors planted one by one are each named, and strategies without them are left in peace."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigError, StrategyError
from engine.cerebro import stock_broker
from engine.lookahead import Lookahead, lookahead
from feeds import load
from tests.parity.corpus.manifest import CORPUS
from tests.parity.markets import frames

BARS = 140
MARKET = frames("trend", 3, BARS)
SAMPLE_PERIOD = 10


class Crossing(bt.Strategy):
    """No error in it: an average, and orders from what is known."""

    params = {"period": SAMPLE_PERIOD}

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data.close, period=self.p.period)

    def next(self) -> None:
        if not self.position and self.data.close[0] > self.mean[0]:
            self.buy(size=10)
        elif self.position and self.data.close[0] < self.mean[0]:
            self.close()


class ReadsTomorrow(bt.Strategy):
    def next(self) -> None:
        if not self.position and self.data.close[1] > self.data.close[0]:
            self.buy(size=10)
        elif self.position and self.data.close[1] < self.data.close[0]:
            self.close()


class ReadsTomorrowWhileThereIsOne(bt.Strategy):
    def next(self) -> None:
        if len(self.data) == self.data.buflen():
            return
        if not self.position and self.data.close[1] > self.data.close[0]:
            self.buy(size=10)
        elif self.position and self.data.close[1] < self.data.close[0]:
            self.close()


class GetsTomorrow(bt.Strategy):
    def next(self) -> None:
        ahead = self.data.close.get(ago=1, size=1)
        if ahead and not self.position and ahead[0] > self.data.close[0]:
            self.buy(size=10)
        elif ahead and self.position and ahead[0] < self.data.close[0]:
            self.close()


class WholeArray(bt.Strategy):
    def next(self) -> None:
        typical = np.median(self.data.close.array)
        if not self.position and self.data.close[0] < typical:
            self.buy(size=10)
        elif self.position and self.data.close[0] > typical:
            self.close()


class KnowsTheEnd(bt.Strategy):
    def next(self) -> None:
        left = len(self.data.array) - len(self.data)
        if left == 40:
            self.buy(size=10)
        elif left == 20:
            self.close()


class CentredMean(bt.Indicator):
    lines = ("mean",)

    def __init__(self) -> None:
        self.addminperiod(5)

    def once(self, start: int, end: int) -> None:
        prices, means = self.data.array, self.line.array
        for bar in range(start, end):
            means[bar] = np.mean(prices[max(0, bar - 2) : bar + 3])


class Scaled(bt.Indicator):
    lines = ("share",)

    def once(self, start: int, end: int) -> None:
        highest = max(self.data.array)
        for bar in range(start, end):
            self.line.array[bar] = self.data.array[bar] / highest


class OnCentredMean(bt.Strategy):
    def __init__(self) -> None:
        self.mean = CentredMean(self.data.close)
        self.slow = bt.ind.SMA(self.mean, period=4)

    def next(self) -> None:
        if not self.position and self.slow[0] > self.slow[-1]:
            self.buy(size=10)
        elif self.position and self.slow[0] < self.slow[-1]:
            self.close()


class OnScaled(bt.Strategy):
    def __init__(self) -> None:
        self.share = Scaled(self.data.close)

    def next(self) -> None:
        if not self.position and self.share[0] > 0.8:
            self.buy(size=10)


class ReadAhead(bt.Strategy):
    """A line of Backtrader's own that is the future."""

    def __init__(self) -> None:
        self.ahead = self.data.close(2)
        self.rise = self.ahead - self.data.close

    def next(self) -> None:
        if not self.position and self.rise[0] > 0:
            self.buy(size=10)
        elif self.position and self.rise[0] < 0:
            self.close()


class UnfinishedWeek(bt.Strategy):
    """Every day is told its week's close, as a join on the week does it."""

    def __init__(self) -> None:
        times = pd.DatetimeIndex([bt.num2date(day) for day in self.data.datetime.array])
        closes = pd.Series(list(self.data.close.array), index=times)
        self.weekly = closes.groupby(times.to_period("W")).transform("last").to_numpy()

    def next(self) -> None:
        if not self.position and self.weekly[len(self) - 1] > self.data.close[0]:
            self.buy(size=10)
        elif self.position:
            self.close()


class PeriodOfTheData(bt.Strategy):
    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data.close, period=len(self.data.close.array) // 10)


class Exponential(bt.Strategy):
    def __init__(self) -> None:
        self.mean = bt.ind.EMA(self.data.close, period=SAMPLE_PERIOD)
        self.plain = bt.ind.SMA(self.data.close, period=SAMPLE_PERIOD)

    def next(self) -> None:
        if not self.position and self.data.close[0] > self.mean[0]:
            self.buy(size=10)
        elif self.position and self.data.close[0] < self.mean[0]:
            self.close()


class Total(bt.Indicator):
    """Counts from the first bar on: no warm-up makes it forget where that was."""

    lines = ("total",)

    def nextstart(self) -> None:
        self.line[0] = self.data.volume[0]

    def next(self) -> None:
        self.line[0] = self.line[-1] + self.data.volume[0]


class OnTotal(bt.Strategy):
    def __init__(self) -> None:
        self.total = Total(self.data)


class Restless(bt.Strategy):
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.size = type(self).made

    def next(self) -> None:
        if len(self) == 20:
            self.buy(size=self.size)


class FailsInTheMiddle(bt.Strategy):
    def next(self) -> None:
        if len(self) == 60:
            raise ZeroDivisionError("no trades")


class WantsManyBars(bt.Strategy):
    """Fails where bars are cut, for a reason that is its own."""

    def __init__(self) -> None:
        if self.data.buflen() < BARS:
            raise ValueError("needs all the bars it was written for")

    def next(self) -> None:
        if not self.position:
            self.buy(size=1)


def look(strategy: type[bt.Strategy], data: Any = MARKET, **options: Any) -> Lookahead:
    return lookahead(strategy, data, **options)


def line_of(strategy: type[bt.Strategy], text: str) -> str:
    """`file:line` of a line of this file's classes."""
    import inspect

    lines, first = inspect.getsourcelines(strategy)
    number = next(place for place, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(strategy)}:{first + number}"


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (ReadsTomorrow, "self.data.close[1] >"),
        (ReadsTomorrowWhileThereIsOne, "self.data.close[1] >"),
        (GetsTomorrow, ".get(ago=1"),
        (WholeArray, "self.data.close.array"),
        (KnowsTheEnd, "len(self.data.array)"),
        (UnfinishedWeek, "self.data.close.array"),
    ],
)
def test_a_decision_that_knows_the_future_is_named_with_its_bar_and_its_line(
    strategy: type[bt.Strategy], text: str
) -> None:
    found = look(strategy)
    assert not found.clean
    for finding in found.findings:
        assert finding.kind in ("decision", "failure")
        assert finding.time in MARKET["ALPHA"].index
        assert any(place.startswith(line_of(strategy, text)) for place in finding.source), finding


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (OnCentredMean, "self.mean (CentredMean)"),
        (OnScaled, "self.share (Scaled)"),
        (ReadAhead, "self.ahead (a line 2 bars ahead)"),
    ],
)
def test_an_indicator_that_knows_the_future_is_named_and_what_it_feeds_is_not(
    strategy: type[bt.Strategy], name: str
) -> None:
    found = look(strategy)
    assert [(finding.kind, finding.subject) for finding in found.findings] == [("indicator", name)]
    assert found.findings[0].runs > 1
    assert found.findings[0].time in MARKET["ALPHA"].index


class ReadsBeforeTheFirstBar(bt.Strategy):
    def next(self) -> None:
        if not self.position and self.data.close[0] > self.data.close[-3]:
            self.buy(size=10)
        elif self.position:
            self.close()


def test_a_negative_index_before_the_first_bar_is_found_and_explained() -> None:
    """Backtrader answers it with the last bars: on rising prices none of the first is above those."""
    found = look(ReadsBeforeTheFirstBar, seed=1)
    (finding,) = found.findings
    assert finding.time in MARKET["ALPHA"].index[:3]
    assert [place.split(": ")[1] for place in finding.source] == ["self.data.close[-3]"]
    assert "addminperiod" in finding.advice


def test_a_line_made_to_be_drawn_ahead_is_no_finding_unless_an_order_depends_on_it() -> None:
    class Cloud(bt.Strategy):
        def __init__(self) -> None:
            self.cloud = bt.ind.Ichimoku(self.data, tenkan=4, kijun=9, senkou=18, senkou_lead=9, chikou=9)

        def next(self) -> None:
            if not self.position and self.data.close[0] > self.watched()[0]:
                self.buy(size=10)
            elif self.position and self.data.close[0] < self.watched()[0]:
                self.close()

        def watched(self) -> Any:
            return self.cloud.lines.kijun_sen

    class Lagging(Cloud):
        def watched(self) -> Any:
            return self.cloud.lines.chikou_span

    found = look(Cloud)
    assert found.clean
    assert any("a line 9 bars ahead" in note and "no order depends on it" in note for note in found.notes)
    assert ["a line 9 bars ahead" in one.subject for one in look(Lagging).findings] == [True]


def test_the_first_bar_that_differs_is_the_one_named() -> None:
    """A line two bars ahead differs from two bars before the cut on."""
    found = look(ReadAhead, cuts=1)
    finding = found.findings[0]
    times = MARKET["ALPHA"].index
    kept = pd.Timestamp(finding.how.rpartition(" ")[2], tz="UTC")
    assert times.get_loc(finding.time) == times.get_loc(kept) - 1


def test_periods_taken_from_the_number_of_bars_are_found() -> None:
    found = look(PeriodOfTheData)
    assert [finding.kind for finding in found.findings] == ["setup"]
    assert f"SMA(period={BARS // 10})" in found.findings[0].what


def test_weekly_bars_stamped_with_their_monday_are_found_and_those_of_their_friday_are_not() -> None:
    daily = MARKET["ALPHA"]
    weeks = daily.index.tz_localize(None).to_period("W")
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    weekly = daily.groupby(weeks).agg(rules)
    first, last = (daily.index.to_series().groupby(weeks).agg(which) for which in ("first", "last"))

    def stamped(times: pd.Series) -> dict[str, pd.DataFrame]:
        return {"ALPHA": daily, "WEEKS": weekly.set_axis(pd.DatetimeIndex(times, name="time"))}

    found = look(Crossing, stamped(first))
    assert [(finding.kind, finding.subject) for finding in found.findings] == [("data", "WEEKS")]
    assert look(Crossing, stamped(last)).clean


CLEAN = (
    "golden_cross.py",
    "many_averages.py",
    "macd_atr.py",
    "bracket_ema.py",
    "limits_that_expire.py",
    "pairs_zscore.py",
    "multi_data_inds.py",
    "prenext_trades.py",
    "supertrend.py",
    "indicator_once.py",
    "weekly_filter.py",
    "weekly_breakout.py",
    "random_entry.py",
    "cheat_on_open.py",
    "cheat_on_close.py",
)


@pytest.mark.parametrize("file", CLEAN)
def test_strategies_without_look_ahead_are_clean(file: str) -> None:
    entry = next(entry for entry in CORPUS if entry.file == file)
    market = frames(entry.kinds[0], 1, entry.bars, entry.starts, entry.holes)
    found = look(
        entry.load(),
        market,
        params=entry.params,
        cash=entry.cash,
        commission=entry.commission,
        resample=entry.resample,
        cheat_on_open=entry.cheat_on_open,
    )
    assert found.clean, str(found)
    assert (found.cuts, found.perturbed) == (6, 6), found.notes


@pytest.mark.parametrize("name", ["momentum", "range_bound", "level_based"])
def test_the_strategies_that_come_along_are_clean(name: str) -> None:
    found = lookahead(name, load("sample:goog").frames["GOOG"].head(250), cuts=2)
    assert found.clean, str(found)
    assert str(found).splitlines()[0] == "no look-ahead found: 2 cuts, 2 perturbed, 250 bars"


def test_cheats_are_named_and_are_no_look_ahead() -> None:
    broker = stock_broker(100_000.0, 0.001)
    broker.set_coc(True)
    found = look(Crossing, broker=broker, cheat_on_open=True)
    assert found.clean
    assert [note.partition(" is on")[0] for note in found.notes] == ["cheat-on-close", "cheat-on-open"]


def test_an_average_that_carries_itself_on_needs_more_bars_than_it_declares() -> None:
    """The part of the bars before shrinks by 9/11 a bar in an EMA of 10: a thousandth of 5% is left after 20."""
    found = look(Exponential)
    assert found.clean
    (mean,) = found.warm_ups
    assert mean.indicator == f"self.mean (EMA(period={SAMPLE_PERIOD}))"
    assert mean.declared == SAMPLE_PERIOD
    assert mean.needed is not None
    start = len(MARKET["ALPHA"]) // 10
    assert mean.needed == max(settled_after(int(BARS * share)) for share in (0.1, 0.25, 0.5)), start
    assert 0.001 < mean.off < 0.2


def settled_after(dropped: int) -> int:
    """By hand: bars of the later data until its EMA stays within 0.1% of the EMA over all bars."""

    def average(prices: np.ndarray) -> np.ndarray:
        values = np.full(len(prices), np.nan)
        values[SAMPLE_PERIOD - 1] = prices[:SAMPLE_PERIOD].mean()
        for bar in range(SAMPLE_PERIOD, len(prices)):
            values[bar] = values[bar - 1] + 2 / (SAMPLE_PERIOD + 1) * (prices[bar] - values[bar - 1])
        return values

    prices = MARKET["ALPHA"]["close"].to_numpy()
    whole, late = average(prices)[dropped:], average(prices[dropped:])
    known = np.isfinite(whole) & np.isfinite(late)
    usual = np.abs(whole[known]).mean()
    beyond = np.flatnonzero(known & (np.abs(late - whole) > 0.001 * np.maximum(np.abs(whole), usual)))
    return int(beyond[-1]) + 2 if beyond.size else 0


def test_a_wider_tolerance_needs_fewer_bars_and_orders_are_compared() -> None:
    strict, loose = look(Exponential, tolerance=1e-6), look(Exponential, tolerance=0.01)
    (needed,) = (one.needed for one in strict.warm_ups)
    assert needed is not None
    assert all(one.needed is not None and one.needed < needed for one in loose.warm_ups)
    assert all(start.compared > 0 for start in strict.starts)


def test_orders_that_hang_on_the_warm_up_are_told() -> None:
    class OnTotalOrders(OnTotal):
        def next(self) -> None:
            if not self.position and self.total[0] > 1e6:
                self.buy(size=1)

    found = look(OnTotalOrders)
    assert any(start.orders_differ for start in found.starts)
    assert "orders differ because of it" in str(found)
    assert "no order differs because of it" in str(look(OnTotal))


def test_a_total_from_the_first_bar_on_never_settles() -> None:
    (total,) = look(OnTotal).warm_ups
    assert total.needed is None


def test_windows_alone_need_no_more_than_they_declare() -> None:
    found = look(Crossing)
    assert found.warm_ups == ()
    assert "every indicator agrees within 0.1% from its first value on, on 3 later starts" in str(found)


def test_the_same_seed_gives_the_same_answer_and_another_one_other_bars() -> None:
    first, again, other = (look(OnScaled, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.findings[0].what != other.findings[0].what


def test_a_strategy_that_does_otherwise_on_the_same_bars_is_refused() -> None:
    with pytest.raises(StrategyError, match="does not do the same twice"):
        look(Restless)


def test_a_failure_of_the_strategy_on_all_bars_is_its_author_s() -> None:
    with pytest.raises(StrategyError, match="no trades"):
        look(FailsInTheMiddle)


def test_a_failure_on_cut_bars_before_the_first_is_said_and_no_finding() -> None:
    found = look(WantsManyBars)
    assert found.clean
    assert (found.cuts, found.perturbed) == (0, 6)
    assert any("needs all the bars it was written for" in note for note in found.notes)


@pytest.mark.parametrize("options", [{"cuts": 0}, {"tolerance": 0.0}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        look(Crossing, **options)
