"""The three strategies that come along: each trades the sample market, none breaks on any market."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StrategyError
from core.types import ExitReason
from strategies.level_based import LevelBased
from strategies.momentum import Momentum
from strategies.range_bound import RangeBound
from strategies.registry import resolve_params

ALL = [Momentum, RangeBound, LevelBased]
ANY_MARKET = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("cls", ALL)
def test_it_trades_the_sample_market(cls: Any, run: Any, goog: pd.DataFrame) -> None:
    """S1, S3: at least five round trips, every one closed for a reason, and not ruined."""
    result = run(cls, goog, commission=0.001)
    assert result.closed >= 5
    assert all(ExitReason(reason) for _, size, _, reason in result.fills if size < 0)
    assert {reason for _, size, _, reason in result.fills if size < 0} & {
        "stop_loss",
        "trailing_stop",
        "profit_target",
    }
    assert result.value > 80_000
    assert min(result.sizes) == 0, "long only unless asked"


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("short", [False, True])
@ANY_MARKET
@given(seed=st.integers(0, 100_000))
def test_no_market_breaks_it(cls: Any, run: Any, market: Any, short: bool, seed: int) -> None:
    """Flat stretches, gaps, bars without range or volume: no exception, and nothing resting when flat."""
    result = run(cls, market(seed, 200), commission=0.001, short=short)
    if not result.position and not result.states[-1]["entry_pending"]:
        assert result.resting == 0


@pytest.mark.parametrize("cls", ALL)
def test_a_market_that_never_moves_is_left_alone(cls: Any, run: Any, frame: Any) -> None:
    result = run(cls, frame([(100.0, 100.0, 100.0, 100.0)] * 80))
    assert result.fills == []


@pytest.mark.parametrize("cls", ALL)
def test_the_future_never_changes_the_past(cls: Any, run: Any, goog: pd.DataFrame) -> None:
    whole, part = run(cls, goog), run(cls, goog.iloc[:500])
    assert part.fills == [fill for fill in whole.fills if fill[0] <= 500]


@pytest.mark.parametrize("cls", ALL)
def test_the_defaults_lie_in_their_space(cls: Any) -> None:
    assert set(cls.space) <= set(dict(cls.params._getitems()))
    defaults = resolve_params(cls, {})
    assert resolve_params(cls, defaults) == defaults


def test_level_based_reads_its_session_from_the_parameters(run: Any, goog: pd.DataFrame) -> None:
    """S2"""
    with pytest.raises(StrategyError, match="rolls_at"):
        run(LevelBased, goog, rolls_at="noon")
    shifted = run(LevelBased, goog, zone="America/New_York", rolls_at="18:00")
    assert shifted.fills == run(LevelBased, goog).fills, "daily bars stay one session each"


def test_range_bound_leaves_in_time(run: Any, goog: pd.DataFrame) -> None:
    result = run(RangeBound, goog, max_bars=2)
    assert "time_exit" in {fill[3] for fill in result.fills}
