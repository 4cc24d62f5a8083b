"""Drawdowns one by one: depth, length, recovery of a curve worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers import metrics

ARITHMETIC = 1e-12  # the same formula, rounded in another order
#                 0    1    2    3    4    5    6    7    8    9
CURVE = np.array([100, 120, 90, 108, 120, 150, 149, 150, 160, 120], dtype=float)
DAYS = pd.date_range("2024-01-01", periods=10, freq="D", tz="UTC")


def test_depth_length_and_recovery_of_a_hand_made_curve() -> None:
    """R3: falls of 30 in 120, of 1 in 150, and of 40 in 160 that lasts."""
    found = metrics.drawdown_metrics(CURVE)
    assert found["average_drawdown"] == pytest.approx((0.25 + 1 / 150 + 0.25) / 3, rel=ARITHMETIC)
    assert found["max_drawdown_recovery_bars"] == 2  # of two equal ones the first, from bar 2 to bar 4
    assert found["time_under_water"] == pytest.approx(4 / 10, rel=ARITHMETIC)


def test_the_table_is_by_depth_with_the_times_of_each() -> None:
    """R3"""
    found = metrics.drawdown_table(pd.Series(CURVE, index=DAYS))
    assert list(found["depth"]) == pytest.approx([0.25, 0.25, 1 / 150], rel=ARITHMETIC)
    assert list(found["start"]) == [DAYS[1], DAYS[8], DAYS[5]]
    assert list(found["trough"]) == [DAYS[2], DAYS[9], DAYS[6]]
    assert list(found["end"].dropna()) == [DAYS[4], DAYS[7]]
    assert pd.isna(found["end"][1])
    assert list(found["bars"]) == [2, 1, 1]
    assert found["recovery_bars"][[0, 2]].tolist() == [2, 1]
    assert math.isnan(found["recovery_bars"][1])
    assert len(metrics.drawdown_table(pd.Series(CURVE, index=DAYS), 1)) == 1


def test_the_table_leaves_out_bars_without_a_value() -> None:
    gappy = CURVE.copy()
    gappy[3] = np.nan
    found = metrics.drawdown_table(pd.Series(gappy, index=DAYS))
    assert found["bars"][0] == 1
    assert found["end"][0] == DAYS[4]


@pytest.mark.parametrize("values", [[], [100.0], [100.0, 110.0, 120.0], [np.nan, np.nan]])
def test_without_a_drawdown_there_is_none_to_measure(values: list[float]) -> None:
    curve = np.asarray(values, dtype=float)
    found = metrics.drawdown_metrics(curve[np.isfinite(curve)])
    assert math.isnan(found["average_drawdown"])
    assert math.isnan(found["max_drawdown_recovery_bars"])
    index = pd.date_range("2024-01-01", periods=len(values), freq="D", tz="UTC")
    assert metrics.drawdown_table(pd.Series(curve, index=index)).empty


def test_a_fall_that_is_rounding_is_no_drawdown() -> None:
    curve = np.array([0.3, 0.1 + 0.2 - 1e-16, 0.3 - 5e-17, 0.3])
    assert math.isnan(metrics.drawdown_metrics(curve * np.array([1, 1 - 2e-16, 1, 1]))["average_drawdown"])


def test_a_drawdown_that_lasts_is_never_recovered() -> None:
    found = metrics.drawdown_metrics(np.array([5.0, 4.0, 3.0, 4.5]))
    assert found["average_drawdown"] == pytest.approx(0.4, rel=ARITHMETIC)
    assert math.isnan(found["max_drawdown_recovery_bars"])
    assert found["time_under_water"] == 0.75


def test_an_account_that_starts_without_money() -> None:
    found = metrics.drawdown_table(pd.Series([0.0, 1.0], index=DAYS[:2]))
    assert found["depth"].tolist() == [1.0]
    assert found["start"].tolist() == [DAYS[0]]
