"""A run beside a benchmark: closed forms, and bars that do not fit together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers import metrics
from analyzers.benchmark import KEYS, aligned
from core.errors import ConfigError

ARITHMETIC = 1e-12  # the same formula, rounded in another order
COMPOUNDED = 1e-9  # returns read off a curve of compounded ones
DAYS = pd.bdate_range("2022-01-03", periods=500, tz="UTC")


def curve(returns: np.ndarray, index: pd.DatetimeIndex = DAYS) -> pd.Series:
    return pd.Series(
        100.0 * np.cumprod(np.concatenate([[1.0], 1.0 + returns])), index=index[: len(returns) + 1]
    )


def market(seed: int = 3, bars: int = 499) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0004, 0.01, bars)


def test_a_series_made_with_alpha_and_beta_gives_them_back() -> None:
    """B18: r = a + b m, exactly."""
    moves = market()
    found = metrics.benchmark_metrics(curve(0.0003 + 1.5 * moves), curve(moves))
    assert found["beta"] == pytest.approx(1.5, rel=COMPOUNDED)
    assert found["alpha"] == pytest.approx(1.0003**252 - 1, rel=COMPOUNDED)
    assert found["correlation"] == pytest.approx(1.0, rel=COMPOUNDED)


def test_noise_that_is_unrelated_changes_neither_alpha_nor_beta() -> None:
    """B18: residuals made orthogonal to the market and to a constant."""
    moves, noise = market(), market(9)
    design = np.column_stack([np.ones_like(moves), moves])
    noise -= design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    found = metrics.benchmark_metrics(curve(-0.0002 + 0.4 * moves + noise), curve(moves))
    assert found["beta"] == pytest.approx(0.4, rel=COMPOUNDED)
    assert found["alpha"] == pytest.approx(0.9998**252 - 1, rel=COMPOUNDED)
    explained = 0.4 * moves.std() / math.hypot(0.4 * moves.std(), noise.std())
    assert found["correlation"] == pytest.approx(explained, rel=COMPOUNDED)


def test_information_ratio_and_tracking_error_by_hand() -> None:
    """B18: differences of +2% and 0% in turn have a mean of 1% and a deviation of sqrt(4/3) %."""
    moves = np.array([0.01, -0.02, 0.03, 0.0])
    returns = moves + np.array([0.02, 0.0, 0.02, 0.0])
    deviation = math.sqrt(4 / 3) * 0.01
    assert metrics.information_ratio(returns, moves, 4) == pytest.approx(0.01 / deviation * 2, rel=ARITHMETIC)
    found = metrics.benchmark_metrics(curve(returns), curve(moves))
    assert found["tracking_error"] == pytest.approx(deviation * math.sqrt(252), rel=COMPOUNDED)
    assert found["benchmark_return"] == pytest.approx(np.prod(1 + moves) - 1, rel=COMPOUNDED)
    assert found["excess_return"] == pytest.approx(np.prod(1 + returns) - np.prod(1 + moves), rel=COMPOUNDED)


def test_a_run_that_is_its_own_benchmark_has_no_information_ratio() -> None:
    account = curve(market())
    found = metrics.benchmark_metrics(account, account * 7)
    assert found["excess_return"] == pytest.approx(0, abs=ARITHMETIC)
    assert found["beta"] == pytest.approx(1, rel=COMPOUNDED)
    assert found["tracking_error"] == pytest.approx(0, abs=ARITHMETIC)
    assert math.isnan(found["information_ratio"])


def test_without_a_benchmark_or_with_one_that_rests_nothing_is_defined() -> None:
    """B18"""
    account = curve(market())
    assert all(math.isnan(value) for value in metrics.benchmark_metrics(account, None).values())
    still = metrics.benchmark_metrics(account, account * 0 + 5)
    assert still["benchmark_return"] == 0
    assert [key for key in KEYS if math.isnan(still[key])] == ["alpha", "beta", "correlation"]
    later = metrics.benchmark_metrics(account, curve(market(), DAYS.shift(2000)))
    assert all(math.isnan(value) for value in later.values())
    lost = metrics.benchmark_metrics(account, account - account.iloc[3])
    assert math.isnan(lost["beta"])


@pytest.mark.parametrize("benchmark", [[1.0, 2.0], pd.Series([1.0, 2.0]), "SPY"])
def test_what_is_no_series_is_refused_and_said(benchmark: object) -> None:
    with pytest.raises(ConfigError, match="the benchmark is not a series") as refused:
        metrics.benchmark_metrics(curve(market()), benchmark)  # type: ignore[arg-type]
    assert "DatetimeIndex" in (refused.value.hint or "")


def test_days_are_compared_by_date_whatever_the_hour_and_the_zone() -> None:
    account = curve(market())
    for moved in (
        account.set_axis(DAYS + pd.Timedelta("21h")),
        account.set_axis(DAYS.tz_localize(None)),
        account.set_axis(DAYS.tz_localize(None).tz_localize("Asia/Tokyo")),
    ):
        mine, other, periods = aligned(account, moved)
        assert (mine == other).all()
        assert (len(mine), periods) == (500, 252)


def test_weekends_of_a_market_that_never_rests_are_left_out_beside_one_that_does() -> None:
    every = pd.date_range("2022-01-03", periods=70, freq="D", tz="UTC")
    account = pd.Series(np.arange(100.0, 170.0), index=every)
    stocks = account[every.day_of_week < 5]
    mine, other, periods = aligned(account, stocks)
    assert (mine == other).all()
    assert (len(mine), periods) == (50, 252)


def test_an_intraday_run_beside_a_daily_benchmark_counts_the_last_bar_of_each_day() -> None:
    hours = pd.date_range("2022-01-03", periods=96, freq="h", tz="UTC")
    account = pd.Series(np.arange(1.0, 97.0), index=hours)
    days = pd.Series([24.0, 48.0, 72.0, 96.0], index=pd.date_range("2022-01-03", periods=4, freq="D"))
    mine, other, _ = aligned(account, days)
    assert mine.tolist() == other.tolist() == [24.0, 48.0, 72.0, 96.0]


def test_intraday_series_are_compared_by_time_and_a_gap_is_covered_by_the_next_return() -> None:
    minutes = pd.date_range("2022-01-03 14:00", periods=10, freq="min", tz="UTC")
    account = pd.Series(np.arange(1.0, 11.0), index=minutes)
    mine, other, _ = aligned(account, account.drop(minutes[[3, 4]]))
    assert mine.tolist() == other.tolist() == [1, 2, 3, 6, 7, 8, 9, 10]


def test_bars_without_a_value_out_of_order_or_twice_do_no_harm() -> None:
    account = curve(market(bars=9))
    benchmark = pd.concat([account.iloc[5:], account.iloc[:5], account.iloc[4:5]])
    benchmark.iloc[1] = np.nan
    mine, other, _ = aligned(account, benchmark)
    assert (mine == other).all()
    assert len(mine) == 9
