"""What an optimisation yields: every window, the stitched run out of sample, and what all of it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from analyzers.entries import EntryTest
    from analyzers.overfitting import Interval, Neighbourhood, Overfitting
    from analyzers.verdict import Evidence, Verdict
    from core.types import DataInfo
    from optimize.crossvalidation import CrossValidation
    from optimize.objective import Objective
    from optimize.search import Searched
    from optimize.windows import Window


@dataclass(frozen=True, slots=True)
class Judged:
    """One window. params: chosen by its search. in_sample, out_of_sample: metrics by name; fractions, not percent.

    begins, ends: first and last bar of its test. trials: how many were tried; feasible: of which could be chosen.
    trained_from, trained_to: first and last bar the search saw. engine: what ran the test. stopped: why the search
    ended.
    """

    window: Window
    params: Mapping[str, Any]
    in_sample: Mapping[str, float]
    out_of_sample: Mapping[str, float]
    trained_from: pd.Timestamp
    trained_to: pd.Timestamp
    begins: pd.Timestamp
    ends: pd.Timestamp
    trials: int
    feasible: int
    engine: str
    stopped: str


@dataclass(frozen=True)
class WalkForward:
    """A finished walk-forward optimisation.

    equity: Series, one value a bar of the tests, stitched: what an account would have had that traded each window's
    choice on the bars after it. trades: closed in the tests, columns of `core.results.TRADE_COLUMNS`. metrics: of the
    stitched run. intervals: of its Sharpe ratio, total return, CAGR and largest drawdown. in_sample_equity: of the
    whole period with the parameters that were best on it, which is what a search without a walk-forward would show.
    whole: the search over the whole period. chosen: its best parameters. efficiency: yearly return out of sample over
    that in sample. drift: by parameter, the mean change from window to window as a part of its range.
    overfitting, neighbourhood, entries, evidence, verdict: see `analyzers`. settings: how it was done, as plain values.
    counters: trials by where they ran, seconds, trials a second. crossvalidation: None unless it was asked for.
    """

    strategy: str
    data: DataInfo
    objectives: tuple[Objective, ...]
    windows: tuple[Judged, ...]
    equity: pd.Series
    trades: pd.DataFrame
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    in_sample_equity: pd.Series
    whole: Searched
    chosen: Mapping[str, Any]
    names: tuple[str, ...]
    efficiency: float
    drift: Mapping[str, float]
    overfitting: Overfitting
    neighbourhood: Neighbourhood
    entries: EntryTest
    evidence: Evidence
    verdict: Verdict
    settings: Mapping[str, Any]
    counters: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    crossvalidation: CrossValidation | None = None


__all__ = ["Judged", "WalkForward"]
