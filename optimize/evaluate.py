"""Runs batches of parameters over parts of a market: compiled in one sweep, else in worker processes.

with Evaluation(Momentum, market, broker, metrics=("sharpe", "trades")) as evaluate:
    outcome = evaluate([{"fast": 5}, {"fast": 10}], Span(0, 750))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from core.errors import StrategyError
from engine.account import Account, copied
from engine.choose import Task
from engine.sweep_run import Sweeping
from feeds.market import Market
from optimize.pool import Part, Pool, lost
from optimize.runs import load_function, run_each
from optimize.slices import cut, times_of
from optimize.trials import BLOCKS, Outcome, Params, Span

if TYPE_CHECKING:
    from optimize.cache import ResultCache
    from optimize.cluster import Cluster

ALONE = 4
"""So few trials are run in this process: starting others takes longer."""
TRACED = 16
"""Trials of a batch that are run again in Python for where they raised."""


class Evaluation:
    """An `Evaluator` for one strategy, one market and one account; ends its workers when it is left.

    jobs: threads of a sweep and worker processes, all cores by default. engine: "auto", or "lean" to compile nothing.
    cluster: runs elsewhere what does not compile. cache: answers what was run before. counters: trials "compiled",
    "workers", "here", "cluster" and "cached". reason: why trials were not compiled, "" where they were. planned,
    on_compile: see `engine.sweep_run.Sweeping`. on_done: told, while what does not compile is run, how many of them are.
    """

    def __init__(
        self,
        strategy: type[Any],
        market: Market,
        broker: Account,
        *,
        metrics: Sequence[str],
        jobs: int | None = None,
        engine: str = "auto",
        cluster: Cluster | None = None,
        cache: ResultCache | None = None,
        planned: int = 0,
        on_compile: Callable[[float], None] | None = None,
    ) -> None:
        self.metrics = tuple(dict.fromkeys((*metrics, "trades")))
        self.counters = dict.fromkeys(("compiled", "workers", "here", "cluster", "cached"), 0)
        self.reason = "asked for by name" if engine == "lean" else ""
        self._custom = any(":" in name for name in self.metrics)
        for name in self.metrics:
            if ":" in name:
                load_function(name)
        self._task = Task(strategy, {}, market.frames, broker)
        self._market, self._times = market, times_of(market.frames)
        self._jobs = max(1, jobs or os.cpu_count() or 1)
        self._compiles = engine == "auto" and not self._custom
        self._cluster, self._cache = cluster, cache
        self._planned, self._on_compile = planned, on_compile
        self.on_done: Callable[[int], None] | None = None
        self._pool: Pool | None = None
        self._poolable = True

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that run."""
        return [] if self._pool is None else self._pool.workers

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __call__(self, params: Sequence[Params], span: Span) -> Outcome:
        """Run every one; the same answer for any number of workers."""
        if self._cache is None:
            return self._run(params, span, self.metrics)
        known = self._cache.look_up(params, span, self.metrics)
        missing = [number for number, each in enumerate(params) if number not in known]
        self.counters["cached"] += len(known)
        fresh = self._run([params[number] for number in missing], span, self.metrics) if missing else None
        if fresh is not None:
            self._cache.keep([params[number] for number in missing], span, fresh)
        return self._cache.joined(len(params), known, missing, fresh, self.metrics)

    def returns(self, params: Sequence[Params], span: Span) -> Outcome:
        """As a call, with a block of the moments for each measured bar, and no metric but the trades; not cached."""
        return self._run(params, span, ("trades",), len(span))

    def _run(
        self, params: Sequence[Params], span: Span, metrics: Sequence[str], blocks: int = BLOCKS
    ) -> Outcome:
        if self._compiles and not span.warmup:
            outcome, left = self._swept(params, span, metrics, blocks)
        else:
            outcome, left = lost(params, metrics, "", blocks), list(range(len(params)))
        if left:
            _put(outcome, left, self._one_by_one([params[number] for number in left], span, metrics, blocks))
        return outcome

    def _swept(
        self, params: Sequence[Params], span: Span, metrics: Sequence[str], blocks: int
    ) -> tuple[Outcome, list[int]]:
        """What compiles, and the numbers of those that do not."""
        part = cut(self._market, self._times, span)
        task = Task(self._task.strategy, {}, part.frames, copied(self._task.broker))
        run = Sweeping(
            task,
            params,
            metrics,
            self._jobs,
            None,
            parts=blocks,
            planned=self._planned,
            on_compile=self._on_compile,
        )
        run.compiled()
        left = run.left
        self.counters["compiled"] += len(params) - len(left)
        if left:
            if run.reason.startswith("not compiled"):
                self.reason = run.reason
            # The refusal was of the strategy, not of these parameters: do not ask again.
            self._compiles = len(left) < len(params)
        columns = {name: run.column(name).copy() for name in metrics}
        return Outcome(
            columns, list(run.errors), run.moments, self._traced(task, params, run.errors, span)
        ), left

    def _traced(
        self, task: Task, params: Sequence[Params], errors: Sequence[str], span: Span
    ) -> dict[int, str]:
        """Tracebacks of the first compiled trials that raised, run again in Python: a kernel has no frames to show."""
        failed = [number for number, error in enumerate(errors) if error][:TRACED]
        found = run_each(task, [params[each] for each in failed], self.metrics, self._times[span.first])
        return {failed[place]: text for place, text in found.tracebacks.items()}

    def _one_by_one(
        self, params: Sequence[Params], span: Span, metrics: Sequence[str], blocks: int
    ) -> Outcome:
        part = Part(self._times[span.start], self._times[span.last - 1], self._times[span.first], blocks)
        if self._cluster is not None:
            self.counters["cluster"] += len(params)
            return self._cluster.run(self._task, params, metrics, part)
        pool = self._started() if len(params) > ALONE and self._jobs > 1 else None
        if pool is not None:
            self.counters["workers"] += len(params)
            return pool.run(params, metrics, part, on_done=self.on_done)
        self.counters["here"] += len(params)
        task = Task(self._task.strategy, {}, part.of(self._task.frames), self._task.broker)
        return run_each(task, params, metrics, part.measured, blocks=blocks, on_done=self.on_done)

    def _started(self) -> Pool | None:
        """The pool; None for a class that other processes cannot load."""
        if self._pool is None and self._poolable:
            try:
                self._pool = Pool(self._task, self._jobs)
            except StrategyError:
                self._poolable = False
        return self._pool


