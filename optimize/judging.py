"""The figures that a walk-forward is judged by, from what its searches and windows left."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyzers import overfitting as luck
from analyzers.entries import EntryTest, entry_test
from analyzers.metrics import periods_per_year, simple_returns, summarize
from core.telemetry import LOG_FILE, get_logger
from optimize.crossvalidation import CrossValidation, crossvalidate, returns_of
from optimize.forward import Forward
from optimize.holdings import held_of
from optimize.plan import Plan, parted
from optimize.result import Judged
from optimize.search import Log, Searched
from optimize.space import SearchSpace
from optimize.trials import Evaluator, Outcome, Span
from optimize.windows import Window

FAILED = "trial failed"
_log = get_logger("optimize.trials")


def ran(found: Searched) -> Outcome:
    """The outcome of the trials that ran over all bars."""
    ran: NDArray[np.intp] = np.flatnonzero([not error for error in found.outcome.errors])
    metrics = {name: values[ran] for name, values in found.outcome.metrics.items()}
    return Outcome(metrics, [""] * len(ran), found.outcome.moments[ran])


def deflated(ran: Outcome, effective: float, equity: pd.Series) -> float:
    """The deflated Sharpe ratio of the best trial over the whole period, whose equity this is."""
    ratios = luck.sharpe_of(ran.moments.sum(axis=1))
    returns = simple_returns(equity.to_numpy(dtype=np.float64))
    if len(returns) < 3 or not np.isfinite(returns).all() or returns.std() == 0:
        return math.nan
    standard = (returns - returns.mean()) / returns.std()
    return luck.deflated_sharpe(
        float(returns.mean() / returns.std(ddof=1)),
        len(returns),
        trials=effective,
        variance=float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0,
        skewness=float((standard**3).mean()),
        excess=float((standard**4).mean() - 3.0),
    )


def judged(plan: Plan, times: pd.DatetimeIndex, window: Window, found: Searched, part: Forward) -> Judged:
    """One window: what its search chose, and the figures of that in and out of sample."""
    best = found.best
    test = np.cumprod(np.concatenate([[1.0], 1.0 + part.returns]))
    index = times[max(0, window.test.first - 1) : window.test.last]
    series = pd.Series(test[-len(index) :], index=index)
    return Judged(
        window=window,
        params={name: found.params[best][name] for name in plan.space.names},
        in_sample={name: float(values[best]) for name, values in found.outcome.metrics.items()},
        out_of_sample=summarize(series, part.trades, periods=periods_per_year(times)),
        trained_from=times[window.train.first],
        trained_to=times[window.train.last - 1],
        begins=times[window.test.first],
        ends=times[window.test.last - 1],
        trials=len(found),
        feasible=int(np.isfinite(found.scores[:, 0]).sum()),
        engine=part.engine,
        stopped=found.stopped,
    )


def entries(
    plan: Plan, times: pd.DatetimeIndex, windows: Sequence[Window], parts: Sequence[Forward]
) -> EntryTest:
    """What was held out of sample against the same at random moments."""
    index = times[windows[0].test.first : windows[-1].test.last]
    held = held_of([part.weights for part in parts], plan.market, index)
    return entry_test(held, seed=plan.settings.seed)


def crossvalidated(
    plan: Plan,
    whole: Searched,
    times: pd.DatetimeIndex,
    periods: float,
    evaluate: Evaluator,
    log: Log,
    tell: Callable[[int, int], None],
) -> CrossValidation:
    """The trials over the whole period on every split. evaluate, log: see `returns_of`. tell: runs done, and of how many."""
    usable = np.flatnonzero(np.isfinite(whole.scores[:, 0]))
    params = [whole.params[number] for number in usable.tolist()]
    span = Span(0, len(times))
    returns, ran = returns_of(evaluate, params, span, log, lambda done: tell(done, len(usable)))
    return crossvalidate(
        whole,
        returns[ran],
        usable[ran],
        plan.space.names,
        parted(plan, len(times)),
        plan.settings.objectives[0],
        periods,
        purge=plan.cuts["purge"],
        embargo=plan.cuts["embargo"],
    )


def drift(space: SearchSpace, judged: Sequence[Judged]) -> dict[str, float]:
    """How far each parameter moved from window to window on average, a fraction of its range."""
    points = space.encode([window.params for window in judged])
    moves = np.abs(np.diff(points, axis=0)).mean(axis=0) if len(points) > 1 else np.zeros(points.shape[1])
    return dict(zip(space.names, moves.tolist(), strict=True))


def efficiency(judged: Sequence[Judged]) -> float:
    """Yearly return out of sample over that in sample, each the mean of the windows; NaN unless the latter earns."""
    inside = mean([window.in_sample["cagr"] for window in judged])
    outside = mean([window.out_of_sample["cagr"] for window in judged])
    return outside / inside if inside > 0 else math.nan


def mean(values: Sequence[float]) -> float:
    """Of those that are known; NaN for none."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def shown(window: Judged) -> dict[str, Any]:
    """What a listener is told of a window."""
    return {
        "params": dict(window.params),
        "in_sample": window.in_sample["sharpe"],
        "out_of_sample": window.out_of_sample["sharpe"],
    }


def notes(plan: Plan, whole: Searched, reason: str) -> tuple[str, ...]:
    """What a reader should know of how trials ran. reason: why the strategy does not compile, "" when it does."""
    found = []
    if reason:
        found.append(f"trials ran one by one, {reason}")
    if whole.failed:
        found.append(
            f"{len(whole.failed):,} of {len(whole):,} trials could not run, log.jsonl has each; the first, "
            f"{whole.first_failure}"
        )
    if plan.permutations is None and reason:
        found.append("no shuffled markets were searched, since that takes long; --permutations 50 does")
    return tuple(found)


def log_failures(name: str, found: Searched, logged: Collection[tuple[str, int]] = ()) -> None:
    """Write down every trial of a search that could not run: its number, its parameters, and what was raised where.

    logged: search and trial of those that are written down already.
    """
    for number in found.failed:
        if (name, number) not in logged:
            _log.error(
                FAILED,
                search=name,
                trial=number,
                params=found.params[number],
                error=found.outcome.errors[number],
                traceback=found.outcome.tracebacks.get(number),
            )


def logged_failures(folder: Path) -> set[tuple[str, int]]:
    """Search and trial of what the logs of a run's folder have."""
    found = set()
    for file in folder.glob(f"{LOG_FILE}*"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            # A process that was killed may have left half a line.
            with suppress(ValueError):
                record = json.loads(line)
                if record.get("event") == FAILED:
                    found.add((str(record.get("search")), int(record.get("trial", -1))))
    return found
