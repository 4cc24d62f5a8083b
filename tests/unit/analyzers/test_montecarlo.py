"""Monte Carlo: the same figures as plain numpy on the same draws, closed forms, and answers that threads do not change."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analyzers import metrics, montecarlo
from analyzers.montecarlo import FIGURES, drawn, monte_carlo
from analyzers.overfitting import block_length
from core.errors import ConfigError, DataError, UnknownNameError

SUMMED_DIFFERENTLY = 1e-9  # logarithms here, products there, over some hundred steps
METHODS = ["iid", "stationary", "trades"]


def returns(n: int = 250, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, n) * 0.01 + 0.0005


def same(one: montecarlo.MonteCarlo, other: montecarlo.MonteCarlo) -> bool:
    figures = all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in FIGURES
    )
    return figures and np.array_equal(one.fan.values, other.fan.values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 20, 21, 22, 41, 250])
def test_every_path_has_the_figures_of_the_metrics_on_the_same_returns(method: Any, n: int) -> None:
    """R6: numpy and `analyzers.metrics` on the drawn places, one path at a time."""
    given = returns(n)
    found = monte_carlo(given, method=method, paths=60, seed=5, block=4.0 if method == "stationary" else None)
    for path, places in enumerate(drawn(n, method=method, paths=60, seed=5, block=4.0)):
        mine = given[places]
        equity = np.cumprod(np.concatenate([[1.0], 1.0 + mine]))
        whole = metrics.equity_metrics(equity, 252.0)
        expected = {
            **{name: whole[name] for name in ("total_return", "cagr", "max_drawdown")},
            "sharpe": metrics.sharpe(mine, 252.0),
            "var_95": metrics.value_at_risk(mine),
            "cvar_95": metrics.conditional_value_at_risk(mine),
        }
        got = {name: getattr(found, name)[path] for name in expected}
        assert got == pytest.approx(expected, rel=SUMMED_DIFFERENTLY, abs=1e-12, nan_ok=True), path


@pytest.mark.parametrize("method", METHODS)
def test_the_fan_ruin_and_time_under_water_are_those_of_the_equity_of_each_path(method: Any) -> None:
    """R6"""
    n, given = 150, np.random.default_rng(1).normal(0.005, 0.05, 150)
    found = monte_carlo(given, method=method, paths=400, seed=9, block=3.0, ruin=0.6)
    places = drawn(n, method=method, paths=400, seed=9, block=3.0)
    growth = np.cumsum(np.log1p(given)[places], axis=1)
    equity = np.exp(np.concatenate([np.zeros((400, 1)), growth], axis=1))
    peak = np.maximum.accumulate(growth, axis=1)
    assert found.time_under_water == pytest.approx((growth < np.maximum(peak, 0)).mean(axis=1))
    assert found.ruin_probability == pytest.approx((equity.min(axis=1) < 0.6).mean())
    assert 0 < found.ruin_probability < 1
    assert found.fan.times[0] == 0
    assert found.fan.times[-1] == n
    assert found.fan.values == pytest.approx(
        np.exp(np.quantile(np.log(equity[:, found.fan.times]), found.fan.levels, axis=0)),
        rel=SUMMED_DIFFERENTLY,
    )
    assert (np.diff(found.fan.values, axis=0) >= 0).all()


def test_independent_draws_have_the_mean_and_the_variance_that_are_known() -> None:
    """R6: log growth of n draws has n times the mean and n times the variance of one."""
    given, paths = returns(120), 20_000
    logs = np.log1p(given)
    growth = np.log1p(monte_carlo(given, method="iid", paths=paths).total_return)
    mean_error = logs.std() * math.sqrt(120 / paths)
    assert growth.mean() == pytest.approx(120 * logs.mean(), abs=4 * mean_error)
    variance_error = 4 * math.sqrt(2 / paths)
    assert growth.var() == pytest.approx(120 * logs.var(), rel=variance_error)


def test_a_shuffle_leaves_the_total_and_changes_the_drawdown() -> None:
    """E5"""
    given = returns(80)
    found = monte_carlo(given, method="trades", paths=500)
    assert len(set(found.total_return)) == len(set(found.cagr)) == len(set(found.sharpe)) == 1
    assert found.total_return[0] == pytest.approx(np.prod(1 + given) - 1, rel=SUMMED_DIFFERENTLY)
    assert len(np.unique(found.max_drawdown)) > 100
    assert np.sort(drawn(80, method="trades", paths=50)).tolist() == [list(range(80))] * 50


@pytest.mark.parametrize(("steps", "down"), [(50, 5), (200, 15), (201, 15)])
def test_ruin_of_a_coin_flip_walk_is_the_exact_one(steps: int, down: int) -> None:
    """R6: the reflection principle, P(min <= -a) = P(S <= -a) + P(S < -a)."""
    step = 0.05
    flips = np.resize([math.expm1(step), math.expm1(-step)], steps + steps % 2)[:steps]
    chance = np.mean(flips > 0)
    if steps % 2:  # one more head than tails would not be a fair coin
        flips = np.append(flips, math.expm1(-step))
        steps += 1
        chance = 0.5
    # The walk is ruined at -down steps; the barrier lies half a step above, so that no rounding decides.
    found = monte_carlo(flips, method="iid", paths=40_000, ruin=math.exp(-(down - 0.5) * step))
    heads = stats.binom(steps, chance)
    # S = 2 heads - steps
    at_most = heads.cdf(math.floor((steps - down) / 2))
    below = heads.cdf(math.ceil((steps - down) / 2) - 1)
    exact = at_most + below
    sampling = 4 * math.sqrt(exact * (1 - exact) / 40_000)
    assert found.ruin_probability == pytest.approx(exact, abs=sampling)


def test_blocks_begin_as_often_as_they_should_and_run_on_in_order() -> None:
    """R6: Politis and Romano (1994): geometric lengths, wrapped around."""
    places = drawn(500, method="stationary", paths=200, seed=2, block=8.0)
    runs_on = places[:, 1:] == (places[:, :-1] + 1) % 500
    # A new block may begin just there by chance, once in 500.
    expected = 1 - 1 / 8 * (1 - 1 / 500)
    sampling = 4 * math.sqrt(expected * (1 - expected) / runs_on.size)
    assert runs_on.mean() == pytest.approx(expected, abs=sampling)
    assert drawn(500, method="stationary", paths=3, block=1.0).shape == (3, 500)


@pytest.mark.parametrize("method", METHODS)
def test_every_place_is_drawn_as_often_as_the_others_at_every_step(method: Any) -> None:
    """R6: chi-squared over first, middle and last step; one in a million draws fails."""
    places = drawn(40, method=method, paths=8_000, seed=11, block=5.0)
    for step in (0, 20, 39):
        counts = np.bincount(places[:, step], minlength=40)
        assert stats.chisquare(counts).pvalue > 1e-6


def test_dependence_of_the_returns_is_kept_by_blocks_and_lost_without() -> None:
    """R6: returns that follow their sign have paths with more variance than independent ones."""
    rng = np.random.default_rng(4)
    steps = rng.normal(0, 0.01, 2_000)
    follows = np.convolve(steps, [1.0, 0.9, 0.8, 0.7], mode="same")
    blocks, alone = (
        np.log1p(monte_carlo(follows, method=method, paths=2_000).total_return).var()
        for method in ("stationary", "iid")
    )
    assert blocks > 2 * alone


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_the_size_of_blocks_change_nothing(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """R6"""
    given = returns(60)
    one = monte_carlo(given, method=method, paths=700, seed=4, threads=1)
    assert same(one, monte_carlo(given, method=method, paths=700, seed=4, threads=3))
    monkeypatch.setattr(montecarlo, "TOGETHER", 60 * 7)
    assert same(one, monte_carlo(given, method=method, paths=700, seed=4, threads=5))
    assert not same(one, monte_carlo(given, method=method, paths=700, seed=5, threads=1))


def test_more_paths_begin_with_the_same_ones() -> None:
    given = returns(60)
    few, many = (monte_carlo(given, paths=paths, seed=1) for paths in (50, 200))
    assert (many.max_drawdown[:50] == few.max_drawdown).all()


def test_a_million_paths_fit_into_500_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """R6: what a path needs beyond the first ten thousand, whose equity makes the fan."""
    given = returns(50)
    monte_carlo(given, paths=10)  # compiled, loaded

    def peak(paths: int) -> int:
        tracemalloc.start()
        monte_carlo(given, paths=paths)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(20_000), peak(60_000)
    each = (large - small) / 40_000
    assert 0 < each < 200
    assert small + each * 980_000 < 500e6


def test_a_block_is_as_long_as_the_returns_say_unless_it_is_given() -> None:
    given = returns(300)
    assert monte_carlo(given, paths=5).block == block_length(given)
    assert monte_carlo(given, paths=5, block=7).block == 7
    assert monte_carlo(given, method="iid", paths=5).block == 1


def test_trades_of_a_run_are_fractions_of_the_account_at_their_entry(make_run: Any) -> None:
    """E5"""
    results = [(0, 2, 50.0), (2, 3, -22.0), (3, 5, 11.0)]
    trades = tuple(("A", first, last, 1.0, 10, 10, pnl, pnl, 0.0, "", 1) for first, last, pnl in results)
    run = make_run([1000.0, 1020, 1100, 1050, 1060, 1061], trades=trades)
    found = monte_carlo(run, method="trades", paths=50)
    fractions = np.array([50 / 1000, -22 / 1100, 11 / 1050])
    assert found.steps == 3
    assert found.total_return[0] == pytest.approx(np.prod(1 + fractions) - 1)
    assert found.cagr[0] == pytest.approx(np.prod(1 + fractions) ** (252 / 5) - 1)
    assert set(np.round(found.max_drawdown, 12)) == {0.02}


def test_a_run_is_drawn_by_its_own_bars_a_year(make_run: Any) -> None:
    run = make_run(1000 * np.cumprod(1 + returns(100)), freq="h")
    equity = run.equity.to_numpy()
    again = monte_carlo(equity[1:] / equity[:-1] - 1, paths=20, periods=run.metrics["periods_per_year"])
    assert same(monte_carlo(run, paths=20), again)
    series = run.equity.pct_change().dropna()
    assert monte_carlo(series, paths=20).sharpe == pytest.approx(again.sharpe)


def test_percentiles_are_numpys_and_leave_out_what_is_not_defined() -> None:
    found = monte_carlo(returns(100), paths=300)
    table = found.percentiles()
    assert list(table) == list(FIGURES)
    assert table["max_drawdown"]["p95"] == np.percentile(found.max_drawdown, 95)
    assert list(table["sharpe"]) == ["p5", "p25", "p50", "p75", "p95"]
    flat = monte_carlo(np.zeros(20), paths=10)
    assert all(math.isnan(value) for value in flat.percentiles()["sharpe"].values())
    assert flat.percentiles()["max_drawdown"]["p95"] == flat.ruin_probability == 0


def test_an_account_that_may_be_lost_is_lost_and_nothing_is_infinite() -> None:
    given = np.array([-1.0, 0.5, 0.5, 0.5])
    found = monte_carlo(given, method="iid", paths=4_000)
    lost = found.total_return == -1
    assert lost.mean() == pytest.approx(1 - 0.75**4, abs=4 * math.sqrt(0.25 / 4_000))
    assert found.ruin_probability == lost.mean()
    assert (found.max_drawdown[lost] == 1).all()
    wild = monte_carlo(np.full(20, 1e300), paths=5)
    for name in FIGURES:
        assert not np.isinf(getattr(wild, name)).any(), name
    assert not np.isinf(wild.fan.values).any()
    assert np.isnan(wild.total_return).all()


def test_two_equal_draws_of_two_returns_have_no_sharpe_ratio() -> None:
    found = monte_carlo(np.array([0.013, -0.007]), method="iid", paths=100)
    together = np.isclose(found.total_return, 1.013 * 0.993 - 1)
    assert (np.isnan(found.sharpe) == ~together).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.1, math.nan, 0.1], "1 returns are not finite"),
        ([0.1, math.inf], "1 returns are not finite"),
        ([0.1, -1.5], "loses more than all"),
        ([0.1], "1 returns are too few"),
        ([], "0 returns are too few"),
    ],
)
def test_returns_that_cannot_be_drawn_are_refused(given: list[float], message: str) -> None:
    """R6"""
    with pytest.raises(DataError, match=message) as refused:
        monte_carlo(given)
    assert refused.value.hint


@pytest.mark.parametrize(
    "options",
    [{"paths": 0}, {"paths": 1.5}, {"block": 0.5}, {"ruin": 0.0}, {"ruin": 1.0}, {"periods": math.nan}],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} is "):
        monte_carlo(returns(), **options)
    with pytest.raises(ConfigError, match="2 dimensions"):
        monte_carlo(returns().reshape(2, -1))


def test_an_unknown_method_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean stationary"):
        monte_carlo(returns(), method="stationry")  # type: ignore[arg-type]


def test_a_run_without_trades_or_a_lost_account_is_refused(make_run: Any) -> None:
    with pytest.raises(DataError, match="0 trades are too few"):
        monte_carlo(make_run([1000.0, 1001, 1002]), method="trades")
    with pytest.raises(DataError, match="0 returns are too few"):
        monte_carlo(make_run([1000.0, 0, 1002]))
    gappy = make_run([1000.0, math.nan, 1010, math.inf, 1005])
    assert monte_carlo(gappy, paths=5).steps == 2


def test_a_series_without_times_is_daily() -> None:
    given = returns(50)
    assert same(monte_carlo(pd.Series(given), paths=9), monte_carlo(list(given), paths=9, periods=252))


def test_a_thread_that_fails_or_is_interrupted_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzers import montecarlo_kernels

    calls: list[int] = []

    def fails(first: int, *rest: Any) -> None:
        calls.append(first)
        raise KeyboardInterrupt

    monkeypatch.setattr(montecarlo_kernels, "measure", fails)
    monkeypatch.setattr(montecarlo, "TOGETHER", 50)
    with pytest.raises(KeyboardInterrupt):
        monte_carlo(returns(50), paths=500, threads=2)
    assert len(calls) <= 2
