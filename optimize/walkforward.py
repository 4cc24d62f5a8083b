#!/usr/bin/env python3
"""Is this strategy worth anything? Search on the past, trade the bars after it, again and again, and judge the whole.

from optimize.walkforward import walkforward
result = walkforward("momentum", "sample:goog")
result.verdict, result.equity, result.windows

python -m optimize.walkforward momentum
python -m optimize.walkforward my.py:Cross --data csv:bars.csv --space fast=5:50 --space slow=20:200:5
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzers import overfitting as luck
from analyzers.metrics import periods_per_year, summarize
from analyzers.verdict import Evidence, verdict
from core.cli import run_command
from core.errors import UserError
from engine import preflight
from engine.account import Account, copied
from engine.backtest import backtest
from engine.cerebro import stock_broker
from feeds.market import Market, Source, load
from optimize import judging
from optimize.cache import ResultCache
from optimize.cluster import Cluster
from optimize.crossvalidation import CrossValidation
from optimize.evaluate import Evaluation
from optimize.forward import CARRY, CLOSE, Forward, forward, stitched
from optimize.plan import Plan, check
from optimize.result import Judged, WalkForward
from optimize.search import Searched, Settings
from optimize.searches import WHOLE, Listener, OnSearched, Searches, evaluation, nobody
from optimize.shuffled import PERMUTATIONS, share_as_good
from optimize.space import space_of
from strategies import registry

if TYPE_CHECKING:
    from optimize.study import StudyStore

DRAWS = 2000


def walkforward(
    strategy: type[Any] | str,
    data: Source | Market,
    space: Mapping[str, Any] | Sequence[str] = (),
    *,
    params: Mapping[str, Any] | None = None,
    constraint: str = "",
    cash: float = 100_000.0,
    commission: float = 0.001,
    broker: Account | None = None,
    settings: Settings | None = None,
    train: int | str | None = None,
    test: int | str | None = None,
    count: int | None = None,
    anchored: bool = False,
    purge: int = 0,
    embargo: int = 0,
    boundary: str = CLOSE,
    earlier: int = 0,
    permutations: int | None = None,
    groups: tuple[int, int] | None = None,
    jobs: int | None = None,
    store: StudyStore | None = None,
    cache: ResultCache | None = None,
    cluster: Cluster | None = None,
    listen: Listener = nobody,
) -> WalkForward:
    """Optimise a strategy walk-forward and judge what came of it.

    strategy, data, cash, commission, broker: as for `engine.backtest`. space, params, constraint: what may vary, what
    stays, and what must hold; see `optimize.space.space_of`. train, test, count, anchored, purge, embargo: see
    `optimize.windows.windows`. boundary: "close" or "carry", see `optimize.forward`; earlier: bars of warm-up beyond
    the strategy's own. permutations: how many shuffled markets to search. groups: see `Plan`. jobs: cores to use. store: keeps trials,
    so that the same call goes on after a stop. cache: answers what was run before. cluster: runs what does not
    compile.

    Raises UserError for what cannot be used, and when no trial of a window is feasible.
    """
    cls = registry.load(strategy)
    market = data if isinstance(data, Market) else load(data)
    preflight.check_frames(market.frames)
    account = _account(cash, commission) if broker is None else broker
    cuts = {
        "train": train, "test": test, "count": count, "anchored": anchored, "purge": purge, "embargo": embargo
    }  # fmt: skip
    plan = Plan(
        cls,
        market,
        space_of(cls, space, fixed=params, constraint=constraint),
        account,
        cuts,
        settings or Settings(),
        boundary,
        earlier,
        permutations,
        groups,
    )
    return run(plan, jobs=jobs, store=store, cache=cache, cluster=cluster, listen=listen)


def _account(cash: float, commission: float) -> Account:
    preflight.check_money(cash, commission)
    return stock_broker(cash, commission)


def run(
    plan: Plan,
    *,
    jobs: int | None = None,
    store: StudyStore | None = None,
    cache: ResultCache | None = None,
    cluster: Cluster | None = None,
    listen: Listener = nobody,
    on_searched: OnSearched = judging.log_failures,
) -> WalkForward:
    """`walkforward` of a plan. on_searched: is told each search when it is done."""
    began = time.perf_counter()
    with evaluation(plan, listen, jobs=jobs, cluster=cluster, cache=cache) as evaluate:
        searches = Searches(plan, evaluate, store, listen, on_searched)
        return _Walk(plan, evaluate, searches, listen, began, jobs).result()


class _Walk:
    """One walk-forward on its way."""

    def __init__(
        self,
        plan: Plan,
        evaluate: Evaluation,
        searches: Searches,
        listen: Listener,
        began: float,
        jobs: int | None,
    ) -> None:
        self.plan, self.evaluate, self.searches, self.listen = plan, evaluate, searches, listen
        self.began, self.jobs = began, jobs
        self.times, self.windows = searches.times, searches.windows

    def result(self) -> WalkForward:
        """Everything, in order."""
        judged, parts = self._windows()
        whole = self.searches.run(*self.searches.all()[-1])
        chosen = whole.params[whole.best]
        in_sample = backtest(
            self.plan.strategy, self.plan.market, chosen, broker=copied(self.plan.broker)
        ).equity
        equity, trades = stitched(
            parts,
            self.times[self.windows[0].test.first - 1 : self.windows[-1].test.last],
            float(self.plan.broker.p.cash),
        )
        periods = periods_per_year(self.times)
        returns = equity.to_numpy()[1:] / equity.to_numpy()[:-1] - 1.0
        intervals = luck.intervals(returns, periods, draws=DRAWS, seed=self.plan.settings.seed)
        intervals |= luck.trade_intervals(
            trades["pnl_net"].to_numpy(dtype=np.float64), draws=DRAWS, seed=self.plan.settings.seed
        )
        metrics = summarize(equity, trades, periods=periods)
        ran = judging.ran(whole)
        split = luck.overfitting(ran.moments)
        near = luck.neighbourhood(whole.points, whole.scores[:, 0], whole.best)
        efficiency = judging.efficiency(judged)
        effective = luck.effective_trials(ran.moments)
        entries = judging.entries(self.plan, self.times, self.windows, parts)
        evidence = Evidence(
            trials=len(whole),
            effective=effective,
            in_sample=judging.mean([window.in_sample["sharpe"] for window in judged]),
            out_of_sample=metrics["sharpe"],
            interval=intervals.get("sharpe"),
            probability=metrics["psr"],
            overfitting=split.probability,
            deflated=judging.deflated(ran, effective, in_sample),
            efficiency=efficiency,
            permutation=self._permutation(),
            ratio=near.ratio,
            trades=len(trades),
            years=len(self.times) / periods if periods > 0 else math.nan,
            enough=luck.minimum_backtest_length(effective),
            entries=entries.probability,
        )
        return self._whole(
            windows=judged,
            equity=equity,
            trades=trades,
            metrics=metrics,
            intervals=intervals,
            in_sample_equity=in_sample,
            whole=whole,
            chosen=chosen,
            efficiency=efficiency,
            overfitting=split,
            neighbourhood=near,
            entries=entries,
            evidence=evidence,
            crossvalidation=self._crossvalidation(whole, periods),
        )

    def _permutation(self) -> float:
        """What shuffled markets say; NaN where none are to be searched."""
        count = self.plan.permutations
        if count is None:
            count = PERMUTATIONS if not self.evaluate.reason else 0

        def tell(done: int) -> None:
            self.listen("permutation", {"done": done, "of": count})

        return share_as_good(self.plan, count, jobs=self.jobs, tell=tell)

    def _crossvalidation(self, whole: Searched, periods: float) -> CrossValidation | None:
        """Of the trials over the whole period, each run once more for the return of every bar."""
        if self.plan.groups is None:
            return None

        def tell(done: int, of: int) -> None:
            self.listen("crossvalidation", {"done": done, "of": of})

        return judging.crossvalidated(
            self.plan, whole, self.times, periods, self.evaluate.returns, self.searches.log(WHOLE), tell
        )

    def _whole(
        self, *, windows: tuple[Judged, ...], whole: Searched, evidence: Evidence, **found: Any
    ) -> WalkForward:
        """The result, with what follows from the rest."""
        seconds = time.perf_counter() - self.began
        self.listen("done", {"trials": self.searches.trials, "seconds": seconds})
        return WalkForward(
            strategy=self.plan.strategy.__qualname__,
            data=self.plan.market.info,
            objectives=self.plan.settings.objectives,
            windows=windows,
            whole=whole,
            names=self.plan.space.names,
            drift=judging.drift(self.plan.space, windows),
            evidence=evidence,
            verdict=verdict(evidence),
            settings=self.plan.described(),
            counters={
                **self.evaluate.counters,
                "trials": self.searches.trials,
                "seconds": seconds,
                "trials_a_second": self.searches.trials / seconds if seconds else 0.0,
            },
            notes=judging.notes(self.plan, whole, self.evaluate.reason),
            **found,
        )

    def _windows(self) -> tuple[tuple[Judged, ...], list[Forward]]:
        judged, parts = [], []
        cash = float(self.plan.broker.p.cash)
        held: dict[str, float] = {}
        for window, (name, span) in zip(self.windows, self.searches.all(), strict=False):
            found = self.searches.run(name, span)
            try:
                best = found.best
            except UserError as error:
                raise type(error)(f"{name}: {error.message}", hint=error.hint) from error
            earlier = len(window.train) if self.plan.boundary == CARRY else self.plan.earlier
            part = forward(
                self.plan.strategy,
                found.params[best],
                self.plan.market,
                self.times,
                window.test,
                self.plan.broker,
                cash,
                boundary=self.plan.boundary,
                earlier=earlier,
                before=held,
            )
            judged.append(judging.judged(self.plan, self.times, window, found, part))
            parts.append(part)
            held = dict(part.held)
            cash *= float(np.prod(1.0 + part.returns))
            self.listen("window", {"name": name, "of": len(self.windows), **judging.shown(judged[-1])})
            if not cash > 0:
                raise UserError(
                    f"{name}: the account is lost out of sample", hint="trade smaller, or with more cash"
                )
        return tuple(judged), parts


__all__ = ["Listener", "Plan", "check", "run", "walkforward"]

if __name__ == "__main__":
    from optimize import arguments, command

    run_command(arguments.parser(), command.main)
