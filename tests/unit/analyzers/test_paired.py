"""Two accounts over the same bars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers.metrics import sharpe
from analyzers.paired import FEWEST, paired


def account(returns: np.ndarray, start: str = "2020-01-01") -> pd.Series:
    values = 100 * np.cumprod(np.concatenate(([1.0], 1 + returns)))
    return pd.Series(values, index=pd.bdate_range(start, periods=len(values), tz="UTC"))


def walk(seed: int, mean: float = 0.0, bars: int = 750) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, bars)


def test_the_ratios_are_those_of_the_metrics():
    one, other = walk(1, 0.001), walk(2)
    found = paired(account(one), account(other))
    assert found.bars == 750
    assert found.one == pytest.approx(sharpe(one, 252))
    assert found.difference == pytest.approx(sharpe(one, 252) - sharpe(other, 252))
    assert found.low < found.difference < found.high
    assert found.correlation == pytest.approx(np.corrcoef(one, other)[0, 1])


def test_a_planted_edge_over_the_same_market_is_found():
    market = walk(3)
    better = market + 0.001 + np.random.default_rng(4).normal(0, 0.001, 750)
    found = paired(account(better), account(market))
    assert found.p_value < 0.01
    assert found.low > 0
    assert found.correlation > 0.98


def test_noise_is_seldom_a_difference():
    p_values = [
        paired(account(walk(seed, bars=250)), account(walk(seed + 999, bars=250))).p_value
        for seed in range(60)
    ]
    # Of 60 tests of nothing 3 are below 5% on average; 10 or more would come once in 1,500.
    assert sum(p < 0.05 for p in p_values) < 10
    assert np.median(p_values) > 0.2


def test_swapping_turns_the_sign_and_a_seed_repeats():
    one, other = account(walk(5)), account(walk(6))
    here, there = paired(one, other), paired(other, one)
    assert here.difference == -there.difference
    assert here.p_value == pytest.approx(there.p_value)
    assert paired(one, other) == here


def test_only_common_bars_count():
    one, other = account(walk(7)), account(walk(8), start="2021-01-01")
    found = paired(one, other)
    common = one.index.intersection(other.index)
    assert found.bars == len(common) - 1
    assert found.one == pytest.approx(sharpe(one[common].pct_change().dropna().to_numpy(), 252))


@pytest.mark.parametrize(
    "other",
    [
        account(walk(9), start="2035-01-01"),
        account(walk(9, bars=FEWEST - 1)),
        account(np.zeros(750)),
        account(np.full(750, -1.0)),
    ],
    ids=["apart", "too short", "never moves", "lost"],
)
def test_what_cannot_be_compared_is_not_defined(other: pd.Series):
    found = paired(account(walk(10)), other)
    assert all(math.isnan(each) for each in (found.difference, found.low, found.high, found.p_value))
