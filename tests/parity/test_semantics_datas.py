"""Several datas, higher timeframes, and Backtrader's oddities: sections 12 to 14 of docs/engine-semantics.md."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from core.errors import StrategyError
from tests.parity.semantics import EVERY_ENGINE, FLAT, RISING, frame_of, outcome

pytestmark = EVERY_ENGINE
LOW = (10.0, 10.0, 8.0, 10.0)


def with_holes(*kept: int) -> dict[str, pd.DataFrame]:
    """A over the five rising bars, B over those of its rows that are kept, at ten times the price."""
    full = frame_of(RISING)
    return {"A": full, "B": (full * 10.0).iloc[[number - 1 for number in kept]]}


class Lengths(bt.Strategy):
    """Keeps the lengths of its datas, and the last close of the second."""

    def __init__(self):
        self.seen = []

    def prenext(self):
        self.seen.append(("prenext", len(self), len(self.data0), len(self.data1)))

    def next(self):
        self.seen.append(("next", len(self), len(self.data0), len(self.data1), self.data1.close[0]))


def test_each_step_moves_the_datas_that_are_due(engine: str) -> None:
    """Rule 12.1"""
    done = outcome(engine, Lengths, with_holes(1, 3, 5), may_refuse=["compiled"])
    assert done.strategy.seen == [
        ("next", 1, 1, 1, 100.0),
        ("next", 2, 2, 1, 100.0),
        ("next", 3, 3, 2, 140.0),
        ("next", 4, 4, 2, 140.0),
        ("next", 5, 5, 3, 180.0),
    ]


def test_a_bar_of_any_data_is_a_step(engine: str) -> None:
    """Rule 12.2"""
    frames = with_holes(1, 2, 3, 4, 5)
    frames["B"].index += pd.Timedelta(hours=12)

    class Times(bt.Strategy):
        def __init__(self):
            self.seen = []

        def prenext(self):
            self.seen.append((len(self), len(self.data0), len(self.data1)))

        def next(self):
            self.seen.append((len(self), len(self.data0), len(self.data1)))

    done = outcome(engine, Times, frames, may_refuse=["compiled"])
    assert done.strategy.seen[:4] == [(1, 1, 0), (2, 1, 1), (3, 2, 1), (4, 2, 2)]
    assert len(done.value) == 10


def test_next_waits_for_every_data(engine: str) -> None:
    """Rule 12.3"""
    done = outcome(engine, Lengths, with_holes(3, 4), may_refuse=["compiled"])
    assert [seen[0] for seen in done.strategy.seen] == ["prenext", "prenext", "next", "next", "next"]


def test_a_market_order_waits_for_a_bar_of_its_own_data(engine: str) -> None:
    """Rule 12.4"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(data=self.data1, size=1)

    assert outcome(engine, Buy, with_holes(1, 4, 5)).fills == [(4, 1, 150.0)]


