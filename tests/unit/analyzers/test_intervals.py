"""Intervals of a run's figures: which there are, that they hold the figure, that they hold the truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from analyzers import intervals as module
from analyzers import metrics
from analyzers.intervals import Interval, Segments, intervals_of

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


@pytest.mark.parametrize("bars", [8, 9, 50, 1_000])
@pytest.mark.parametrize("count", [1, 3, 7, 50])
def test_segments_in_their_own_order_are_the_run(bars: int, count: int) -> None:
    """B19"""
    returns = np.random.default_rng(bars).normal(0.0005, 0.01, bars)
    segments = Segments.cut(returns, count)
    found = segments.figures(np.arange(segments.growth.size)[None, :], 252.0)
    whole = metrics.equity_metrics(np.cumprod(np.concatenate([[1.0], 1.0 + returns])), 252.0)
    logarithms = 1e-9
    got = {name: float(values[0]) for name, values in found.items()}
    assert got == pytest.approx({name: whole[name] for name in got}, rel=logarithms)
    assert set(got) == OF_RETURNS


def test_segments_in_another_order_are_the_returns_in_that_order() -> None:
    """B19"""
    returns = np.random.default_rng(4).normal(0.0, 0.02, 60)
    places = np.random.default_rng(5).integers(0, 6, (20, 6))
    found = Segments.cut(returns, 6).figures(places, 252.0)
    for row, order in enumerate(places):
        mine = returns.reshape(6, 10)[order].ravel()
        whole = metrics.equity_metrics(np.cumprod(np.concatenate([[1.0], 1.0 + mine])), 252.0)
        for name, values in found.items():
            assert values[row] == pytest.approx(whole[name], rel=1e-9), name


def test_a_long_run_has_the_intervals_of_its_returns(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """B19: by segments of three bars as by bars, where bars do not depend on each other."""
    run = make_run(np.cumprod(1 + np.random.default_rng(3).normal(0.0002, 0.01, 4_000)), freq="h")
    alone = intervals_of(run)
    monkeypatch.setattr(module, "LONG", 3_000)
    monkeypatch.setattr(module, "SEGMENTS", 1_400)
    together = intervals_of(run)
    assert set(together) == set(alone) == OF_RETURNS
    draws = 0.15  # of the width: the ends of 2,000 draws, twice
    for name, each in alone.items():
        width = each.high - each.low
        assert together[name].low == pytest.approx(each.low, abs=draws * width), name
        assert together[name].high == pytest.approx(each.high, abs=draws * width), name
        assert together[name].value == each.value


def test_a_long_run_that_never_moved_has_no_ratios(make_run: Any) -> None:
    assert set(intervals_of(make_run(np.full(6_000, 5.0), freq="h"))) == {
        "total_return",
        "cagr",
        "volatility",
        "max_drawdown",
    }


def test_many_trades_are_drawn_in_groups(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """B19: with the intervals of trades that are drawn one by one."""
    run = make_run([1000.0, 1001.0], trades=trades(np.random.default_rng(1).normal(0.1, 1, 4_001)))
    alone = intervals_of(run)
    monkeypatch.setattr(module, "LONG", 4_000)
    together = intervals_of(run)
    assert set(together) == set(alone) == OF_TRADES
    draws = 0.15  # of the width, as above
    for name, each in alone.items():
        width = each.high - each.low
        assert together[name].low == pytest.approx(each.low, abs=draws * width), name
        assert together[name].high == pytest.approx(each.high, abs=draws * width), name


def test_draws_are_held_some_at_a_time() -> None:
    some = list(module._places(7, 600, 0))
    assert [each.shape for each in some] == [(250, 7), (250, 7), (100, 7)]
    assert {int(place) for each in some for place in each.ravel()} == set(range(7))