def _put(outcome: Outcome, places: Sequence[int], part: Outcome) -> None:
    """Write a part's trials into their places."""
    for name, values in part.metrics.items():
        outcome.metrics[name][places] = values
    outcome.moments[places] = part.moments
    for number, place in enumerate(places):
        outcome.errors[place] = part.errors[number]
        if number in part.tracebacks:
            outcome.tracebacks[place] = part.tracebacks[number]


def facts_of(strategy: type[Any], broker: Account) -> Mapping[str, Any]:
    """What, besides parameters and bars, an outcome depends on: the strategy's source, costs, and this version."""
    import hashlib
    import inspect
    from importlib.metadata import PackageNotFoundError, version

    from engine.account import Schemes

    digest = hashlib.sha256()
    for cls in strategy.__mro__:
        if cls.__module__.partition(".")[0] in ("builtins", "backtrader"):
            continue
        try:
            digest.update(inspect.getsource(inspect.getmodule(cls) or cls).encode())
        except (OSError, TypeError):
            digest.update(repr(cls).encode())
    schemes = Schemes.of(broker)
    try:
        release = version("tradewright")
    except PackageNotFoundError:
        release = "source"
    return {
        "strategy": f"{strategy.__qualname__} {digest.hexdigest()}",
        "costs": repr((sorted(schemes.params.items()), sorted(schemes.schemes.items(), key=repr))),
        "version": release,
    }


__all__ = ["Evaluation", "facts_of"]
