"""The Monte Carlo of a report, kept to what a report may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzers.metrics import simple_returns
from analyzers.montecarlo import MonteCarlo, monte_carlo
from analyzers.periods import periods_per_year
from reports.series import FEWEST_BARS, by_day

if TYPE_CHECKING:
    import pandas as pd

PATHS, MOST_STEPS = 10_000, 30_000_000
"""Paths, fewer where they would take more steps in all than a report has time for."""


def futures(equity: pd.Series, periods: float) -> MonteCarlo | None:
    """Stationary block bootstrap of an account's returns, of days where bars are shorter; always the same draws.

    equity: finite, one value a bar. periods: bars a year. None below `FEWEST_BARS` returns, or when the account was
    lost or never changed.
    """
    daily = by_day(equity)
    with np.errstate(over="ignore", invalid="ignore"):
        returns = simple_returns(daily.to_numpy(dtype=np.float64))
    if returns.size < FEWEST_BARS or not np.isfinite(returns).all() or not np.ptp(returns) > 0:
        return None
    paths = int(min(PATHS, max(100, MOST_STEPS // returns.size)))
    a_year = periods if len(daily) == len(equity) else periods_per_year(daily.index)
    known = a_year if np.isfinite(a_year) else None
    return monte_carlo(returns, method="stationary", paths=paths, seed=0, periods=known)


__all__ = ["futures"]
