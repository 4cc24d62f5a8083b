"""Intervals of a run's figures: which there are, that they hold the figure, that they hold the truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from analyzers import metrics
from analyzers.intervals import Interval, intervals_of

OF_RETURNS = {"total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown"}
OF_TRADES = {"win_rate", "expectancy", "profit_factor"}


def trades(results: np.ndarray) -> tuple[tuple[Any, ...], ...]:
    return tuple(("A", 0, 1, 1.0, 10.0, 10.0 + r, r, r, 0.0, "stop", 1) for r in results)


def test_every_figure_lies_within_its_interval(make_run: Any) -> None:
    """B19"""
    rng = np.random.default_rng(1)
    run = make_run(1000 * np.cumprod(1 + rng.normal(0.001, 0.01, 400)), trades=trades(rng.normal(0.2, 1, 40)))
    found = intervals_of(run)
    assert set(found) == OF_RETURNS | OF_TRADES
    whole = metrics.figures(run)
    for name, each in found.items():
        assert each.value == whole[name]
        assert each.low < each.value < each.high, name
        assert each.level == 0.95
    assert intervals_of(run) == found
    narrow = intervals_of(run, level=0.5)
    assert all(narrow[name].high - narrow[name].low < each.high - each.low for name, each in found.items())
    assert isinstance(found["sharpe"], Interval)


def test_the_truth_is_held_as_often_as_is_said(make_run: Any) -> None:
    """B19: the yearly volatility of 120 runs of normal returns, level 80%."""
    held = 0
    for seed in range(120):
        returns = np.random.default_rng(seed).normal(0.0005, 0.01, 250)
        each = intervals_of(make_run(1000 * np.cumprod(1 + returns)), level=0.8)["volatility"]
        held += each.low <= 0.01 * math.sqrt(252) <= each.high
    binomial = 4 * math.sqrt(0.8 * 0.2 / 120)
    assert held / 120 == pytest.approx(0.8, abs=binomial)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        ([], set()),
        ([1000.0] * 5, set()),
        ([1000.0] * 50, {"total_return", "cagr", "volatility", "max_drawdown"}),
        ([1000.0, 500, 0, 20] * 5, set()),
        ([math.nan] * 20, set()),
        (list(1000 * 1.001 ** np.arange(50)), {"total_return", "cagr", "volatility", "max_drawdown"}),
    ],
)
def test_what_is_not_defined_has_no_interval(make_run: Any, equity: list[float], expected: set[str]) -> None:
    assert set(intervals_of(make_run(equity))) == expected


def test_trades_that_all_lost_have_no_infinite_figure(make_run: Any) -> None:
    found = intervals_of(make_run([1000.0, 990, 980], trades=trades(np.full(9, -1.0))))
    assert set(found) == OF_TRADES
    assert (found["win_rate"].low, found["win_rate"].high) == (0, 0)
    won = intervals_of(make_run([1000.0, 1010, 1020], trades=trades(np.full(9, 1.0))))
    assert set(won) == {"win_rate", "expectancy"}


def test_a_long_run_is_not_drawn_more_often_than_there_is_room_for(make_run: Any) -> None:
    import analyzers.intervals as module

    returns = np.random.default_rng(3).normal(0, 0.001, 3_000)
    run = make_run(np.cumprod(1 + returns), freq="h")
    drawn: list[int] = []

    def count(*args: Any, draws: int, **options: Any) -> dict[str, Interval]:
        drawn.append(draws)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "intervals", count)
        patch.setattr(module, "CELLS", 1_000_000)
        intervals_of(run)
    assert drawn == [333]
