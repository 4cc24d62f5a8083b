"""Searches: trials a second with one worker and two, what sampler and storage take a trial, a whole walk-forward."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import backtrader as bt

from benchmarks.crossover import Crossover
from benchmarks.markets import market
from benchmarks.measure import Row

CASH, COMMISSION = 100_000.0, 0.001
YEARS = 2_520
"""Daily bars of ten years."""
SAMPLERS = ("grid", "random", "qmc", "cmaes", "tpe", "nsga2")
MINUTES = 0.2
"""How long a sampler may take: one of Optuna's own grows with the square of the trials, and ends at fewer."""
PAIRS = ("fast=5:104", "slow=20:219")
WIDE = ("fast=5:5000", "slow=20:20000")
"""More points than any search here tries, so that none finds the same twice."""


class Plain(Crossover):
    """The crossover with a dictionary that holds what no kernel can: it runs one by one, in worker processes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[Any, Any] = {}

    def next(self) -> None:
        """Trade, and remember when."""
        super().next()
        if self.position:
            self.seen[self.data.datetime.date(0)] = repr(self.position)


@cache
def _market() -> Any:
    from feeds.market import load

    frame = market(YEARS)
    import pandas as pd

    return load({"X": frame.set_axis(pd.date_range("2014-01-01", periods=YEARS, freq="B", tz="UTC"))})


def _space(strategy: type[bt.Strategy], pairs: Sequence[str] = PAIRS) -> Any:
    from optimize.space import space_of

    return space_of(strategy, pairs)


def workers(trials: int, plain_trials: int) -> list[Row]:
    """Trials a second of a strategy that compiles and one that does not, by one and by two workers.

    On cores that others use too, processor time says more than the ratio: what one worker takes over what the busier
    of two takes.
    """
    rows: list[Row] = []
    for strategy, count, what in (
        (Crossover, trials, "compiles"),
        (Plain, plain_trials, "does not compile"),
    ):
        group = f"search of {count:,} trials, {YEARS:,} bars, {what}"
        one = _search_seconds(strategy, count, 1)
        for jobs, (seconds, used) in ((1, one), (2, _search_seconds(strategy, count, 2))):
            note = f"{count / seconds:,.0f} trials a second; processor: {used}"
            ratio = one[0] / seconds if jobs > 1 else 1.0
            rows.append(Row(group, f"{jobs} worker{'s' * (jobs > 1)}", seconds, ratio, note=note))
    return rows


def _search_seconds(strategy: type[bt.Strategy], trials: int, jobs: int) -> tuple[float, str]:
    """Of one search, warm (kernels are compiled and workers started), and who took how much processor time."""
    from engine.cerebro import stock_broker
    from optimize.evaluate import Evaluation
    from optimize.search import Settings, search
    from optimize.trials import Span

    space = _space(strategy)
    account = stock_broker(CASH, COMMISSION)
    with Evaluation(strategy, _market(), account, metrics=("sharpe",), jobs=jobs) as evaluate:
        span = Span(0, YEARS)
        search(space, evaluate, span, Settings(trials=8, sampler="random", seed=1))
        before = [time.process_time(), *map(_processor_seconds, evaluate.workers)]
        started = time.perf_counter()
        search(space, evaluate, span, Settings(trials=trials, sampler="random"))
        seconds = time.perf_counter() - started
        after = [time.process_time(), *map(_processor_seconds, evaluate.workers)]
    here, *there = (late - early for early, late in zip(before, after, strict=True))
    used = f"{here:.2f} s here" + "".join(f", {each:.2f} s in a worker" for each in there)
    return seconds, used


def _processor_seconds(process: int) -> float:
    """What a process took so far; NaN where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def overhead(counts: Sequence[int]) -> list[Row]:
    """Seconds a trial that are not its run: of the sampler, and of keeping it in a file, where runs cost nothing.

    At 100 trials it is the one transaction, waiting for the disk, that is seen, and at 200 and fewer of TPE Optuna's own.
    """
    return [_overhead(name, count) for count in counts for name in SAMPLERS]


def _overhead(sampler: str, trials: int) -> Row:
    from optimize.objective import parse_objectives
    from optimize.search import Settings, search
    from optimize.study import StudyStore
    from optimize.trials import Span

    space, span = _space(Crossover, PAIRS if sampler == "grid" else WIDE), Span(0, YEARS)
    objectives = parse_objectives(["sharpe", "total_return"] if sampler == "nsga2" else ["sharpe"])
    settings = Settings(trials=trials, sampler=sampler, objectives=objectives, minutes=MINUTES)
    search(space, _no_run, span, Settings(trials=16, sampler=sampler, objectives=objectives))
    started = time.perf_counter()
    alone = len(search(space, _no_run, span, settings))
    sampled = (time.perf_counter() - started) / alone
    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as folder:
        store = StudyStore.open(f"sqlite:///{Path(folder) / 'study.db'}", "bench", {})
        log = store.log("search", space, objectives)
        started = time.perf_counter()
        done = len(search(space, _no_run, span, settings, log=log))
        seconds = time.perf_counter() - started
        store.close()
    both = seconds / done
    note = f"{1e3 * both:.3f} ms a trial, of which {1e3 * max(0.0, both - sampled):.3f} ms storage"
    if done < trials:
        note += f"; ended at {done:,}, after {60 * MINUTES:g} s"
    elif trials <= 100:
        note += "; most of it one transaction"
    return Row(f"sampler and storage, {trials:,} trials", sampler, seconds, math.nan, note=note)


def _no_run(params: Sequence[Mapping[str, Any]], span: Any) -> Any:
    """An outcome with one hill, without a run."""
    import numpy as np

    from optimize.trials import BLOCKS, Outcome

    places = np.array([[each["fast"], each["slow"]] for each in params], dtype=np.float64)
    hill = -(((places - (60, 130)) / 100) ** 2).sum(axis=1)
    metrics = {"sharpe": hill, "total_return": -places[:, 0], "trades": np.full(len(params), 50.0)}
    return Outcome(metrics, [""] * len(params), np.zeros((len(params), BLOCKS, 3)))


def walk(windows: int, trials: int) -> list[Row]:
    """The whole command's work, from a plan to its report, the second time in a process."""
    from optimize.document import document_of, tables_of
    from optimize.search import Settings
    from optimize.study import StudyStore
    from optimize.walkforward import walkforward
    from reports.optimization import write_optimization

    def once(folder: Path) -> float:
        started = time.perf_counter()
        store = StudyStore.open(f"sqlite:///{folder / 'study.db'}", "bench", {})
        result = walkforward(
            Crossover,
            _market(),
            PAIRS,
            cash=CASH,
            commission=COMMISSION,
            constraint="fast < slow",
            count=windows,
            settings=Settings(trials=trials),
            store=store,
        )
        store.close()
        write_optimization(document_of(result), tables_of(result), folder)
        return time.perf_counter() - started

    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as folder:
        taken = []
        for number in range(2):
            place = Path(folder) / str(number)
            place.mkdir()
            cpu = time.process_time()
            taken.append((once(place), time.process_time() - cpu))
    group = f"walk-forward, {windows} windows of {trials:,} trials, {YEARS:,} bars"
    return [
        Row(group, what, seconds, math.nan, note=f"{cpu:.1f} s of processor time; with its report")
        for what, (seconds, cpu) in zip(("first in a process", "warm"), taken, strict=True)
    ]
