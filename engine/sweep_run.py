"""The combinations of a sweep on their way to figures: all that share a trace at once, what is left one by one."""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import TradewrightError, UserError
from engine.sweep_parameters import Parameters

if TYPE_CHECKING:
    import pandas as pd

    from engine.choose import Task
    from engine.compiled.assembly import Translated
    from engine.compiled.program import Program
    from engine.sweep_bench import Bench
    from engine.sweep_block import Work

MOST_TRACES = 64
"""Ways through `__init__` that are compiled; combinations beyond them run one by one."""

LONG_SECONDS = 5.0
"""From here on compiling has to pay in the sweep at hand; a shorter kernel will serve another one."""
LEAN_RUN_SECONDS = 0.01
"""What a run on lean costs besides its bars, measured."""


class Sweeping:
    """The combinations of one sweep on their way to figures.

    parts: into how many the bars are cut for `moments`, (combinations, parts, 3), which what is compiled fills; see
    `sweep_metrics.sum_parts`. planned: combinations that the strategy will be run at in this and further sweeps, when
    those are more; a long kernel is compiled for many only. on_compile: told how many seconds that takes, about.
    """

    def __init__(
        self,
        task: Task,
        given: Sequence[Mapping[str, Any]],
        metrics: Sequence[str],
        jobs: int | None,
        on_done: Callable[[int], None] | None,
        parts: int = 0,
        *,
        planned: int = 0,
        on_compile: Callable[[float], None] | None = None,
    ) -> None:
        from engine.sweep_driver import room
        from engine.sweep_metrics import groups_of

        self.task, self.given = task, given
        self.metrics = tuple(dict.fromkeys(metrics))
        self.groups = groups_of(self.metrics)
        self.jobs = max(1, jobs or os.cpu_count() or 1)
        self.reason = "all of the strategy compiles"
        self.counters: dict[str, float] = dict.fromkeys(
            ("traces", "lines_asked", "lines_computed", "alone", "compile_seconds"), 0
        )
        self.out, _ = room(len(given))
        self.moments = np.zeros((len(given), parts, 3))
        self.errors = [""] * len(given)
        self._on_done = on_done or (lambda done: None)
        self._on_compile = on_compile or (lambda seconds: None)
        self._planned = max(planned, len(given))
        self._done = np.zeros(len(given), np.bool_)
        self.params = Parameters(task.strategy, given, self._fail)

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """The result's table."""
        import pandas as pd

        columns: dict[str, Any] = {name: self.params.array(name) for name in names}
        if any(column is None for column in columns.values()):
            shown = [params or given for params, given in zip(self.params.each, self.given, strict=True)]
            columns = {name: [each.get(name) for each in shown] for name in names}
        columns |= {name: self.column(name) for name in self.metrics}
        columns["error"] = self.errors if any(self.errors) else _no_errors(len(self.errors))
        table = pd.DataFrame(dict(enumerate(columns.values())))
        table.columns = _names(tuple(columns)).view()
        return table

    @property
    def left(self) -> list[int]:
        """Combinations that have not run and have not failed."""
        return np.flatnonzero(~self._done).tolist()

    def column(self, metric: str) -> Any:
        """One metric of all combinations, (n,); NaN where there is none."""
        from engine.sweep_metrics import METRICS

        return self.out[:, METRICS.index(metric)]

    def _fail(self, number: int, error: Exception) -> None:
        self.errors[number] = str(error)
        self._finish(np.array([number]))

    def _finish(self, numbers: Any) -> None:
        self._done[numbers] = True
        self._on_done(int(self._done.sum()))

    # -- compiled

    def compiled(self) -> None:
        """Run what compiles; the rest stays for `one_by_one`."""
        from engine.refusal import Refused

        for waiting in self.params.groups(np.flatnonzero(~self._done)):
            while len(waiting) and self.counters["traces"] < MOST_TRACES:
                try:
                    held = self._run_trace(waiting)
                except Refused as refusal:
                    self.reason = f"not compiled: {refusal}"
                    break
                except TradewrightError as error:
                    self._fail(int(waiting[0]), error)
                    held = np.arange(len(waiting)) == 0
                waiting = waiting[~held]

    def _run_trace(self, waiting: Any) -> Any:
        """Trace the first of these combinations and run all that take its way: (waiting,) which those were."""
        from engine.choose import Admission, Task
        from engine.compiled import kernel
        from engine.sweep_programs import program_of

        self.counters["traces"] += 1
        task = self.task
        params = self.params.each[int(waiting[0])]
        varied = [name for name in params if not self.params.same(name, waiting).all()]
        program, translated = program_of(task.strategy, params, task.frames, task.broker, task.sizer, varied)
        started = time.perf_counter()
        self._weigh(translated.source, len(waiting))
        loaded = kernel.load(translated.source)
        _importable(loaded.entry)
        single = Task(task.strategy, params, task.frames, task.broker, sizer=task.sizer)
        Admission(single)(loaded.name, True)
        self.counters["compile_seconds"] += time.perf_counter() - started
        held = self._held(program, waiting, varied)
        held[0] = True
        self._run_all(program, translated, loaded.entry, waiting[held])
        return held

    def _run_all(self, program: Program, translated: Translated, entry: Any, numbers: Any) -> None:
        from engine.sweep_bench import bench_of
        from engine.sweep_block import give_back, work_of
        from engine.sweep_layout import layouts_of, reading_of

        reading = reading_of(program, translated)
        columns = self._columns(tuple(program.trace.numbers), numbers)
        for layout in layouts_of(program, reading, columns, len(numbers)):
            work = work_of(program, reading, layout, self.jobs)
            self.counters["lines_asked"] += layout.asked
            self.counters["lines_computed"] += layout.computed
            self._drive(entry, work, bench_of(program), numbers[layout.places])
            give_back(program, work.table)

    def _weigh(self, source: str, waiting: int) -> None:
        """Refuse a long kernel that takes longer to compile than lean to run what waits for it."""
        from engine.choose import LEAN_BARS_A_SECOND
        from engine.compiled import kernel
        from engine.refusal import Refused

        seconds = kernel.seconds_of(source)
        if seconds < LONG_SECONDS or kernel.is_compiled(source):
            return
        runs = self._planned * waiting / len(self.given)
        lean = runs * (LEAN_RUN_SECONDS + self.task.bars / LEAN_BARS_A_SECOND)
        if lean < seconds:
            raise Refused(
                f"compiling takes about {seconds:.2g} s, once, and lean about {lean:.2g} s for {runs:,.0f} runs"
            )
        self._on_compile(seconds)

    def _held(self, program: Any, waiting: Any, varied: Sequence[str]) -> Any:
        from engine.compiled.evaluation import Evaluation

        traced = tuple(program.trace.numbers)
        held = np.ones(len(waiting), np.bool_)
        for name in varied:
            if name not in traced:
                held &= self.params.same(name, waiting)
        return held & program.holds(Evaluation(self._columns(traced, waiting), len(waiting)))

    def _columns(self, names: Sequence[str], numbers: Any) -> dict[str, Any]:
        return {name: self.params.numbers(name, numbers) for name in names}

    def _drive(self, entry: Any, work: Work, bench: Bench, numbers: Any) -> None:
        """Run the combinations of a block, again those whose books were too small."""
        from core.threads import in_threads
        from engine.compiled.broker import grown
        from engine.compiled.running import MOST_RETRIES
        from engine.sweep_driver import DONE, FAULT, FULL, callable_by_address, driver, room
        from engine.sweep_metrics import SCRATCH_ROWS

        steps, start = len(bench.index), float(self.task.broker.p.cash)
        started = time.perf_counter()
        run = driver(bench.book)
        entry = callable_by_address(entry, run)
        self.counters["compile_seconds"] += time.perf_counter() - started
        out, ended = room(len(numbers))
        moments = np.zeros((len(numbers), self.moments.shape[1] * 3))
        ended[work.bad] = FAULT
        chain, periods = work.chain, bench.periods(self.task.frames.values())
        jobs = min(self.jobs, len(numbers))
        books = bench.books(jobs, start)

        def part(job: int) -> None:
            mine = books[job]
            run(
                entry,
                work.table,
                work.rows,
                work.floats,
                work.ints,
                mine,
                bench.index,
                np.empty((2, steps)),
                (chain.calls, chain.whole, chain.numbers, chain.groups, work.failed),
                work.base + job * chain.slots,
                np.empty(chain.slots, np.bool_),
                start,
                periods,
                self.groups,
                np.empty((SCRATCH_ROWS, max(steps, len(mine.trades)))),
                out,
                ended,
                moments,
                job,
                jobs,
            )

        for _ in range(MOST_RETRIES):
            in_threads(jobs, part)
            full = ended == FULL
            if not full.any():
                break
            ended[full] = DONE
            ended[~full & (ended == DONE)] = -1  # those are done
            books = [grown(book, start) for book in books]
        bench.keep(books)
        done = (ended == DONE) | (ended == -1)
        self.out[numbers[done]] = out[done]
        self.moments[numbers[done]] = moments[done].reshape(int(done.sum()), *self.moments.shape[1:])
        self._finish(numbers[done])

    # -- one by one

    def one_by_one(self) -> None:
        """Run what is left, each on the first engine that takes it."""
        from analyzers.metrics import summarize
        from engine.choose import Task, execute
        from engine.sweep_metrics import METRICS

        left = np.flatnonzero(~self._done).tolist()
        self.counters["alone"] += len(left)
        for number in left:
            task = self.task
            single = Task(task.strategy, self.params.each[number], task.frames, task.broker, sizer=task.sizer)
            try:
                recording = execute(single, "lean").recording
            except UserError as error:
                if not str(error).startswith("the lean engine cannot run"):
                    self._fail(number, error)
                    continue
                try:
                    recording = execute(single, "cerebro").recording
                except UserError as failure:
                    self._fail(number, failure)
                    continue
            figures = summarize(recording.equity, recording.trades, fills=recording.fills)
            self.out[number] = [figures[name] for name in METRICS]
            self._finish(np.array([number]))


def _importable(entry: Any) -> None:
    """Let numba find a kernel's module by name: machine code that another function calls by address asks for it."""
    function = entry.py_func
    module = types.ModuleType(function.__module__)
    vars(module).update(function.__globals__)
    sys.modules.setdefault(function.__module__, module)


@lru_cache(maxsize=8)
def _no_errors(rows: int) -> Any:
    """Empty texts as a column of a table has them; never write to it."""
    import pandas as pd

    return pd.Series([""] * rows).array


@lru_cache(maxsize=32)
def _names(columns: tuple[str, ...]) -> Any:
    import pandas as pd

    return pd.Index(columns)
