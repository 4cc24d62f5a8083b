"""L20, L21: levels as pure decisions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StrategyError
from strategies import stops
from strategies.stops import StopPlan, Target, atr_stop, fixed_stop, trailing_stop

price = st.floats(1e-4, 1e6)
side = st.sampled_from([1, -1])


@given(entry=price, fraction=st.floats(0, 5), which=side)
def test_a_stop_is_on_the_losing_side_and_above_zero(entry: float, fraction: float, which: int) -> None:
    """L20"""
    level = fixed_stop(fraction).level(entry, which)
    assert level > 0
    assert which * (entry - level) > 0


def test_fixed_and_atr_stops() -> None:
    """L20"""
    assert fixed_stop(0.05).level(100, 1) == 95
    assert fixed_stop(0.05).level(100, -1) == 105
    assert atr_stop(2, 1.5).level(100, 1) == 97
    assert StopPlan(price=90).level(100, 1) == 90


def test_a_market_without_range_still_gets_a_stop_at_a_distance() -> None:
    assert atr_stop(3, 0.0).level(100, 1) == pytest.approx(99.9)


@given(closes=st.lists(price, min_size=1), which=side, distance=price)
def test_a_trailing_level_never_loosens(closes: list[float], which: int, distance: float) -> None:
    """L20"""
    level = closes[0] - which * distance
    for close in closes:
        moved = stops.ratchet(level, close, which, distance=distance)
        assert which * moved >= which * level
        assert which * moved >= which * (close - which * distance)
        level = moved


@given(level=price, which=side, distance=price, fraction=st.floats(0.001, 0.9))
def test_a_trailing_order_sent_again_starts_no_looser(
    level: float, which: int, distance: float, fraction: float
) -> None:
    """L20"""
    by_distance = stops.trail_reference(level, which, distance=distance) - which * distance
    start = stops.trail_reference(level, which, fraction=fraction)
    by_fraction = start - which * start * fraction
    for trigger in (by_distance, by_fraction):
        assert which * trigger >= which * level
        assert trigger == pytest.approx(level, rel=1e-6, abs=1e-9)


def test_the_tighter_stop_counts() -> None:
    assert stops.tighter(95, 97, 1) == 97
    assert stops.tighter(95, 97, -1) == 95
    assert stops.tighter(None, 97, 1) == 97
    assert stops.tighter(95, None, 1) == 95


def test_scaling_brings_a_stop_nearer_but_leaves_a_price() -> None:
    """S9"""
    assert fixed_stop(0.1).scaled(0.5).level(100, 1) == 95
    assert trailing_stop(0.1).scaled(0.5).trailing
    assert atr_stop(2, 5).scaled(0.5).level(100, 1) == 95
    assert StopPlan(price=90).scaled(0.5).price == 90


def test_targets() -> None:
    """L21"""
    assert Target(fraction=0.1).level(100, 1, None) == pytest.approx(110)
    assert Target(reward=2).level(100, -1, 5) == 90
    assert Target(reward=2).level(100, 1, None) is None
    assert Target(fraction=2.0).level(100, -1, None) is None
    assert Target(price=120).level(100, 1, None) == 120
    assert Target(fraction=0.1).level(100, 1, None, scale=0.5) == pytest.approx(105)
    stops.check_targets([Target(0.5, reward=1), Target(0.5, reward=2)])
    with pytest.raises(StrategyError, match="at most"):
        stops.check_targets([Target(0.6, reward=1), Target(0.5, reward=2)])


@pytest.mark.parametrize(
    "given_values", [{}, {"fraction": 0.1, "price": 3.0}, {"fraction": math.nan}, {"price": -1.0}]
)
def test_a_stop_needs_exactly_one_sound_number(given_values: dict[str, Any]) -> None:
    with pytest.raises(StrategyError):
        StopPlan(**given_values)
    with pytest.raises(StrategyError):
        Target(**given_values)


def test_a_trailing_stop_has_no_fixed_price() -> None:
    with pytest.raises(StrategyError):
        StopPlan(price=90, trailing=True)
