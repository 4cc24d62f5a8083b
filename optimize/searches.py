"""The searches of a walk-forward, one after the other: those of its windows, and the one over the whole period."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from optimize import judging
from optimize.cache import ResultCache
from optimize.cluster import Cluster
from optimize.evaluate import Evaluation
from optimize.plan import Plan, check
from optimize.search import Log, NoLog, Searched, search
from optimize.slices import times_of
from optimize.trials import Outcome, Params, Span
from optimize.windows import windows

if TYPE_CHECKING:
    from optimize.study import StudyStore

METRICS = ("sharpe", "total_return", "cagr", "max_drawdown", "volatility", "trades", "end_value")
"""Figures that every trial has, besides the objectives."""

WHOLE = "whole period"
"""Name of the search over all bars."""
OnSearched = Callable[[str, Searched], None]


class Listener(Protocol):
    """Is told how a walk-forward goes on."""

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """event: "compile", "search", "batch", "window", "permutation" or "done"; facts: plain values."""
        ...


def nobody(event: str, facts: Mapping[str, Any]) -> None:
    """A listener that does not listen."""


def evaluation(
    plan: Plan,
    listen: Listener,
    *,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    cache: ResultCache | None = None,
) -> Evaluation:
    """What runs the trials of a plan, once that was looked at. Raises UserError."""
    searches = len(check(plan)) + 1
    return Evaluation(
        plan.strategy,
        plan.market,
        plan.broker,
        metrics=(*plan.objective_names, *METRICS),
        jobs=jobs,
        cluster=cluster,
        cache=cache,
        planned=searches * plan.settings.trials,
        on_compile=lambda seconds: listen("compile", {"seconds": seconds}),
    )


class Searches:
    """Runs the searches of a plan. store: keeps their trials. on_searched: is told each, by its name.

    trials: how many there are in the searches so far.
    """

    def __init__(
        self,
        plan: Plan,
        evaluate: Evaluation,
        store: StudyStore | None,
        listen: Listener,
        on_searched: OnSearched = judging.log_failures,
    ) -> None:
        self._plan, self._evaluate, self._store, self._listen = plan, evaluate, store, listen
        self._on_searched = on_searched
        self.times = times_of(plan.market.frames)
        self.windows = windows(self.times, **plan.cuts)
        self.trials = 0

    def all(self) -> list[tuple[str, Span]]:
        """Name and bars of every search, in their order."""
        each = [(f"window {window.number + 1}", window.train) for window in self.windows]
        return [*each, (WHOLE, Span(0, len(self.times)))]

    def run(self, name: str, span: Span) -> Searched:
        """One search, kept in the store under its name."""
        plan = self._plan
        self._listen("search", {"name": name, "windows": len(self.windows)})

        done, ran, best = 0, 0, -math.inf

        def tell(more: int) -> None:
            trials = self.trials + min(done + ran + more, plan.settings.trials)
            self._listen("batch", {"name": name, "trials": trials, "best": best})

        def evaluate(params: Sequence[Params], span: Span) -> Outcome:
            nonlocal ran
            outcome = self._evaluate(params, span)
            ran += len(params)
            return outcome

        def batch(all_done: int, best_so_far: float) -> None:
            nonlocal done, ran, best
            done, ran, best = all_done, 0, best_so_far
            tell(0)

        self._evaluate.on_done = tell
        try:
            found = search(plan.space, evaluate, span, plan.settings, log=self.log(name), on_batch=batch)
        finally:
            self._evaluate.on_done = None
        self.trials += len(found)
        self._on_searched(name, found)
        return found

    def log(self, name: str) -> Log:
        """Where the batches of one search are kept."""
        if self._store is None:
            return NoLog()
        settings = self._plan.settings
        return self._store.log(name, self._plan.space, settings.objectives, settings.min_trades)


def take_part(
    plan: Plan,
    store: StudyStore,
    *,
    jobs: int | None = None,
    listen: Listener = nobody,
    over: Callable[[], bool] = lambda: False,
) -> tuple[int, int]:
    """Run the searches of a plan with those who work on them already, and judge nothing.

    over: asked before each search whether nobody wants it any more. Returns how many trials there are, and how many
    of them were run here.
    """
    with evaluation(plan, listen, jobs=jobs) as evaluate:
        searches = Searches(plan, evaluate, store, listen, lambda name, found: None)
        for name, span in searches.all():
            if over():
                break
            searches.run(name, span)
        return searches.trials, sum(evaluate.counters.values())


__all__ = ["METRICS", "WHOLE", "Listener", "OnSearched", "Searches", "evaluation", "nobody", "take_part"]
