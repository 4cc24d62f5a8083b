"""One search over one span of bars: propose, evaluate, remember, until the budget or the patience is used up.

found = search(space, evaluate, Span(0, 750), Settings(trials=500, sampler="qmc", seed=7))
found.params[found.best], found.scores[found.best]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, UserError
from optimize import samplers
from optimize.objective import TRADES, Objective, front, scores_of
from optimize.space import SearchSpace
from optimize.trials import PRUNING, Evaluator, Outcome, Params, Span, concatenate, shown

PRUNED = "pruned"
PRUNING_PART = 3
"""A trial is pruned by what it did in the first of so many parts of the bars."""
GRID_BATCH = 1024
FRUITLESS = 32
"""Batches without a new point after which a space counts as used up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to search.

    sampler: one of `samplers.NAMES`, or "auto": the whole grid where it has no more points than `trials`, else "qmc".
    min_trades: fewer trades make a trial infeasible. minutes: stop after so long. patience: stop
    after so many trials without a better one. prune: drop the lower half of each batch after a third of the bars.
    """

    trials: int = 256
    sampler: str = "auto"
    seed: int = 0
    objectives: tuple[Objective, ...] = (Objective("sharpe"),)
    min_trades: int = 0
    minutes: float | None = None
    patience: int | None = None
    prune: bool = False

    def check(self) -> None:
        """Raise ConfigError for numbers that make no search."""
        if self.trials < 1:
            raise ConfigError(f"--trials is {self.trials}", hint="try at least 1")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"--patience is {self.patience}", hint="wait for at least 1 trial")
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"--minutes is {self.minutes}", hint="give a time above zero")
        if self.seed < 0 or self.min_trades < 0:
            raise ConfigError("--seed and --min-trades must not be below zero", hint="give 0 or more")


class NoTrialRan(UserError):
    """Every trial of a search raised. Handler: the command, which says where the log is."""

    code = "no-trial-ran"


class Log(Protocol):
    """Where finished batches are kept, so that a search can go on after a stop, or in several processes."""

    def outcome(
        self, key: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        """What came of a batch: as it is kept, or by `run`, kept at the latest by `flush`."""
        ...

    def flush(self) -> None:
        """Keep what waits: the search ended, or was ended."""
        ...


class NoLog:
    """Keeps nothing."""

    def outcome(
        self, key: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        """Run it."""
        return run(params)

    def flush(self) -> None:
        """There is nothing."""


@dataclass(slots=True)
class Searched:
    """A finished search: n trials, all different, in the order they were proposed.

    points: (n, d) in the unit cube. params: of each. outcome: what came of them. scores: (n, objectives), more is
    better, NaN where infeasible. stopped: why it ended. min_trades: fewer made a trial infeasible.
    """

    points: NDArray[np.float64]
    params: list[dict[str, Any]]
    outcome: Outcome
    scores: NDArray[np.float64]
    stopped: str
    min_trades: int = 0

    def __len__(self) -> int:
        return len(self.params)

    @property
    def front(self) -> NDArray[np.int64]:
        """Trials that no other beats in every objective; with one objective the best."""
        return front(self.scores)

    @property
    def best(self) -> int:
        """The best trial by the first objective. Raises UserError when no trial is feasible."""
        usable = np.isfinite(self.scores[:, 0])
        if not usable.any():
            raise self._why_none()
        return int(np.nanargmax(self.scores[:, 0]))

    @property
    def failed(self) -> list[int]:
        """Trials that could not run."""
        return [number for number, error in enumerate(self.outcome.errors) if error and error != PRUNED]

    @property
    def first_failure(self) -> str:
        """Which trial could not run first, with which parameters, and why."""
        first = self.failed[0]
        return f"trial {first} with {shown(self.params[first])}: {self.outcome.errors[first]}"

    def _why_none(self) -> UserError:
        ran = [number for number, error in enumerate(self.outcome.errors) if not error]
        if not ran and self.failed:
            return NoTrialRan(
                f"none of {len(self)} trials could run; the first, {self.first_failure}",
                hint="mend the strategy, or search elsewhere",
            )
        most = max((self.outcome.metrics[TRADES][number] for number in ran), default=0.0)
        if most < self.min_trades:
            return UserError(
                f"none of {len(self)} trials has {self.min_trades:,} trades, the most is {most:,.0f}",
                hint="lower --min-trades, widen the space, or give more data",
            )
        return UserError(
            f"none of {len(self)} trials has a value of the objective",
            hint="widen the space, or give more data",
        )


def _now() -> float:
    return time.monotonic()


@dataclass(slots=True)
class _Progress:
    """What a search has so far."""

    settings: Settings
    points: list[NDArray[np.float64]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    known: dict[bytes, NDArray[np.float64]] = field(default_factory=dict)
    best: float = -math.inf
    since: int = 0
    began: float = field(default_factory=lambda: _now())

    def add(self, points: NDArray[np.float64], outcome: Outcome, scores: NDArray[np.float64]) -> None:
        self.points.append(points)
        self.outcomes.append(outcome)
        self.scores.append(scores)
        for point, score in zip(points, scores, strict=True):
            self.known[point.tobytes()] = score
            if score[0] > self.best:
                self.best, self.since = float(score[0]), 0
            else:
                self.since += 1

    @property
    def done(self) -> int:
        return len(self.known)

    def over(self) -> str:
        """Why to stop, "" to go on."""
        settings = self.settings
        if self.done >= settings.trials:
            return f"{settings.trials:,} trials"
        if settings.patience is not None and self.since >= settings.patience:
            return f"no better one in {self.since:,} trials"
        if settings.minutes is not None and _now() - self.began >= settings.minutes * 60:
            return f"{settings.minutes:g} minutes"
        return ""


def search(
    space: SearchSpace,
    evaluate: Evaluator,
    span: Span,
    settings: Settings,
    *,
    log: Log | None = None,
    on_batch: Callable[[int, float], None] | None = None,
) -> Searched:
    """Search the space on one span of bars.

    log: keeps every finished batch; with one that has kept some, the search goes on behind them. on_batch: told, after
    each batch, how many trials are done and the best score. The same settings give the same trials whatever evaluates
    them, unless `minutes` ends the search. Raises ConfigError for settings that make no search.
    """
    settings.check()
    kept, progress = log or NoLog(), _Progress(settings)
    try:
        stopped = _go_on(space, evaluate, span, kept, progress, on_batch)
    finally:
        kept.flush()
    return _searched(space, progress, stopped)


def _go_on(
    space: SearchSpace,
    evaluate: Evaluator,
    span: Span,
    kept: Log,
    progress: _Progress,
    on_batch: Callable[[int, float], None] | None,
) -> str:
    """Batch by batch, until there is a reason to stop: which."""
    settings = progress.settings
    sampler = sampler_for(space, settings)
    for number in range(2**31):
        stopped = progress.over()
        if stopped:
            return stopped
        asked = _ask(space, sampler, progress)
        if asked is None:
            break
        points, new = asked
        if len(new):
            outcome, scores = _evaluated(space, evaluate, span, settings, kept, str(number), new)
            progress.add(new, outcome, scores)
        told = [progress.known.get(point.tobytes()) for point in points]
        none = np.full(len(settings.objectives), np.nan)
        sampler.tell(points, np.array([none if score is None else score for score in told]))
        if on_batch is not None:
            on_batch(progress.done, progress.best)
    return f"all {progress.done:,} combinations of the space"


def _searched(space: SearchSpace, progress: _Progress, stopped: str) -> Searched:
    if not progress.points:
        raise ConfigError("there is nothing to try", hint="widen the space or loosen the constraint")
    points = np.concatenate(progress.points)
    return Searched(
        points,
        space.decode(points),
        concatenate(progress.outcomes),
        np.concatenate(progress.scores),
        stopped,
        progress.settings.min_trades,
    )


class _Grid:
    """Every point of a grid, in an order that is the seed's."""

    batch = GRID_BATCH

    def __init__(self, space: SearchSpace, seed: int) -> None:
        points = space.grid()
        self._points = points[np.random.default_rng(seed).permutation(len(points))]
        self._asked = 0

    def ask(self, count: int) -> NDArray[np.float64]:
        """The next ones; fewer, or none, at the end."""
        self._asked += count
        return self._points[self._asked - count : self._asked]

    def tell(self, points: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        """Nothing is learned."""


def sampler_for(space: SearchSpace, settings: Settings) -> samplers.Sampler:
    """The sampler that the settings name. Raises UnknownNameError, ConfigError."""
    name = settings.sampler
    if name == "auto":
        name = "grid" if space.size <= settings.trials else "qmc"
    if name == "grid":
        return _Grid(space, settings.seed)
    return samplers.make(
        name,
        len(space.names),
        settings.seed,
        trials=settings.trials,
        objectives=len(settings.objectives),
    )


def _ask(
    space: SearchSpace, sampler: samplers.Sampler, progress: _Progress
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The points of the next batch, and those of them that are new, allowed and wanted; None when nothing is left.

    What a batch has is a function of the sampler and of the trials before, so that it is the same after a stop.
    """
    for _ in range(FRUITLESS):
        points = space.snap(sampler.ask(sampler.batch))
        if not len(points) or progress.done >= space.size:
            return None
        wanted = progress.settings.trials - progress.done
        fresh = _fresh(space, points, progress.known, wanted)
        if len(fresh):
            return points, fresh
        none = np.full((len(points), len(progress.settings.objectives)), np.nan)
        for place, row in enumerate(points):
            none[place] = progress.known.get(row.tobytes(), none[place])
        sampler.tell(points, none)
    return None


def _fresh(
    space: SearchSpace, points: NDArray[np.float64], known: Mapping[bytes, Any], wanted: int
) -> NDArray[np.float64]:
    """The first so many of these points that are new and allowed; no constraint is asked about more than it takes."""
    new = {row.tobytes(): place for place, row in reversed([*enumerate(points)])}
    places = sorted(place for key, place in new.items() if key not in known)
    found: list[int] = []
    while places and len(found) < wanted:
        some, places = (
            places[: max(16, 2 * (wanted - len(found)))],
            places[max(16, 2 * (wanted - len(found))) :],
        )
        found += [
            place
            for place, allowed in zip(some, space.allowed(points[some]).tolist(), strict=True)
            if allowed
        ]
    return points[found[:wanted]]


def _evaluated(
    space: SearchSpace,
    evaluate: Evaluator,
    span: Span,
    settings: Settings,
    log: Log,
    key: str,
    points: NDArray[np.float64],
) -> tuple[Outcome, NDArray[np.float64]]:
    params = space.decode(points)
    keep = np.arange(len(params))
    if settings.prune and len(params) > 1 and len(span) >= 2 * PRUNING_PART:
        part = Span(span.first, span.first + len(span) // PRUNING_PART, span.warmup)
        early = log.outcome(f"{key} {PRUNING}", params, lambda some: evaluate(some, part))
        first = scores_of(early, settings.objectives)[:, 0]
        order = np.argsort(-np.where(np.isfinite(first), first, -np.inf), kind="stable")
        keep = np.sort(order[: math.ceil(len(params) / 2)])
    outcome = log.outcome(key, [params[place] for place in keep], lambda some: evaluate(some, span))
    whole = _spread(outcome, keep, len(params))
    return whole, scores_of(whole, settings.objectives, settings.min_trades)


def _spread(outcome: Outcome, places: NDArray[np.int64], count: int) -> Outcome:
    """The outcome of some trials of a batch, the others marked as pruned."""
    if len(places) == count:
        return outcome
    metrics = {name: np.full(count, np.nan) for name in outcome.metrics}
    for name, values in outcome.metrics.items():
        metrics[name][places] = values
    errors = [PRUNED] * count
    for place, error in zip(places.tolist(), outcome.errors, strict=True):
        errors[place] = error
    moments = np.zeros((count, *outcome.moments.shape[1:]))
    moments[places] = outcome.moments
    tracebacks = {int(places[place]): text for place, text in outcome.tracebacks.items()}
    return Outcome(metrics, errors, moments, tracebacks, outcome.cached)


__all__ = ["PRUNED", "Log", "NoLog", "NoTrialRan", "Searched", "Settings", "sampler_for", "search"]
