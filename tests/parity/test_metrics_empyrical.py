"""Our metrics against empyrical, where both define one.

Same figure, other sign: empyrical gives drawdown, value at risk and its mean as returns below zero, we as
losses above zero (FEATURES R2, R3), so that a larger figure is a larger loss.

Deliberately different, each shown below:
- no variance: empyrical's Sharpe is infinite (or NaN for zero returns), ours is NaN: no evidence is not
  infinite evidence.
- no losing bar: empyrical's Sortino is infinite, ours NaN, as its own Omega is.
- a 5th percentile of zero: empyrical's tail ratio is infinite, ours NaN.
- an account that reached zero: empyrical carries on with its returns, ours are NaN (see `simple_returns`).
- the information ratio is empyrical's excess Sharpe, which is per bar, annualised as the Sharpe ratio is.
"""

from __future__ import annotations

import math

import empyrical
import empyrical.stats
import numpy as np
import pytest

from analyzers import metrics

SAME = 1e-12


def market(seed: int, n: int, fat: bool) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_t(3, n) * 0.01 if fat else random.normal(0.0005, 0.012, n)


@pytest.fixture(params=[(1, 20, False), (2, 250, False), (3, 1000, True), (4, 5000, True), (5, 3, False)])
def returns(request: pytest.FixtureRequest) -> np.ndarray:
    return np.clip(market(*request.param), -0.5, 0.5)


@pytest.fixture
def equity(returns: np.ndarray) -> np.ndarray:
    return 100_000 * np.cumprod(np.concatenate(([1.0], 1.0 + returns)))


@pytest.mark.parametrize("periods", [12, 52, 252, 365, 8760])
def test_equal_to_empyrical(equity: np.ndarray, periods: int):
    """R1, R2, R3, R13"""
    ours = metrics.equity_metrics(equity, periods)
    simple = metrics.simple_returns(equity)
    theirs = {
        "total_return": empyrical.cum_returns_final(simple),
        "cagr": empyrical.cagr(simple, annualization=periods),
        "volatility": empyrical.annual_volatility(simple, annualization=periods),
        "sharpe": empyrical.sharpe_ratio(simple, annualization=periods),
        "sortino": empyrical.sortino_ratio(simple, annualization=periods),
        "calmar": empyrical.calmar_ratio(simple, annualization=periods),
        "omega": empyrical.omega_ratio(simple, annualization=periods),
        "tail_ratio": empyrical.tail_ratio(simple),
        "max_drawdown": -empyrical.max_drawdown(simple),
        "var_95": -empyrical.value_at_risk(simple),
        "cvar_95": -empyrical.conditional_value_at_risk(simple),
    }
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, rel=SAME, abs=SAME)


@pytest.mark.parametrize("periods", [12, 52, 252, 365, 8760])
@pytest.mark.parametrize("slope", [-0.5, 0.0, 1.0, 2.5])
def test_beside_a_benchmark_equal_to_empyrical(returns: np.ndarray, periods: int, slope: float):
    """B18"""
    own = market(77, returns.size, fat=False)
    mixed = slope * returns + own
    ours = {
        "alpha": metrics.alpha(mixed, returns, periods),
        "beta": metrics.beta(mixed, returns),
        "information_ratio": metrics.information_ratio(mixed, returns, periods),
    }
    theirs = {
        "alpha": empyrical.alpha_aligned(mixed, returns, annualization=periods),
        "beta": empyrical.beta_aligned(mixed, returns),
        "information_ratio": empyrical.excess_sharpe(mixed, returns) * math.sqrt(periods),
    }
    assert ours == pytest.approx(theirs, rel=SAME, abs=SAME)


def test_a_benchmark_that_rests_has_no_beta_in_either():
    moving, still = market(1, 50, fat=False), np.zeros(50)
    assert math.isnan(empyrical.beta_aligned(moving, still))
    assert math.isnan(metrics.beta(moving, still))


@pytest.mark.parametrize("figure", ["value_at_risk", "conditional_value_at_risk"])
@pytest.mark.parametrize("tail", [0.01, 0.05, 0.25])
def test_tails_of_any_size_are_empyricals(returns: np.ndarray, figure: str, tail: float):
    """R2"""
    theirs = -getattr(empyrical, figure)(returns, tail)
    assert getattr(metrics, figure)(returns, tail) == pytest.approx(theirs, rel=SAME, abs=SAME)


def test_drawdown_of_every_bar_is_empyricals(equity: np.ndarray):
    """R3"""
    theirs = empyrical.stats.drawdown_series(metrics.simple_returns(equity))
    assert metrics.drawdowns(equity)[1:] == pytest.approx(-theirs, rel=SAME, abs=SAME)


def test_no_variance_is_no_evidence():
    steady = np.full(50, 0.001)
    assert math.isinf(empyrical.sharpe_ratio(steady))
    assert math.isnan(metrics.sharpe(steady, 252))


def test_no_losing_bar_gives_no_ratio_over_losses():
    winning = np.array([0.01, 0.02, 0.0])
    assert math.isinf(empyrical.sortino_ratio(winning))
    assert math.isnan(empyrical.omega_ratio(winning))
    assert math.isnan(metrics.sortino(winning, 252))
    assert math.isnan(metrics.omega(winning))


def test_no_tail_gives_no_tail_ratio():
    mostly_flat = np.array([0.0] * 50 + [0.05] * 10)
    with np.errstate(divide="ignore"):
        assert math.isinf(empyrical.tail_ratio(mostly_flat))
    assert math.isnan(metrics.tail_ratio(mostly_flat))


def test_a_lost_account_has_no_ratios():
    lost = np.array([100.0, 0.0, 50.0, 60.0])
    assert math.isnan(metrics.equity_metrics(lost, 252)["sharpe"])