def test_other_orders_match_a_stale_bar(engine: str) -> None:
    """Rule 12.5"""

    class Limit(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(data=self.data1, size=1, exectype=bt.Order.Limit, price=8.5)

    stale = frame_of([LOW, *FLAT[1:]]).iloc[[0, 4]]
    done = outcome(engine, Limit, {"A": frame_of(FLAT), "B": stale})
    # Decided on the second bar, matched on the third, at a low of the first, and dated by it.
    assert done.fills == [(1, 1, 8.5)]
    assert done.cash == [1000.0, 1000.0, 991.5, 991.5, 991.5, 991.5]


def test_a_stale_close_values_the_position(engine: str) -> None:
    """Rule 12.6"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(data=self.data1, size=1)

    done = outcome(engine, Buy, with_holes(1, 2, 5))
    assert done.value == [1000.0, 1010.0, 1010.0, 1010.0, 1070.0]


def test_a_data_that_has_not_begun_shows_its_last_bar(engine: str) -> None:
    """Rule 12.7"""

    class Ahead(bt.Strategy):
        def __init__(self):
            self.seen = []

        def prenext(self):
            self.seen.append((len(self.data1), self.data1.close[0]))

    done = outcome(engine, Ahead, with_holes(4, 5), may_refuse=["compiled"])
    assert done.strategy.seen == [(0, 180.0), (0, 180.0), (0, 180.0)]


def test_indicators_live_on_the_bars_of_their_data(engine: str) -> None:
    """Rule 12.8"""

    class Mean(bt.Strategy):
        def __init__(self):
            self.mean = bt.ind.SMA(self.data1, period=2)
            self.seen = []

        def next(self):
            self.seen.append((len(self), self.mean[0]))

    done = outcome(engine, Mean, with_holes(1, 3, 5), may_refuse=["compiled"])
    assert done.strategy.seen == [(3, 120.0), (4, 120.0), (5, 160.0)]


def test_cheat_on_open_matches_a_stale_open(engine: str) -> None:
    """Rule 12.9"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(data=self.data1, size=1)

    done = outcome(engine, Buy, with_holes(1, 4, 5), cheat_on_open=True)
    assert done.fills == [(1, 1, 100.0)]
    assert done.cash == [1000.0, 900.0, 900.0, 900.0, 900.0]


def two_weeks() -> pd.DataFrame:
    """Friday, then Monday to Wednesday of the next week."""
    return frame_of(RISING[:4], start="2024-01-05", spacing="B")


def test_a_week_is_seen_when_the_next_has_begun(engine: str) -> None:
    """Rule 13.1"""

    class Weeks(bt.Strategy):
        def __init__(self):
            self.seen = []

        def prenext(self):
            self.seen.append((len(self.data0), len(self.data1)))

        def next(self):
            self.seen.append((len(self.data0), len(self.data1), self.data1.close[0]))

    done = outcome(engine, Weeks, two_weeks(), resample=["1W"])
    assert done.strategy.seen == [(1, 0), (2, 1, 10.0), (3, 1, 10.0), (4, 1, 10.0), (4, 2, 16.0)]


def test_the_last_bar_is_delivered_twice(engine: str) -> None:
    """Rule 13.2"""

    class Count(bt.Strategy):
        def __init__(self):
            self.seen = []

        def next(self):
            self.seen.append((len(self), len(self.data0), self.data0.close[0]))
            if len(self.seen) == 3:
                self.buy(data=self.data0, size=1, exectype=bt.Order.Limit, price=15.0)

    done = outcome(engine, Count, two_weeks(), resample=["1W"])
    assert done.strategy.seen[-2:] == [(4, 4, 16.0), (5, 4, 16.0)]
    # Decided on the last daily bar, filled on that same bar when it comes round again.
    assert done.fills == [(4, 1, 15.0)]


def test_higher_bars_bring_no_new_price_to_the_lower(engine: str) -> None:
    """Rule 13.3"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self.data1) == 1 and not self.position:
                self.buy(data=self.data0, size=1)

    done = outcome(engine, Buy, two_weeks(), resample=["1W"])
    assert done.fills == [(3, 1, 13.0)]


def test_replay_grows_one_bar(engine: str) -> None:
    """Rule 13.4. Replay is no option of the engines: this is stock alone."""
    if engine != "stock":
        return

    class Grow(bt.Strategy):
        def __init__(self):
            self.seen = []

        def next(self):
            self.seen.append((len(self.data), self.data.open[0], self.data.high[0], self.data.close[0]))

    cerebro = bt.Cerebro(stdstats=False)
    frame = two_weeks().tz_localize(None)
    cerebro.replaydata(bt.feeds.PandasData(dataname=frame), timeframe=bt.TimeFrame.Weeks)
    cerebro.addstrategy(Grow)
    (ran,) = cerebro.run()
    assert ran.seen == [
        (1, 10.0, 10.5, 10.0),
        (2, 11.0, 12.5, 12.0),
        (2, 11.0, 14.5, 14.0),
        (2, 11.0, 16.5, 16.0),
    ]


def raised_by(engine: str, strategy: type[bt.Strategy], bars: Any) -> BaseException | None:
    """What a run raises; ours name the strategy and keep the original as the cause."""
    with pytest.raises((StrategyError, ArithmeticError)) as caught:
        outcome(engine, strategy, bars)
    return caught.value.__cause__ if isinstance(caught.value, StrategyError) else caught.value


def test_rsi_of_flat_prices_fails(engine: str) -> None:
    """Rule 14.1"""

    class Flat(bt.Strategy):
        def __init__(self):
            bt.ind.RSI(period=3)

    assert isinstance(raised_by(engine, Flat, FLAT), ZeroDivisionError)


def test_a_mean_is_summed_exactly(engine: str) -> None:
    """Rule 14.2"""
    closes = [0.1, 0.2, 0.3, 1e16, 1.0, -1e16]
    bars = [(close, close, close, close) for close in closes]

    class Mean(bt.Strategy):
        def __init__(self):
            self.mean = bt.ind.SMA(period=3)
            self.seen = []

        def next(self):
            self.seen.append(self.mean[0])

    done = outcome(engine, Mean, frame_of(bars), may_refuse=["compiled"])
    # Plain addition gives 0.6000000000000001 / 3 and, at the end, 0.
    assert done.strategy.seen[0] == 0.6 / 3
    assert done.strategy.seen[-1] == 1.0 / 3


def test_a_crossing_is_counted_over_ties(engine: str) -> None:
    """Rule 14.3"""
    closes = [9.0, 10.0, 11.0, 10.0, 11.0, 10.0, 9.0]
    bars = [(close, close, close, close) for close in closes]

    class Cross(bt.Strategy):
        def __init__(self):
            self.cross = bt.ind.CrossOver(self.data.close, self.data.open * 0.0 + 10.0)
            self.seen = []

        def next(self):
            self.seen.append(self.cross[0])

    done = outcome(engine, Cross, bars, may_refuse=["compiled"])
    assert done.strategy.seen == [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]


def test_an_indicator_of_a_line_before_its_period_is_not_a_number(engine: str) -> None:
    """Rule 14.4"""

    class Warm(bt.Strategy):
        def __init__(self):
            self.mean = bt.ind.SMA(period=3)
            self.seen = []

        def prenext(self):
            self.seen.append(self.mean[0])

    seen = outcome(engine, Warm, may_refuse=["compiled"]).strategy.seen
    assert len(seen) == 2
    assert all(value != value for value in seen)


def test_a_position_is_a_live_object(engine: str) -> None:
    """Rule 14.5"""

    class Live(bt.Strategy):
        def __init__(self):
            self.first = None
            self.seen = []

        def next(self):
            if self.first is None:
                self.first = self.position
                self.buy(size=3)
            self.seen.append((self.first.size, self.first.price, bool(self.first)))

    kept = outcome(engine, Live, may_refuse=["compiled"]).strategy
    assert kept.seen[:2] == [(0, 0.0, False), (3, 11.0, True)]
