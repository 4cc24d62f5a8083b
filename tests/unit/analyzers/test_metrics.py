"""Every metric against a case worked out by hand, and against runs for which it is not defined."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers import metrics

# Up 10%, down 10%, up 20%: 100, 110, 99, 118.8.
CURVE = np.array([100.0, 110.0, 99.0, 118.8])
RETURNS = np.array([0.1, -0.1, 0.2])
DAYS = pd.date_range("2020-01-06", periods=4, freq="B", tz="UTC")
ARITHMETIC = 1e-12  # the same formula, rounded in another order
KEYS = {
    "total_return cagr volatility sharpe sortino calmar max_drawdown max_drawdown_bars recovery_factor omega"
    " tail_ratio ulcer_index sqn psr var_95 cvar_95 trades win_rate profit_factor expectancy average_win"
    " average_loss commission exposure best_trade worst_trade start_value end_value bars periods_per_year"
}


def close(value: float) -> object:
    return pytest.approx(value, rel=ARITHMETIC, abs=ARITHMETIC)


def table(*rows: tuple[float, ...], columns: str = "pnl_net commission") -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


NO_TRADES = table()


def test_returns_and_growth_by_hand():
    assert metrics.simple_returns(CURVE) == pytest.approx(RETURNS, rel=ARITHMETIC)
    assert metrics.total_return(CURVE) == close(0.188)
    # Three bars at three bars a year are one year; at six a year, half of one.
    assert metrics.cagr(CURVE, 3) == close(0.188)
    assert metrics.cagr(CURVE, 6) == close(1.188**2 - 1)


def test_sharpe_sortino_calmar_by_hand():
    """R1"""
    mean, variance = 0.2 / 3, ((0.1 / 3) ** 2 + (0.5 / 3) ** 2 + (0.4 / 3) ** 2) / 2
    assert metrics.volatility(RETURNS, 4) == close(2 * math.sqrt(variance))
    assert metrics.sharpe(RETURNS, 4) == close(2 * mean / math.sqrt(variance))
    assert metrics.sortino(RETURNS, 4) == close(2 * mean / math.sqrt(0.01 / 3))
    assert metrics.calmar(CURVE, 3) == close(0.188 / 0.1)


@pytest.mark.parametrize("periods", [1, 12, 52, 252, 365, 1764, 8760])
def test_sharpe_grows_with_the_root_of_the_periods_and_volatility_too(periods: int):
    """R1"""
    assert metrics.sharpe(RETURNS, periods) == close(metrics.sharpe(RETURNS, 1) * math.sqrt(periods))
    assert metrics.sortino(RETURNS, periods) == close(metrics.sortino(RETURNS, 1) * math.sqrt(periods))


def test_drawdown_depth_length_and_recovery_of_a_hand_made_curve():
    """R3"""
    curve = np.array([100.0, 120.0, 90.0, 108.0, 120.0, 150.0, 149.0, 150.0])
    assert metrics.drawdowns(curve) == pytest.approx([0, 0, 0.25, 0.1, 0, 0, 1 / 150, 0], abs=ARITHMETIC)
    found = metrics.equity_metrics(curve, 252)
    assert found["max_drawdown"] == 0.25
    assert found["max_drawdown_bars"] == 2
    assert found["recovery_factor"] == close(0.5 / 0.25)
    assert found["ulcer_index"] == close(math.sqrt((0.25**2 + 0.1**2 + (1 / 150) ** 2) / 8))


def test_a_drawdown_that_never_recovers_counts_to_the_end():
    """R3"""
    assert metrics.equity_metrics(np.array([5.0, 4.0, 4.5, 3.0]), 252)["max_drawdown_bars"] == 3


def test_omega_and_tail_ratio_by_hand():
    """R13"""
    assert metrics.omega(RETURNS) == close(0.3 / 0.1)
    ladder = np.arange(-10, 31) / 100  # 41 steps: the 5th percentile is the third value, the 95th the 39th
    assert metrics.tail_ratio(ladder) == close(0.28 / 0.08)


def test_sqn_by_hand():
    """R13"""
    pnl = np.array([10.0, -5.0, 15.0, 0.0])
    deviation = math.sqrt((25 + 100 + 100 + 25) / 3)
    assert metrics.sqn(pnl) == close(2 * 5 / deviation)


def test_probabilistic_sharpe_by_hand():
    """R13: symmetric two-point returns have skewness 0 and kurtosis 1, so that the variance term is 1."""
    returns = np.array([0.03, -0.01] * 50)
    ratio = 0.01 / returns.std(ddof=1)
    expected = 0.5 * (1 + math.erf(ratio * math.sqrt(99) / math.sqrt(2)))
    assert metrics.probabilistic_sharpe(returns) == close(expected)
    assert metrics.probabilistic_sharpe(returns, benchmark=ratio) == close(0.5)


def test_historical_tail_losses_by_hand():
    """R2"""
    returns = np.arange(-20, 81) / 1000  # 101 steps
    assert metrics.value_at_risk(returns) == close(0.015)
    assert metrics.conditional_value_at_risk(returns) == close(0.0175)
    assert metrics.value_at_risk(returns, 0.01) == close(0.019)


@pytest.mark.parametrize("method", ["historical", "normal", "cornish-fisher"])
@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_tail_losses_of_normal_draws_match_the_closed_form(method: metrics.TailMethod, tail: float):
    """R2"""
    draws = np.random.default_rng(7).normal(0.001, 0.02, 400_000)
    z = metrics.NORMAL.inv_cdf(tail)
    sampling = 4e-4  # about four standard errors of the 1% quantile of so many draws
    loss = -(0.001 + 0.02 * z)
    shortfall = -(0.001 - 0.02 * metrics.NORMAL.pdf(z) / tail)
    assert metrics.value_at_risk(draws, tail, method) == pytest.approx(loss, abs=sampling)
    assert metrics.conditional_value_at_risk(draws, tail, method) == pytest.approx(shortfall, abs=sampling)


def test_cornish_fisher_shortfall_is_the_mean_of_its_own_quantiles():
    """R2: the closed form against the integral, on returns with a mild left tail."""
    draws = np.random.default_rng(3).gamma(40, 0.002, 5_000) * -1.0
    levels = (np.arange(2_000) + 0.5) / 2_000 * 0.05
    mean = np.mean([metrics.value_at_risk(draws, float(level), "cornish-fisher") for level in levels])
    integration = 2e-4
    assert metrics.conditional_value_at_risk(draws, 0.05, "cornish-fisher") == pytest.approx(
        mean, rel=integration
    )


def test_trade_figures_by_hand():
    """R5: expectancy = p W - q L"""
    found = metrics.trade_metrics(np.array([30.0, -10.0, 10.0, 0.0, -20.0]))
    assert found["trades"] == 5
    assert found["win_rate"] == 0.4
    assert found["average_win"] == 20
    assert found["average_loss"] == 15
    assert found["expectancy"] == close(0.4 * 20 - 0.4 * 15)
    assert found["profit_factor"] == close(40 / 30)
    assert (found["best_trade"], found["worst_trade"]) == (30, -20)


def test_summary_has_all_its_keys_whatever_the_run():
    wanted = set(next(iter(KEYS)).split())
    for equity in (pd.Series(CURVE, index=DAYS), pd.Series([], index=DAYS[:0], dtype="float64")):
        assert set(metrics.summarize(equity, NO_TRADES)) == wanted


def test_summary_counts_commission_and_exposure_from_fills():
    fills = pd.DataFrame(
        {
            "time": [DAYS[1], DAYS[3]],
            "symbol": ["A", "A"],
            "size": [5.0, -5.0],
            "price": [1.0, 1.0],
            "commission": [1.5, 2.0],
        }
    )
    found = metrics.summarize(pd.Series(CURVE, index=DAYS), NO_TRADES, fills=fills)
    assert found["commission"] == 3.5
    assert found["exposure"] == 0.5  # held at the close of the second and the third bar
    assert found["start_value"] == 100
    assert found["end_value"] == 118.8
    assert found["bars"] == 4


def test_exposure_counts_opposite_positions_of_two_symbols_as_held():
    fills = pd.DataFrame(
        {"time": [DAYS[1]] * 2, "symbol": ["A", "B"], "size": [5.0, -5.0], "commission": [0.0, 0.0]}
    )
    assert metrics.summarize(pd.Series(CURVE, index=DAYS), NO_TRADES, fills=fills)["exposure"] == 0.75


def test_exposure_is_zero_again_after_sizes_that_do_not_add_up_exactly():
    sizes = [0.1, 0.2, -0.3]
    fills = pd.DataFrame({"time": DAYS[:3], "symbol": "A", "size": sizes, "commission": 0.0})
    assert sum(sizes) != 0
    assert metrics.summarize(pd.Series(CURVE, index=DAYS), NO_TRADES, fills=fills)["exposure"] == 0.5


def test_without_fills_the_trades_tell_exposure_and_commission():
    trades = table((5.0, 0.25, DAYS[1], DAYS[3]), columns="pnl_net commission entry_time exit_time")
    found = metrics.summarize(pd.Series(CURVE, index=DAYS), trades)
    assert (found["exposure"], found["commission"]) == (0.5, 0.25)


@pytest.mark.parametrize("values", [[], [100.0], [100.0] * 30, [100.0, np.nan, 100.0], [np.nan, np.inf]])
def test_a_run_without_movement_has_no_ratios_and_no_error(values: list[float]):
    index = pd.date_range("2020-01-06", periods=len(values), freq="D", tz="UTC")
    found = metrics.summarize(pd.Series(values, index=index, dtype="float64"), NO_TRADES)
    for key in ("sharpe", "sortino", "calmar", "omega", "tail_ratio", "psr", "recovery_factor", "sqn"):
        assert math.isnan(found[key]), key
    for key in ("win_rate", "profit_factor", "expectancy", "average_win", "best_trade"):
        assert math.isnan(found[key]), key
    assert found["trades"] == 0
    assert found["commission"] == 0


def test_steady_growth_has_no_silly_ratios():
    """Its returns differ by rounding only: a ratio over that would be some 1e13."""
    curve = 100.0 * 1.0003 ** np.arange(500)
    found = metrics.equity_metrics(curve, 252)
    assert found["total_return"] > 0
    for key in ("sharpe", "sortino", "calmar", "omega", "psr"):
        assert math.isnan(found[key]), key


def test_a_lost_account_has_lost_all_and_has_no_ratios():
    found = metrics.equity_metrics(np.array([100.0, 50.0, -20.0, 30.0]), 252)
    assert found["max_drawdown"] == 1
    assert found["total_return"] == close(-0.7)
    assert all(math.isnan(found[key]) for key in ("sharpe", "volatility", "omega", "var_95"))
    assert metrics.cagr(np.array([100.0, 0.0]), 252) == -1


def test_one_trade_and_only_losses():
    one = metrics.trade_metrics(np.array([7.0]))
    assert (one["win_rate"], one["expectancy"]) == (1, 7)
    assert math.isnan(one["sqn"])
    assert math.isnan(one["profit_factor"])
    lost = metrics.trade_metrics(np.array([-1.0, -3.0]))
    assert (lost["win_rate"], lost["profit_factor"], lost["average_loss"]) == (0, 0, 2)
    assert math.isnan(lost["average_win"])


def test_bars_without_a_value_are_left_out():
    gappy = pd.Series([np.nan, 100.0, np.nan, 110.0], index=DAYS)
    found = metrics.summarize(gappy, NO_TRADES)
    assert found["bars"] == 2
    assert found["total_return"] == close(0.1)


def test_given_periods_win_over_the_times():
    found = metrics.summarize(pd.Series(CURVE, index=DAYS), NO_TRADES, periods=12)
    assert found["periods_per_year"] == 12


def session(freq: str, start: str, end: str, days: int) -> pd.DatetimeIndex:
    every = pd.date_range("2020-01-06", periods=days * 2, freq=freq)
    return every[every.indexer_between_time(start, end)]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.bdate_range("2020-01-01", periods=500, tz="UTC"), 252),
        (pd.bdate_range("2020-01-01", periods=500).delete(slice(40, 44)), 252),
        (pd.bdate_range("2020-01-06", periods=3), 252),
        (pd.date_range("2020-01-01", periods=500, freq="D"), 365),
        (pd.date_range("2020-01-01", periods=200, freq="W-FRI"), 52),
        (pd.date_range("2020-01-01", periods=60, freq="ME"), 12),
        (pd.date_range("2020-01-01", periods=60, freq="QE"), 4),
        (pd.date_range("2000-01-01", periods=20, freq="YE"), 1),
        (pd.date_range("2020-01-06", periods=1000, freq="h"), 24 * 365),
        (pd.date_range("2020-01-06", periods=3000, freq="min"), 24 * 60 * 365),
        (pd.date_range("2020-01-06", periods=500, freq="4h"), 6 * 365),
    ],
    ids=[
        "days",
        "closed",
        "three",
        "every-day",
        "weeks",
        "months",
        "quarters",
        "years",
        "hours",
        "minutes",
        "4h",
    ],
)
def test_periods_per_year_by_frequency(index: pd.DatetimeIndex, expected: float):
    """R1: annualisation from bar frequency."""
    assert metrics.periods_per_year(index) == expected


@pytest.mark.parametrize(("freq", "bars"), [("60min", 7), ("5min", 78), ("1min", 390)])
def test_periods_per_year_of_a_stock_session_are_its_bars_times_252(freq: str, bars: int):
    """R1"""
    days = pd.bdate_range("2020-01-06", periods=15)
    step = pd.Timedelta(freq)
    index = pd.DatetimeIndex([day + pd.Timedelta("14:30:00") + i * step for day in days for i in range(bars)])
    assert metrics.periods_per_year(index.tz_localize("UTC")) == bars * 252


def test_a_rare_saturday_session_does_not_make_a_market_trade_at_weekends():
    days = pd.bdate_range("2020-01-06", periods=300).append(pd.DatetimeIndex(["2020-11-14"])).sort_values()
    assert metrics.periods_per_year(days) == 252


@pytest.mark.parametrize("index", [DAYS[:0], DAYS[:1], pd.RangeIndex(5)])
def test_periods_per_year_of_nothing_to_measure_is_undefined(index: pd.Index):
    assert math.isnan(metrics.periods_per_year(index))


def test_months_compound_to_the_total_return_and_quiet_ones_are_zero():
    index = pd.DatetimeIndex(["2020-11-10", "2020-11-30", "2021-01-04", "2021-03-31"], tz="UTC")
    found = metrics.monthly_returns(pd.Series([100.0, 110.0, 121.0, 60.5], index=index))
    assert found.loc[2020, 11] == close(0.1)
    assert found.loc[2020, 12] == 0
    assert found.loc[2021, 1] == close(0.1)
    assert found.loc[2021, 3] == close(-0.5)
    assert math.isnan(found.loc[2020, 10])
    assert math.isnan(found.loc[2021, 4])
    assert np.nanprod(1 + found.to_numpy()) == close(0.605)


def test_months_of_nothing_are_an_empty_table():
    assert metrics.monthly_returns(pd.Series([], index=DAYS[:0], dtype="float64")).empty
