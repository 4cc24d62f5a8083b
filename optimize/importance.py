"""Which parameters decide what comes of a trial: how much of the variance of the trials each explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

BINS = 10
FEWEST = 10
"""Trials below which nothing is said."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares of variance in [0, 1]. alone: by this parameter's value; joint: more, through one other parameter."""

    alone: float
    joint: float


def importance(
    names: Sequence[str], points: NDArray[np.float64], scores: NDArray[np.float64]
) -> dict[str, Importance]:
    """By parameter, the most important first; empty with fewer than `FEWEST` trials or equal scores.

    points: (n, d) in the unit cube, columns as `names`. scores: (n,), trials without one are left out. What is
    explained are the ranks of the scores, so that a few extreme trials do not decide. Values are put into at most
    `BINS` bins and the share is corrected for what as many bins explain of noise (epsilon squared; Kelley, 1935). What
    two parameters explain beyond each alone counts half for either. A sampler that learns tries the good region more
    often, and the shares are of what it tried.
    """
    usable = np.isfinite(scores)
    if usable.sum() < FEWEST:
        return {}
    ranks = rankdata(scores[usable])
    if ranks.min() == ranks.max():
        return {}
    bins = [_binned(column) for column in points[usable].T]
    alone = [_share(each, ranks) for each in bins]
    joint = [0.0] * len(names)
    for one, other in combinations(range(len(names)), 2):
        both = _share(bins[one] * BINS + bins[other], ranks)
        more = max(0.0, both - alone[one] - alone[other])
        joint[one] += more / 2
        joint[other] += more / 2
    # Pairs that share a parameter can explain the same thing twice.
    total = sum(alone) + sum(joint)
    scale = 1 / total if total > 1 else 1.0
    order = sorted(range(len(names)), key=lambda place: -(alone[place] + joint[place]))
    return {names[place]: Importance(alone[place] * scale, joint[place] * scale) for place in order}


def _binned(column: Floats) -> Ints:
    """The bin of each value, from 0: one a distinct value where these are few, else bins of about equal counts."""
    values, codes = np.unique(column, return_inverse=True)
    if len(values) <= BINS:
        return codes.astype(np.int64)
    edges = np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(edges, column, side="right").astype(np.int64)


def _share(bins: Ints, values: Floats) -> float:
    """Epsilon squared of values by bin, at least 0; 0 where bins are as many as values."""
    _, codes = np.unique(bins, return_inverse=True)
    count = np.bincount(codes)
    groups, n = len(count), len(values)
    if groups < 2 or n <= groups:
        return 0.0
    means = np.bincount(codes, values) / count
    total = float(((values - values.mean()) ** 2).sum())
    within = float(((values - means[codes]) ** 2).sum())
    return max(0.0, 1 - (within / (n - groups)) / (total / (n - 1)))


__all__ = ["Importance", "importance"]
