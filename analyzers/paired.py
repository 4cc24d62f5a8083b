"""Whether one account did better than another over the same bars by more than chance.

After Ledoit and Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio", Journal of Empirical
Finance 15: both accounts are resampled together, in blocks, so that what they share (a market) and what lasts (calm,
storm) stays. The interval is theirs, symmetric about the difference, and the test is whether it holds zero; their
studentised statistic is left out, so that both are a little too sure for short runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzers.benchmark import aligned
from analyzers.overfitting import block_length, resampled
from analyzers.returns import NAN, ROUNDING, FloatArray, simple_returns

if TYPE_CHECKING:
    import pandas as pd

DRAWS, LEAST, CELLS = 2_000, 200, 20_000_000
"""Resamples; fewer, but so many at least, where they would take more cells in all."""
FEWEST = 20
"""Common returns below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two annualised Sharpe ratios over the bars that both accounts have.

    bars: common returns. one, other: the ratios over them. difference: one less other; low, high: its interval at
    `level`. p_value: probability of a difference as large, either way, if there were none. correlation: of the
    returns. NaN where not defined: fewer than `FEWEST` common returns, a lost account, or one that never moves.
    """

    bars: int
    one: float
    other: float
    difference: float
    low: float
    high: float
    level: float
    p_value: float
    correlation: float


def paired(one: pd.Series, other: pd.Series, *, level: float = 0.95, seed: int = 0) -> Paired:
    """Compare two accounts, one value a bar each, DatetimeIndex; bars that only one of them has are left out."""
    mine, theirs, periods = aligned(one, other)
    first, second = simple_returns(mine), simple_returns(theirs)
    bars = min(first.size, second.size)
    nothing = Paired(bars, NAN, NAN, NAN, NAN, NAN, level, NAN, NAN)
    if first.size != second.size or first.size < FEWEST or not periods > 0:
        return nothing
    if min(float(first.std()), float(second.std())) <= ROUNDING:
        return nothing
    root = math.sqrt(periods)
    ratios = [float(_sharpe(returns[None, :])[0]) * root for returns in (first, second)]
    drawn = _differences(first, second, seed) * root
    difference = ratios[0] - ratios[1]
    far = np.abs(drawn[~np.isnan(drawn)] - difference)
    reach = float(np.quantile(far, level))
    return Paired(
        bars=bars,
        one=ratios[0],
        other=ratios[1],
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        level=level,
        p_value=float((1 + (far >= abs(difference)).sum()) / (1 + far.size)),
        correlation=float(np.corrcoef(first, second)[0, 1]),
    )


def _differences(one: FloatArray, other: FloatArray, seed: int) -> FloatArray:
    """Differences of the Sharpe ratios per bar over resamples that are the same for both."""
    bars = one.size
    draws = min(DRAWS, max(LEAST, CELLS // bars))
    length = max(block_length(one), block_length(other), block_length(one - other))
    size = max(1, CELLS // 10 // bars)
    found = []
    for number, first in enumerate(range(0, draws, size)):
        places = np.arange(bars, dtype=np.float64)
        drawn = resampled(places, min(size, draws - first), seed=seed + number, length=length)
        chosen = drawn.astype(np.int64)
        found.append(_sharpe(one[chosen]) - _sharpe(other[chosen]))
    return np.concatenate(found)


def _sharpe(returns: FloatArray) -> FloatArray:
    """Of (draws, n) returns, per bar; NaN where nothing moved."""
    deviation = returns.std(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(deviation > ROUNDING, returns.mean(axis=1) / deviation, np.nan)


__all__ = ["FEWEST", "Paired", "paired"]
