"""L19: every sizing rule, by what must always hold."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import backtrader as bt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies import sizers, sizing

money = st.floats(-1e6, 1e9)
price = st.floats(1e-6, 1e6)
fraction = st.floats(0.0, 2.0)
anything = st.floats(allow_nan=True, allow_infinity=True)


@given(a=anything, b=anything, c=anything, d=anything)
def test_no_rule_is_ever_negative_or_nan(a: float, b: float, c: float, d: float) -> None:
    """L19"""
    for units in (
        sizing.fixed(a),
        sizing.percent(a, b, c),
        sizing.risk_per_trade(a, b, c),
        sizing.atr_size(a, b, c, d),
        sizing.kelly_fraction(a, b),
        sizing.kelly(a, b, c, d),
        sizing.vol_target(a, b, c, d),
        sizing.affordable(a, b, c, d),
        sizing.round_down(1e6 if not math.isfinite(a) else min(abs(a), 1e9), 0.01),
    ):
        assert units >= 0


@given(equity=money, at=price, low=fraction, high=fraction)
def test_more_risk_never_means_less_size(equity: float, at: float, low: float, high: float) -> None:
    """L19"""
    low, high = sorted((low, high))
    assert sizing.percent(equity, at, low) <= sizing.percent(equity, at, high)
    assert sizing.risk_per_trade(equity, at, low) <= sizing.risk_per_trade(equity, at, high)
    assert sizing.atr_size(equity, at, 2.0, low) <= sizing.atr_size(equity, at, 2.0, high)
    assert sizing.kelly(equity, at, 0.6, 1.5, low) <= sizing.kelly(equity, at, 0.6, 1.5, high)
    assert sizing.vol_target(equity, at, 0.3, low) <= sizing.vol_target(equity, at, 0.3, high)


@given(equity=st.floats(1, 1e9), near=price, far=price)
def test_a_farther_stop_never_means_more_size(equity: float, near: float, far: float) -> None:
    """L19: and the loss at the stop is the risk asked for."""
    near, far = sorted((near, far))
    assert sizing.risk_per_trade(equity, far, 0.01) <= sizing.risk_per_trade(equity, near, 0.01)
    assert sizing.risk_per_trade(equity, far, 0.01) * far == pytest.approx(equity * 0.01)
    assert sizing.vol_target(equity, 10.0, far, 0.1) <= sizing.vol_target(equity, 10.0, near, 0.1)


@given(size=st.floats(0, 1e9), cash=money, at=price, leverage=st.sampled_from([1.0, 1.5, 3.0]))
def test_affordable_never_costs_more_than_there_is(
    size: float, cash: float, at: float, leverage: float
) -> None:
    """L19"""
    cut = sizing.affordable(size, cash, at, leverage)
    assert cut <= size
    assert cut * at <= max(cash, 0) * leverage


def test_kelly_is_the_textbook_s() -> None:
    assert sizing.kelly_fraction(0.6, 1.0) == pytest.approx(0.2)
    assert sizing.kelly_fraction(0.4, 1.0) == 0


@given(size=st.floats(0, 1e6), lot=st.sampled_from([1.0, 0.1, 0.01, 0.001, 0.25, 1 / 1024]))
def test_rounding_down_takes_whole_lots_in_short_decimals(size: float, lot: float) -> None:
    rounded = sizing.round_down(size, lot)
    assert rounded <= size < rounded + lot * 1.000001
    assert Decimal(repr(rounded)) % Decimal(repr(lot)) == 0


@pytest.mark.parametrize(
    ("at", "lot"), [(100.0, 1.0), (60_000.0, 0.01), (1000.0, 1.0), (2_000_000.0, 0.0001)]
)
def test_the_natural_lot_is_a_small_part_of_equity(at: float, lot: float) -> None:
    assert sizing.natural_lot(100_000.0, at) == lot
    assert sizing.natural_lot(0.0, at) == 1.0


@settings(max_examples=200, deadline=None)
@given(
    lots=st.integers(1, 100_000),
    lot=st.sampled_from([1.0, 0.1, 0.01, 0.001]),
    shares=st.lists(st.floats(0.01, 0.25), min_size=0, max_size=4)
    | st.lists(st.floats(0.0, 1.0), max_size=1),
)
def test_slices_sum_to_the_position_whatever_order_they_close_in(
    lots: int, lot: float, shares: list[float]
) -> None:
    """L21: partial exits sum to position, to the last bit."""
    size = sizing.round_down(lots * lot * (1 + 1e-12), lot)
    slices = sizing.split(size, shares, lot)
    assert len(slices) == len(shares) + 1
    assert min(slices) >= 0
    for order in itertools.permutations(part for part in slices if part):
        left = size
        for part in order:
            left -= part
        assert left == 0
    if lot == 1.0:
        assert all(
            part == math.floor(size * share + 1e-9) for part, share in zip(slices, shares, strict=False)
        )


def test_volatility_scaling_shrinks_as_the_percentile_rises() -> None:
    """S9: monotone, from 1 down to the floor."""
    scales = [sizing.volatility_scale(p / 20, 0.4) for p in range(21)]
    assert scales == sorted(scales, reverse=True)
    assert (scales[0], scales[-1]) == (1.0, pytest.approx(0.4))
    assert sizing.percentile_rank(3, [1, 2, 3, 4]) == 0.5
    assert sizing.percentile_rank(3, []) == 0.0


SIZERS = [
    (sizers.FixedSizer, {"size": 1e9}),
    (sizers.PercentSizer, {"fraction": 5.0}),
    (sizers.RiskSizer, {"risk": 0.5, "stop": 0.01}),
    (sizers.AtrSizer, {"risk": 0.5}),
    (sizers.KellySizer, {"win_rate": 0.9, "payoff": 9.0, "part": 5.0}),
    (sizers.VolatilityTargetSizer, {"target": 9.0}),
]


class Flipper(bt.Strategy):
    """A plain strategy that leaves size to the sizer."""

    def next(self) -> None:
        if len(self) % 10 == 5:
            self.buy()
        elif len(self) % 10 == 0:
            self.sell()


@pytest.mark.parametrize(("sizer", "options"), SIZERS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_sizers_on_a_plain_strategy_never_overdraw(
    run: Any, market: Any, seed: int, sizer: type[bt.Sizer], options: dict[str, float]
) -> None:
    """L19: greedy settings, any market: never short of cash at the close they were sized on, never reversed."""
    sizes: list[tuple[float, float]] = []

    class Watched(Flipper):
        def buy(self, *args: Any, **kwargs: Any) -> Any:
            units = self.getsizing(self.data, isbuy=True)
            sizes.append((units * self.data.close[0], self.broker.getcash()))
            return super().buy(*args, **kwargs)

    result = run(Watched, market(seed, 80), setup=lambda cerebro: cerebro.addsizer(sizer, **options))
    assert result.position >= 0 or result.closed > 0
    assert all(0 <= cost <= cash for cost, cash in sizes)
    assert "Rejected" not in result.refused


@pytest.mark.parametrize("part", [1.0, 0.5, 0.25])
def test_the_kelly_sizer_stakes_a_part_of_the_textbook_fraction(run: Any, market: Any, part: float) -> None:
    """R4: won 60 times in 100 at even odds, a fifth of the account, and of that the part that is asked for."""
    staked: list[tuple[float, float]] = []

    class Once(bt.Strategy):
        def next(self) -> None:
            if len(self) == 5:
                self.buy()
                staked.append((self.getsizing(isbuy=True), self.broker.getvalue() / self.data.close[0]))

    options = {"win_rate": 0.6, "payoff": 1.0, "part": part, "lot": 1e-6}
    run(Once, market(3, 20), setup=lambda cerebro: cerebro.addsizer(sizers.KellySizer, **options))
    (units, of), *_ = staked
    assert units == pytest.approx(of * 0.2 * part, abs=1e-6)
    assert units > 0
