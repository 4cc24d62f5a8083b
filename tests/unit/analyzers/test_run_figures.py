"""Every figure of a run: by hand, by closed form, and for runs of which most are not defined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzers import metrics
from analyzers.returns import shape
from strategies import sizing

ARITHMETIC = 1e-12  # the same formula, rounded in another order
BEYOND_SUMMARY = [
    *(
        "sharpe_error",
        "kelly",
        "var_95_normal",
        "cvar_95_normal",
        "var_95_cornish_fisher",
        "cvar_95_cornish_fisher",
    ),
    *("average_drawdown", "max_drawdown_recovery_bars", "time_under_water", "payoff_ratio", "kelly_trades"),
    *(
        "average_bars",
        "mae",
        "mfe",
        "turnover",
        "cost_share",
        "benchmark_return",
        "excess_return",
        "alpha",
        "beta",
    ),
    *("correlation", "tracking_error", "information_ratio"),
]


def close(value: float) -> object:
    return pytest.approx(value, rel=ARITHMETIC, abs=ARITHMETIC)


def trade(
    first: int, last: int, size: float, entry: float, left: float, cost: float = 0.0
) -> tuple[Any, ...]:
    gross = size * (left - entry)
    return ("A", first, last, size, entry, left, gross, gross - cost, cost, "stop", last - first)


def bars(count: int, freq: str = "B") -> dict[str, pd.DataFrame]:
    index = pd.date_range("2024-01-01", periods=count, freq=freq, tz="UTC")
    return {"A": pd.DataFrame({"high": 11.0, "low": 9.0}, index=index)}


def test_all_figures_of_a_small_run_by_hand(make_run: Any) -> None:
    """R4, R5, R13"""
    run = make_run(
        [1000.0, 1010, 1005, 1020, 1012],
        fills=((0, "A", 10.0, 10.0, 1.0, 1), (2, "A", -10.0, 11.0, 1.0, 2), (3, "A", 5.0, 10.0, 0.0, 3)),
        trades=(trade(0, 2, 10, 10, 11, 2.0), trade(2, 3, 4, 10, 9), trade(3, 4, 1, 10, 10)),
        prices=bars(5),
    )
    found = metrics.figures(run)
    assert found["payoff_ratio"] == close(8 / 4)
    # One won, one lost, one gave the stake back: of the decided ones half each.
    assert found["kelly_trades"] == close(0.5 - 0.5 / 2)
    assert found["average_bars"] == close(4 / 3)
    mean_equity = (1000 + 1010 + 1005 + 1020 + 1012) / 5
    assert found["turnover"] == close((100 + 110 + 50) / mean_equity * 252 / 4)
    assert found["cost_share"] == close(2 / (12 + 2))
    assert (found["mae"], found["mfe"]) == (close(0.1), close(0.1))
    returns = np.array([1010 / 1000, 1005 / 1010, 1020 / 1005, 1012 / 1020]) - 1
    assert found["kelly"] == close(returns.mean() / returns.var(ddof=1))
    assert found["time_under_water"] == 0.4
    assert found["var_95_normal"] == close(
        -(returns.mean() + metrics.NORMAL.inv_cdf(0.05) * returns.std(ddof=1))
    )


def test_the_figures_are_those_of_the_summary_and_more(make_run: Any) -> None:
    run = make_run(1000 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 300))))
    found = metrics.figures(run)
    assert list(found) == [*run.metrics, *BEYOND_SUMMARY]
    assert {key: found[key] for key in run.metrics} == pytest.approx(
        dict(run.metrics), nan_ok=True, rel=0, abs=0
    )


def test_bars_a_year_that_the_run_was_judged_by_are_kept(make_run: Any) -> None:
    run = make_run([1000.0, 1010, 1005, 1020])
    run.metrics["periods_per_year"] = 12.0
    assert metrics.figures(run)["volatility"] == close(run.metrics["volatility"] * math.sqrt(12 / 252))


def test_binary_bets_have_kellys_closed_form() -> None:
    """R4: p - q / b maximises the mean log growth, ties or none."""
    assert metrics.kelly_bet(0.6, 1.0) == close(0.2)
    assert metrics.kelly_bet(0.5, 2.0) == close(0.25)
    assert metrics.kelly_bet(0.25, 1.0) == close(-0.5)
    for won, lost, payoff in ((0.5, 0.3, 1.5), (0.4, 0.4, 2.0), (0.7, 0.1, 0.5)):
        stakes = np.linspace(0.001, 0.999, 99_901)
        growth = won * np.log1p(payoff * stakes) + lost * np.log1p(-stakes)
        assert metrics.kelly_bet(won, payoff, lost) == pytest.approx(stakes[growth.argmax()], abs=2e-5)
    for odds in (0.0, -1.0, math.nan, math.inf):
        assert math.isnan(metrics.kelly_bet(0.5, odds))


@pytest.mark.parametrize(("win_rate", "payoff"), [(0.6, 1.0), (0.4, 3.0), (0.3, 1.0), (1.0, 2.0)])
def test_the_sizer_stakes_what_the_figure_says_and_nothing_without_an_edge(
    win_rate: float, payoff: float
) -> None:
    """R4: one definition; a size is never below zero."""
    assert sizing.kelly_fraction(win_rate, payoff) == close(max(0.0, metrics.kelly_bet(win_rate, payoff)))


def test_continuous_kelly_maximises_the_growth_of_small_returns() -> None:
    """R4: mean over variance, to the second order of the returns."""
    returns = np.random.default_rng(5).normal(0.0002, 0.005, 4000)
    multiples = np.linspace(0, 20, 20_001)
    growth = [np.log1p(multiple * returns).mean() for multiple in multiples[::50]]
    best = multiples[::50][int(np.argmax(growth))]
    third_order = 0.05
    assert metrics.kelly(returns) == pytest.approx(best, rel=third_order)


def test_the_error_of_a_sharpe_ratio_is_the_one_its_probability_uses() -> None:
    """R1: psr = Phi(sharpe / error)."""
    returns = np.random.default_rng(2).standard_t(4, 500) * 0.01 + 0.0005
    share = metrics.sharpe(returns, 252) / metrics.sharpe_error(returns, 252)
    assert metrics.NORMAL.cdf(share) == close(metrics.probabilistic_sharpe(returns))


def test_the_error_of_a_sharpe_ratio_is_what_many_samples_show() -> None:
    """R1: Lo (2002), normal returns: (1 + SR^2 / 2) / n, and the spread over samples."""
    rng, n = np.random.default_rng(8), 500
    samples = rng.normal(0.1, 1.0, (4000, n))
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    closed = math.sqrt((1 + 0.1**2 / 2) / n)
    errors = np.array([metrics.sharpe_error(sample, 1) for sample in samples[:200]])
    sampling = 0.05  # four standard errors of a deviation over 4,000 samples, and n against n - 1
    assert ratios.std() == pytest.approx(closed, rel=sampling)
    assert errors.mean() == pytest.approx(closed, rel=sampling)


def test_cornish_fisher_is_not_defined_where_its_quantiles_fall() -> None:
    """R2: a return of nothing but one crash has no quantile by two moments more."""
    crash = np.array([0.0] * 200 + [-0.5])
    skewness, excess = shape(crash)
    assert skewness < -10
    assert excess > 100
    levels = np.array([metrics.NORMAL.inv_cdf(level) for level in (0.001, 0.005, 0.01, 0.05)])
    z = levels + (levels**2 - 1) * skewness / 6 + (levels**3 - 3 * levels) * excess / 24
    z -= (2 * levels**3 - 5 * levels) * skewness**2 / 36
    assert (np.diff(z) < 0).any()
    assert math.isnan(metrics.value_at_risk(crash, method="cornish-fisher"))
    assert math.isnan(metrics.conditional_value_at_risk(crash, method="cornish-fisher"))
    assert metrics.value_at_risk(crash, method="normal") > 0


def test_cornish_fisher_is_not_defined_for_a_run_that_mostly_rests() -> None:
    """R2: two bars in three without a position and a few large gains would make the loss of a bad bar a gain."""
    rng = np.random.default_rng(1)
    resting = np.where(rng.random(1000) < 0.67, 0.0, rng.normal(0.002, 0.02, 1000))
    resting[::200] = 0.1
    skewness, excess = shape(resting)
    assert 1 - excess / 8 + 5 * skewness**2 / 36 < 0  # its quantiles fall in the middle
    assert math.isnan(metrics.value_at_risk(resting, method="cornish-fisher"))


@pytest.mark.parametrize("seed", range(20))
def test_where_cornish_fisher_is_defined_rarer_losses_are_larger(seed: int) -> None:
    """R2"""
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(3 + seed % 5, 300) * 0.01 * rng.choice([1.0, 3.0], 300, p=[0.9, 0.1])
    var, cvar = (
        function(returns, method="cornish-fisher")
        for function in (metrics.value_at_risk, metrics.conditional_value_at_risk)
    )
    assert math.isnan(var) == math.isnan(cvar)
    assert math.isnan(var) or (cvar > var and -var < np.median(returns))


LOST = [1000.0, 500, -20, 30, 40, 50, 60, 70, 80]


@pytest.mark.parametrize(
    ("equity", "freq"),
    [
        ([], "B"),
        ([1000.0], "B"),
        ([1000.0, 990.0], "B"),
        ([1000.0] * 9, "B"),
        ([np.nan] * 9, "B"),
        ([np.inf, 1000, np.nan, -np.inf, 1001, 999, 1000, 1003, np.inf], "D"),
        (LOST, "B"),
        ([0.0] * 9, "B"),
        (list(1000 * 1.0003 ** np.arange(400)), "B"),
        (list(1000 * 0.999 ** np.arange(400)), "h"),
        ([5e-8, 4.9e-8, 5.1e-8, 5.2e-8, 5.3e-8, 5.1e-8, 5.4e-8], "min"),
        ([1e308, 1.7e308, 1e308, 1.6e308], "D"),
        ([1e-300, 1e300, 1e-300, 1e300], "D"),
    ],
    ids=["none", "one", "two", "still", "nan", "inf", "lost", "zero", "up", "down", "tiny", "huge", "wild"],
)
@pytest.mark.parametrize("beside", [True, False])
def test_no_run_gives_an_infinity_an_error_or_another_set_of_keys(
    make_run: Any, equity: list[float], freq: str, beside: bool
) -> None:
    run = make_run(equity, freq=freq)
    found = metrics.figures(run, benchmark=run.equity * 2 if beside else None)
    assert list(found) == [*metrics.summarize(run.equity, run.trades, fills=run.fills), *BEYOND_SUMMARY]
    assert not [key for key, value in found.items() if math.isinf(value)]
    for key in ("kelly_trades", "payoff_ratio", "average_bars", "mae", "mfe"):
        assert math.isnan(found[key]), key
    for key in ("time_under_water", "average_drawdown"):
        assert math.isnan(found[key]) or 0 <= found[key] <= 1, key


def test_one_trade_or_losses_alone_have_no_odds(make_run: Any) -> None:
    one = metrics.figures(make_run([1000.0, 1001, 1002], trades=(trade(0, 1, 1, 10, 11),), prices=bars(3)))
    assert one["average_bars"] == 1
    assert (one["mae"], one["mfe"]) == (close(0.1), close(0.1))
    assert math.isnan(one["payoff_ratio"])
    lost = metrics.figures(
        make_run([1000.0, 999, 998], trades=(trade(0, 1, 1, 10, 9), trade(1, 2, 1, 10, 9)))
    )
    assert math.isnan(lost["kelly_trades"])
    assert math.isnan(lost["mae"])  # the run has no prices
    assert math.isnan(lost["cost_share"])


def test_a_run_without_fills_turns_nothing_over(make_run: Any) -> None:
    assert metrics.figures(make_run([1000.0, 1001, 1002]))["turnover"] == 0
    assert math.isnan(metrics.figures(make_run([1000.0]))["turnover"])


def test_costs_that_took_more_than_there_was_are_above_one(make_run: Any) -> None:
    fills = ((0, "A", 1.0, 10.0, 30.0, 1),)
    assert metrics.figures(make_run([1000.0, 980.0], fills=fills))["cost_share"] == close(3.0)
    assert math.isnan(metrics.figures(make_run([1000.0, 960.0], fills=fills))["cost_share"])


def test_what_is_charged_beside_the_commission_is_a_cost_too(make_run: Any) -> None:
    """Of a profit of 100 before costs, 30 commission, 10 slippage, 5 borrowed; 15 of funding came in."""
    run = make_run([1000.0, 1070.0], fills=((0, "A", 1.0, 10.0, 30.0, 1),))
    run.costs.update(slippage_paid=10.0, borrow_paid=5.0, funding_paid=-15.0, fees_paid=30.0, commission=0.1)
    assert metrics.figures(run)["cost_share"] == close(30 / 100)


def test_amounts_of_eight_decimals_give_the_ratios_of_large_ones(make_run: Any) -> None:
    curve = np.cumprod(1 + np.random.default_rng(4).normal(0, 0.02, 200))
    large, tiny = (metrics.figures(make_run(curve * size)) for size in (1e6, 1e-8))
    money = {"start_value", "end_value"}
    scaled = 1e-9  # ratios over small deviations magnify rounding
    assert {key: value for key, value in tiny.items() if key not in money} == pytest.approx(
        {key: value for key, value in large.items() if key not in money}, rel=scaled, nan_ok=True
    )
