"""The Monte Carlo of a report, kept to what a report may take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reports.series import FEWEST_BARS, by_day

if TYPE_CHECKING:
    import pandas as pd

    from analyzers.montecarlo import MonteCarlo
    from core.results import RunResult

PATHS, MOST_STEPS = 10_000, 30_000_000
"""Paths, fewer where they would take more steps in all than a report has time for."""


def futures(result: RunResult, equity: pd.Series) -> MonteCarlo | None:
    """Stationary block bootstrap of the account's returns, of days where bars are shorter; always the same draws.

    equity: the finite values of the run's. None below `FEWEST_BARS` returns, or when the account was lost.
    """
    try:
        from analyzers.montecarlo import monte_carlo
    except ImportError:
        return None
    daily = by_day(equity)
    values = daily.to_numpy(dtype=np.float64)
    if len(values) <= FEWEST_BARS or values.min() <= 0 or np.ptp(values) == 0:
        return None
    paths = int(min(PATHS, max(100, MOST_STEPS // len(values))))
    return monte_carlo(replace(result, equity=daily), method="stationary", paths=paths, seed=0)


__all__ = ["futures"]
