"""S4, S9: mixins compose on one class, in any order."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest

from core.types import SignalType, TradingSignal
from strategies.base import Strategy
from strategies.mixins import AtrSizingMixin, TimeExitMixin, TrailingStopMixin, VolatilityScalingMixin
from strategies.momentum import Momentum


class Composed(TrailingStopMixin, AtrSizingMixin, TimeExitMixin, Momentum):
    pass


def test_the_mixins_come_before_the_strategy_in_the_resolution_order() -> None:
    """S4: MRO, and the parameters of all are there with their own defaults."""
    order = [cls for cls in Composed.__mro__ if issubclass(cls, Strategy)]
    assert order == [Composed, TrailingStopMixin, AtrSizingMixin, TimeExitMixin, Momentum, Strategy]
    defaults = dict(Composed.params._getitems())
    for cls in (TrailingStopMixin, AtrSizingMixin, TimeExitMixin, Momentum):
        for name, value in cls.params._getitems():
            assert defaults[name] == value


def test_each_mixin_has_its_effect_on_one_class(run: Any, goog: pd.DataFrame) -> None:
    """S4"""
    plain, composed = run(Momentum, goog), run(Composed, goog, exit_bars=10, trail_percent=0.08)
    reasons = {fill[3] for fill in composed.fills}
    assert {"time_exit", "trailing_stop"} <= reasons
    assert "time_exit" not in {fill[3] for fill in plain.fills}
    held = [state["trade"] for state in composed.states if state["trade"]]
    assert {trade["stop"]["fraction"] for trade in held} == {0.08}
    assert max(trade["bars_held"] for trade in held) <= 11
    assert composed.fills[0][:1] == plain.fills[0][:1]
    assert composed.fills[0][1] != plain.fills[0][1]


def test_the_order_of_independent_mixins_does_not_matter(run: Any, goog: pd.DataFrame) -> None:
    """S4"""
    mixins = (TrailingStopMixin, AtrSizingMixin, TimeExitMixin)
    fills = []
    for number, order in enumerate(itertools.permutations(mixins)):
        cls = type(f"Order{number}", (*order, Momentum), {"__module__": __name__})
        fills.append(run(cls, goog.iloc[:400]).fills)
    assert all(found == fills[0] for found in fills)
    assert fills[0]


class Always(VolatilityScalingMixin, Strategy):
    def signal(self) -> TradingSignal:
        kind = SignalType.LONG if len(self) % 10 == 0 else SignalType.EXIT
        return TradingSignal(kind if len(self) % 5 == 0 else SignalType.HOLD)

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        window = list(self.relative_range.get(size=self.p.scale_window))
        self.ranks.append(sum(past < window[-1] for past in window))
        return 100.0

    def __init__(self) -> None:
        super().__init__()
        self.ranks: list[int] = []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_size_shrinks_as_the_atr_percentile_rises(run: Any, market: Any, seed: int) -> None:
    """S9: the same wish of 100 units, ordered by percentile, is ordered by size."""
    frame = market(seed, 400)
    frame[["open", "high", "low", "close"]] *= 100.0 / frame["close"].iloc[0]
    result = run(Always, frame, scale_floor=0.25, scale_window=50, cash=1e9)
    sizes = [fill[1] for fill in result.fills if fill[1] > 0]
    ranked = sorted(zip(result.strategy.ranks, sizes, strict=False))
    assert len({rank for rank, _ in ranked}) > 3
    assert [size for _, size in ranked] == sorted(sizes, reverse=True)
    assert 25 <= min(sizes) < max(sizes) <= 100


def test_stops_tighten_as_the_market_gets_wilder(run: Any, goog: pd.DataFrame) -> None:
    """S9"""

    class Scaled(VolatilityScalingMixin, TrailingStopMixin, Momentum):
        pass

    held = [state["trade"] for state in run(Scaled, goog).states if state["trade"]]
    by_scale = sorted({(trade["scale"], trade["stop"]["fraction"]) for trade in held})
    assert len(by_scale) > 3
    assert [stop for _, stop in by_scale] == sorted(stop for _, stop in by_scale)
    assert all(0.5 <= scale <= 1 for scale, _ in by_scale)
