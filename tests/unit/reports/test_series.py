"""Rolling figures and how returns are spread."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from reports.series import FEWEST_BARS, by_day, distribution, rolling

CUMULATED = 1e-9  # pandas rolls sums forward


def account(returns: np.ndarray, freq: str = "B") -> pd.Series:
    values = 1000 * np.cumprod(np.concatenate(([1.0], 1 + returns)))
    return pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq=freq, tz="UTC"))


def test_rolling_figures_are_those_of_their_window():
    returns = np.random.default_rng(2).normal(0.001, 0.01, 400)
    found = rolling(account(returns), 252)
    window = found.attrs["bars"]
    assert window == 100  # a quarter of the run, below half a year
    assert len(found) == len(returns) - window + 1
    last = returns[-window:]
    assert found["sharpe"].iloc[-1] == pytest.approx(
        last.mean() / last.std(ddof=1) * math.sqrt(252), rel=CUMULATED
    )
    assert found["volatility"].iloc[0] == pytest.approx(
        returns[:window].std(ddof=1) * math.sqrt(252), rel=CUMULATED
    )
    assert found["total_return"].iloc[-1] == pytest.approx(np.prod(1 + last) - 1, rel=CUMULATED)


def test_rolling_never_looks_ahead():
    returns = np.random.default_rng(3).normal(0, 0.01, 600)
    whole = rolling(account(returns), 252)
    assert whole.attrs["bars"] == 126
    cut = rolling(account(returns[:560]), 252)
    pd.testing.assert_frame_equal(cut, whole.loc[: cut.index[-1]], check_freq=False)


def test_too_short_for_a_window_is_empty():
    assert rolling(account(np.full(4 * FEWEST_BARS - 1, 0.01)), 252).empty
    assert rolling(account(np.array([])), math.nan).empty


@settings(max_examples=60, deadline=None)
@given(some.lists(some.floats(-0.5, 0.5), min_size=FEWEST_BARS, max_size=200))
def test_every_return_is_counted_once(values: list[float]):
    returns = np.array(values)
    equity = account(returns)
    found = distribution(equity)
    exact = equity.to_numpy()[1:] / equity.to_numpy()[:-1] - 1
    if found is None:
        assert (exact != 0).sum() < FEWEST_BARS
        return
    assert found.counts.sum() + found.still == len(returns)
    assert (np.diff(found.edges) > 0).all()
    assert found.best == exact.max()
    assert found.worst == exact.min()


def test_bars_within_a_day_are_joined_to_days_for_the_distribution():
    intraday = account(np.random.default_rng(4).normal(0, 0.001, 24 * 60), "h")
    found = distribution(intraday)
    assert found is not None
    assert found.of == "day"
    assert found.counts.sum() + found.still == len(by_day(intraday)) - 1 == 60


def test_a_single_day_of_minutes_stays_in_bars():
    found = distribution(account(np.random.default_rng(5).normal(0, 0.001, 300), "min"))
    assert found is not None
    assert found.of == "bar"
