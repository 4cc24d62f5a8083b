"""How a search does on markets without memory: the share of them on which it finds as much as on the real one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from feeds.market import Market
from optimize.evaluate import Evaluation
from optimize.permutation import permuted
from optimize.plan import Plan
from optimize.search import Settings, search
from optimize.slices import times_of
from optimize.trials import Span

PERMUTATIONS = 50
PERMUTED_TRIALS = 64
"""Trials of the search on each shuffled market, and of the same search on the real one."""


def share_as_good(plan: Plan, count: int, *, jobs: int | None, tell: Callable[[int], None]) -> float:
    """The share of shuffled markets on which a search does at least as well, the real one counted in.

    count: shuffled markets. tell: is told after each how many are done. NaN without any, or when no trial on the
    real market is feasible.
    """
    if not count:
        return math.nan
    settings = replace(
        plan.settings, trials=min(plan.settings.trials, PERMUTED_TRIALS), minutes=None, prune=False
    )
    real = _best_of(plan, plan.market, settings, jobs)
    if not math.isfinite(real):
        return math.nan
    beaten = 0
    for number in range(count):
        shuffled = permuted(plan.market, plan.settings.seed * 100_003 + number)
        beaten += _best_of(plan, shuffled, settings, jobs) >= real
        tell(number + 1)
    return (1 + beaten) / (1 + count)


def _best_of(plan: Plan, market: Market, settings: Settings, jobs: int | None) -> float:
    span = Span(0, len(times_of(plan.market.frames)))
    names = [objective.name for objective in settings.objectives]
    with Evaluation(plan.strategy, market, plan.broker, metrics=names, jobs=jobs) as evaluate:
        found = search(plan.space, evaluate, span, settings)
    usable = found.scores[np.isfinite(found.scores[:, 0]), 0]
    return float(usable.max()) if len(usable) else -math.inf


__all__ = ["PERMUTATIONS", "share_as_good"]
