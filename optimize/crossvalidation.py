"""Combinatorial purged cross-validation: every choice of some parts of history to be judged on, learned from the rest.

Each split chooses the trial that was best on the bars it may learn from; what that trial earned in the parts that were
left out is put together with that of other splits into whole paths through history. A walk-forward has one such path,
this has many, and so shows how far the outcome is spread. Some splits learn from bars after those they are judged on:
that is its price, and what purge and embargo are for.

López de Prado (2018), "Advances in Financial Machine Learning", chapter 12.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.metrics import equity_metrics
from core.errors import ConfigError, UserError
from optimize.objective import Objective
from optimize.search import Log, Searched
from optimize.trials import RETURNS, SUM, Evaluator, Outcome, Params, Span
from optimize.windows import Combinations

Floats = NDArray[np.float64]
OF_RETURNS = ("sharpe", "sortino", "calmar", "total_return", "cagr", "max_drawdown", "volatility", "omega")
"""Objectives that returns alone tell, so that they can be had of bars that do not lie together."""
SHOWN = ("sharpe", "total_return", "max_drawdown")
TOGETHER = 64
"""Runs that are kept together."""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What the splits chose and what came of it.

    groups, tests, purge, embargo: how bars were parted. chosen: (splits,) numbers of trials. in_sample, out_of_sample:
    (splits,) the objective where it was chosen and where it was judged. figures: by name of `SHOWN`, (paths,), Sharpe
    ratios annual. curves: (paths, bars) growth. spread: by parameter, standard deviation of the splits' choices as a
    part of its range. agreed: share of splits with the commonest choice.
    """

    groups: int
    tests: int
    purge: int
    embargo: int
    chosen: NDArray[np.int64]
    in_sample: Floats
    out_of_sample: Floats
    figures: Mapping[str, Floats]
    curves: Floats
    spread: Mapping[str, float]
    agreed: float

    @property
    def losing(self) -> float:
        """Share of the paths whose Sharpe ratio is not above zero."""
        return float(np.mean(~(self.figures["sharpe"] > 0)))


def check_objective(objective: Objective) -> None:
    """Raise ConfigError for one that returns alone do not tell."""
    if objective.name not in OF_RETURNS:
        raise ConfigError(
            f"cross-validation cannot choose by {objective.name}", hint=f"use one of {', '.join(OF_RETURNS)}"
        )


def returns_of(
    evaluate: Evaluator,
    params: Sequence[Params],
    span: Span,
    log: Log,
    on_done: Callable[[int], None] = lambda done: None,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Of each parameter set the returns of one run over all bars, (n, bars), and which could be run.

    A run decides by bars that lie before, so that what it earned in a part is what it would have earned there.
    evaluate: gives moments of a block a bar. log: keeps every finished batch, of 8 bytes a bar and trial.
    """

    def run(some: Sequence[Params]) -> Outcome:
        outcome = evaluate(some, span)
        return Outcome({}, outcome.errors, outcome.moments[:, :, SUM : SUM + 1], outcome.tracebacks)

    found, ran = np.zeros((len(params), len(span))), np.zeros(len(params), np.bool_)
    try:
        for first in range(0, len(params), TOGETHER):
            some = params[first : first + TOGETHER]
            # What was kept is of these very parameters, even where a search that ended by time has found more since.
            mark = hashlib.blake2b(repr([sorted(each.items()) for each in some]).encode(), digest_size=8)
            outcome = log.outcome(f"{RETURNS} {mark.hexdigest()}", some, run)
            found[first : first + len(some)] = outcome.moments[:, :, 0]
            ran[first : first + len(some)] = [not error for error in outcome.errors]
            on_done(first + len(some))
    finally:
        log.flush()
    return found, ran


def crossvalidate(
    found: Searched,
    returns: Floats,
    usable: NDArray[np.int64],
    names: Sequence[str],
    parted: Combinations,
    objective: Objective,
    periods: float,
    *,
    purge: int = 0,
    embargo: int = 0,
) -> CrossValidation:
    """Choose on each split and judge. returns: (len(usable), bars), of the trials of `found` with these numbers.

    periods: bars a year. Raises ConfigError for an objective that returns do not tell.
    """
    check_objective(objective)
    if not len(usable):
        raise UserError("no trial is feasible", hint="widen the space, lower --min-trades, or give more data")
    bounds, places, inside, outside = parted.bounds, [], [], []
    for split in parted.splits:
        scores = scores_on(returns[:, split.train], objective, periods)
        best = int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))
        tested = np.concatenate([returns[best, bounds[group] : bounds[group + 1]] for group in split.tests])
        sign = 1.0 if objective.largest else -1.0
        places.append(best)
        inside.append(sign * scores[best])
        outside.append(sign * scores_on(tested[None, :], objective, periods)[0])
    paths = np.array([
        np.concatenate([
            returns[places[split], bounds[group] : bounds[group + 1]] for group, split in enumerate(path)
        ])
        for path in parted.paths
    ])  # fmt: skip
    curves: Floats = np.cumprod(np.hstack([np.ones((len(paths), 1)), 1.0 + paths]), axis=1, dtype=np.float64)
    measured = [equity_metrics(curve, periods) for curve in curves]
    points = found.points[usable[places]]
    return CrossValidation(
        groups=len(bounds) - 1,
        tests=len(parted.splits[0].tests),
        purge=purge,
        embargo=embargo,
        chosen=usable[places],
        in_sample=np.array(inside),
        out_of_sample=np.array(outside),
        figures={name: np.array([each[name] for each in measured]) for name in SHOWN},
        curves=curves,
        spread=dict(zip(names, points.std(axis=0).tolist(), strict=True)),
        agreed=float(np.bincount(places).max() / len(places)),
    )


def scores_on(returns: Floats, objective: Objective, periods: float) -> Floats:
    """The objective of each row of returns, (n,): more is better."""
    if objective.name == "sharpe":
        deviation = returns.std(axis=1, ddof=1)
        moves = deviation > 1e-12
        ratios = returns.mean(axis=1) / np.where(moves, deviation, 1.0) * math.sqrt(periods)
        values = np.where(moves, ratios, np.nan)
    else:
        curves = np.cumprod(np.hstack([np.ones((len(returns), 1)), 1.0 + returns]), axis=1)
        values = np.array([equity_metrics(curve, periods)[objective.name] for curve in curves])
    return np.asarray(values if objective.largest else -values, dtype=np.float64)


__all__ = ["OF_RETURNS", "CrossValidation", "check_objective", "crossvalidate", "returns_of", "scores_on"]
