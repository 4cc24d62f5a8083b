"""One strategy at many parameters, each combination exactly as its own single run.

from engine.sweep import sweep
result = sweep("momentum", "sample:goog", {"fast": range(5, 20), "slow": range(20, 60, 2)})
result.best, result.table

A strategy that compiles is made once, with parameters that are traced; indicators are computed once for each distinct
set of their own parameters, and a kernel runs every combination. What does not compile runs one by one.

python -m engine.sweep momentum --data sample:goog --space fast=5:20 --space slow=20:60:2 --top 10
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import ConfigError, TradewrightError, UnknownNameError, UserError
from core.space import Choice, Float, Int

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from engine.choose import Task
    from feeds.market import Market, Source

Space: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
LESS_IS_BETTER = frozenset(
    {
        "volatility",
        "max_drawdown",
        "max_drawdown_bars",
        "ulcer_index",
        "var_95",
        "cvar_95",
        "average_loss",
        "commission",
    }
)
SHOWN = ("total_return", "sharpe", "max_drawdown", "trades", "end_value")
TABLE_BYTES = 256 * 2**20
"""Memory for indicator lines at one time; more combinations are run in blocks."""
MOST_TRACES = 64
"""Ways through `__init__` that are compiled; combinations beyond them run one by one."""
EXAMPLE = "python -m engine.sweep momentum --data sample:goog --space fast=5:20 --space slow=20:60:2 --top 10"


@dataclass(slots=True)
class SweepResult:
    """A finished sweep.

    table: one row a combination, in the order given: its parameters, the metrics, and `error`, "" where it ran.
    metric: what `best` is best in. engine: of most combinations; reason: why not a faster one. counters: traces,
    lines_asked and lines_computed (indicator lines over all combinations, and distinct ones), alone (combinations run
    one by one), compile_seconds, seconds.
    """

    table: pd.DataFrame
    parameters: tuple[str, ...]
    metric: str
    engine: str
    reason: str
    counters: dict[str, float] = field(default_factory=dict)

    def ranked(self) -> pd.DataFrame:
        """The rows that have the metric, best first."""
        known = self.table[self.table[self.metric].notna()]
        return known.sort_values(self.metric, ascending=self.metric in LESS_IS_BETTER, kind="stable")

    @property
    def best(self) -> dict[str, Any]:
        """Parameters of the best combination. Raises UserError when no combination has the metric."""
        ranked = self.ranked()
        if ranked.empty:
            raise UserError(f"no combination has a {self.metric}", hint="see the column error of the table")
        row: dict[str, Any] = self.table.loc[ranked.index[0], list(self.parameters)].to_dict()
        return row


def combinations_of(space: Space) -> list[dict[str, Any]]:
    """Every combination of a grid, the last name varying fastest, or the given combinations. Raises ConfigError."""
    if isinstance(space, Mapping):
        values = [_values(name, given) for name, given in space.items()]
        found = [dict(zip(space, each, strict=True)) for each in itertools.product(*values)] if values else []
    else:
        found = [dict(each) for each in space]
    if not found:
        raise ConfigError("there is nothing to try", hint="give at least one value for a parameter")
    return found


def _values(name: str, given: Any) -> list[Any]:
    if isinstance(given, Int):
        return list(range(given.low, given.high + 1, given.step))
    if isinstance(given, Choice):
        return list(given.options)
    if isinstance(given, Float):
        raise ConfigError(
            f"{name} has no steps", hint=f"give a list, such as numpy.linspace({given.low}, {given.high}, 9)"
        )
    return [given] if isinstance(given, str) or not hasattr(given, "__iter__") else list(given)


def sweep(
    strategy: type[bt.Strategy] | str,
    data: Source | Market,
    space: Space,
    *,
    metric: str = "sharpe",
    metrics: Sequence[str] = SHOWN,
    cash: float = 100_000.0,
    commission: float = 0.001,
    broker: bt.brokers.BackBroker | None = None,
    sizer: Any = None,
    engine: str = "auto",
    jobs: int | None = None,
    on_done: Callable[[int], None] | None = None,
) -> SweepResult:
    """Run every combination over history and measure it.

    space: values by parameter (a grid), or a list of combinations. metric: what to rank by; it and `metrics` are keys
    of `analyzers.metrics.summarize`. broker: an ordinary, configured one; its cash wins over `cash`. engine: "auto",
    or "lean" for one by one. jobs: threads, all cores by default. on_done: told how many combinations are done.

    Raises UserError for what cannot be used: an unknown parameter or metric, an empty space. A combination that
    cannot run, or fails, says so in its row.
    """
    from engine import preflight
    from engine.account import copied
    from engine.cerebro import stock_broker
    from engine.choose import Task
    from engine.sweep_metrics import METRICS
    from feeds.market import Market, load
    from strategies import registry

    began = time.perf_counter()
    for name in (metric, *metrics):
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    if engine not in ("auto", "lean"):
        raise UnknownNameError("engine", engine, ("auto", "lean"))
    preflight.check_money(cash, commission)
    cls = registry.load(strategy)
    given = combinations_of(space)
    market = data if isinstance(data, Market) else load(data)
    preflight.check_frames(market.frames)
    names = tuple(dict.fromkeys(name for each in given for name in each))
    for name in names:
        if name not in dict(cls.params._getitems()):
            raise UnknownNameError("parameter", name, dict(cls.params._getitems()))
    account = copied(broker) if broker is not None else stock_broker(cash, commission)
    run = _Sweep(Task(cls, {}, market.frames, account, sizer=sizer), given, (metric, *metrics), jobs, on_done)
    if engine == "auto":
        run.compiled()
    else:
        run.reason = "asked for by name"
    run.one_by_one()
    run.counters["seconds"] = time.perf_counter() - began
    compiled = run.counters["alone"] * 2 < len(given)
    return SweepResult(
        run.table(names), names, metric, "compiled" if compiled else "lean", run.reason, run.counters
    )


class _Sweep:
    """The combinations of one sweep on their way to figures."""

    def __init__(
        self,
        task: Task,
        given: Sequence[Mapping[str, Any]],
        metrics: Sequence[str],
        jobs: int | None,
        on_done: Callable[[int], None] | None,
    ) -> None:
        from engine.sweep_driver import room
        from engine.sweep_metrics import groups_of
        from strategies import registry

        self.task, self.given = task, given
        self.metrics = tuple(dict.fromkeys(metrics))
        self.groups = groups_of(self.metrics)
        self.jobs = max(1, jobs or os.cpu_count() or 1)
        self.reason = "all of the strategy compiles"
        self.counters: dict[str, float] = dict.fromkeys(
            ("traces", "lines_asked", "lines_computed", "alone", "compile_seconds"), 0
        )
        self.out, _ = room(len(given))
        self.errors = [""] * len(given)
        self.params: list[dict[str, Any]] = []
        self._on_done = on_done or (lambda done: None)
        self._done = np.zeros(len(given), np.bool_)
        for number, each in enumerate(given):
            try:
                self.params.append(registry.resolve_params(task.strategy, each))
            except UserError as error:
                self.params.append({})
                self._fail(number, error)

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """The result's table."""
        import pandas as pd

        from engine.sweep_metrics import METRICS

        shown = [params or given for params, given in zip(self.params, self.given, strict=True)]
        columns: dict[str, Any] = {name: [each.get(name) for each in shown] for name in names}
        columns |= {name: self.out[:, METRICS.index(name)] for name in self.metrics}
        return pd.DataFrame(columns | {"error": self.errors})

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

        groups: dict[Any, list[int]] = {}
        for number in np.flatnonzero(~self._done).tolist():
            groups.setdefault(_plain_key(self.params[number]), []).append(number)
        for numbers in groups.values():
            waiting = np.array(numbers)
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
        from engine.account import copied
        from engine.choose import Admission, Task
        from engine.compiled import kernel
        from engine.compiled.warm import pure_program

        self.counters["traces"] += 1
        task = self.task
        params = self.params[int(waiting[0])]
        varied = [
            name for name in params if any(self.params[n][name] != params[name] for n in waiting.tolist())
        ]
        program, translated = pure_program(
            task.strategy, params, task.frames, copied(task.broker), task.sizer, varied
        )
        started = time.perf_counter()
        loaded = kernel.load(translated.source)
        _importable(loaded.entry)
        single = Task(task.strategy, params, task.frames, task.broker, sizer=task.sizer)
        Admission(single)(loaded.name, True)
        self.counters["compile_seconds"] += time.perf_counter() - started
        held = self._held(program, waiting, params)
        held[0] = True
        for block in self._blocks(program, waiting[held]):
            self._run_block(program, translated, loaded.entry, block)
        return held

    def _held(self, program: Any, waiting: Any, params: Mapping[str, Any]) -> Any:
        from engine.compiled.traced import Evaluation

        traced = tuple(program.trace.numbers)
        held = np.array(
            [
                all(self.params[n][name] == value for name, value in params.items() if name not in traced)
                for n in waiting.tolist()
            ]
        )
        return held & program.holds(Evaluation(self._columns(traced, waiting), len(waiting)))

    def _columns(self, names: Sequence[str], numbers: Any) -> dict[str, Any]:
        return {name: np.array([self.params[number][name] for number in numbers.tolist()]) for name in names}

    def _blocks(self, program: Any, numbers: Any) -> Iterator[Any]:
        """The combinations in parts whose lines fit into memory."""
        lines = len(program.parameters) + 1
        size = max(1, TABLE_BYTES // (lines * max(program.lengths) * 8))
        for first in range(0, len(numbers), size):
            yield numbers[first : first + size]

    def _run_block(self, program: Any, translated: Any, entry: Any, numbers: Any) -> None:
        from engine.compiled.program import Plan, values_of
        from engine.compiled.running import book_of, moments_of, steps_of
        from engine.compiled.traced import Evaluation
        from engine.refusal import Refused

        index, times = steps_of(program.setup)
        columns = self._columns(tuple(program.trace.numbers), numbers)
        shape = tuple((name, column.dtype.str, column.tobytes()) for name, column in columns.items())
        lines = [None if line.data is None else program.line(line.buffer) for line in translated.lines]
        for line in translated.lines:
            length = len(times) if line.data is None else program.lengths[line.data]
            if length < translated.deepest + (2 if line.data is not None and index[0, line.data] < 0 else 1):
                raise Refused("looks back further than there are bars")
        made = program.kept.get(shape)
        if made is None:
            evaluation = Evaluation(columns, len(numbers))
            plan = Plan(program, evaluation)
            plan.add(program.needed(line for line in lines if line is not None))
            program.kept.clear()
            made = program.kept[shape] = (
                plan,
                values_of(translated.floats, evaluation, float),
                values_of(translated.ints, evaluation, int),
                values_of(program.minimum_periods, evaluation, int),
            )
        plan, (floats, known), (ints, also), (warm_up, sure) = made
        extra = [k for k, line in enumerate(translated.lines) if line.data is None or line.time]
        size = (plan.count + len(extra), max(*program.lengths, len(times)))
        table = program.kept.pop("table", None)  # taken out: another thread may sweep, too
        if table is None or table.shape != size:
            table = np.empty(size)
        failed = plan.compute(table)[1]
        rows = np.zeros((len(numbers), max(1, len(lines))), np.int64)
        at = plan.count
        # Too few bars: on its own, such a combination says so.
        bad = ~(known & also & plan.known & sure) | (warm_up >= np.array(program.lengths)).any(axis=1)
        for k, line in enumerate(lines):
            if line is not None:
                rows[:, k] = plan.rows[line]
                bad |= failed[rows[:, k]]
            if k in extra:
                values = (
                    times
                    if line is None
                    else table[int(rows[0, k]), : program.lengths[translated.lines[k].data]]
                )
                if line is not None and (rows[:, k] != rows[0, k]).any():
                    raise Refused("reads an indicator as a date")
                table[at, : len(values)] = moments_of(values) if translated.lines[k].time else values
                rows[:, k] = at
                at += 1
        self.counters["lines_asked"] += plan.asked
        self.counters["lines_computed"] += plan.count - len(program.inputs)
        self._drive(entry, (table, rows, floats, ints), book_of(program.setup), index, numbers, bad)
        if table.nbytes <= TABLE_BYTES // 4:
            program.kept["table"] = table

    def _drive(self, entry: Any, arguments: Any, book: Any, index: Any, numbers: Any, bad: Any) -> None:
        from engine.compiled.broker import grown
        from engine.compiled.running import MOST_RETRIES
        from engine.sweep_driver import DONE, FAULT, FULL, driver, room
        from engine.sweep_metrics import SCRATCH_ROWS

        steps, start = len(index), float(self.task.broker.p.cash)
        started = time.perf_counter()
        run = driver(book)
        self.counters["compile_seconds"] += time.perf_counter() - started
        out, ended = room(len(numbers))
        ended[bad] = FAULT
        periods = self._periods

        def part(first: int, last: int, mine: Any) -> None:
            scratch = np.empty((SCRATCH_ROWS, max(steps, len(mine.trades))))
            run(
                entry,
                *arguments,
                mine,
                index,
                np.empty(steps),
                np.empty(steps),
                start,
                periods,
                self.groups,
                scratch,
                out,
                ended,
                first,
                last,
            )

        for _ in range(MOST_RETRIES):
            bounds = np.linspace(0, len(numbers), min(self.jobs, len(numbers)) + 1).astype(int).tolist()
            pieces = [(a, b, grown(book, start)) for a, b in itertools.pairwise(bounds)]
            with ThreadPoolExecutor(len(pieces)) as pool:
                list(pool.map(lambda piece: part(*piece), pieces))
            full = ended == FULL
            if not full.any():
                break
            ended[full] = DONE
            ended[~full & (ended == DONE)] = -1  # those are done
            book = grown(pieces[0][2], start)
        done = (ended == DONE) | (ended == -1)
        self.out[numbers[done]] = out[done]
        self._finish(numbers[done])

    @property
    def _periods(self) -> float:
        import pandas as pd

        from analyzers.metrics import periods_per_year

        index = next(iter(self.task.frames.values())).index
        for frame in self.task.frames.values():
            index = index.union(frame.index)
        return periods_per_year(pd.DatetimeIndex(index))

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
            single = Task(task.strategy, self.params[number], task.frames, task.broker, sizer=task.sizer)
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


def _plain_key(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """What combinations must share to be traced together: every parameter that is no number, and kinds of the rest."""
    from engine.compiled.traced import traceable

    return tuple(
        (name, type(value).__name__, "" if traceable(value) else repr(value))
        for name, value in sorted(params.items())
    )


# -- the command


def parse_space(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`["fast=5:20", "slow=20:60:2", "mode=a,b"]` as values by name; ends are included. Raises ConfigError."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--space {text} is not NAME=VALUES",
                hint="write it as --space fast=5:20:5 or --space fast=5,10",
            )
        found[name.strip()] = (
            _range_of(text, value) if ":" in value else [_number(part.strip()) for part in value.split(",")]
        )
    return found


def _range_of(text: str, value: str) -> list[Any]:
    parts = [_number(part) for part in value.split(":")]
    if len(parts) not in (2, 3) or not all(isinstance(part, int | float) for part in parts):
        raise ConfigError(f"--space {text} is no range", hint="write low:high or low:high:step, in numbers")
    low, high, step = (*parts, 1)[:3]
    if not (step > 0 and low <= high):
        raise ConfigError(f"--space {text} is empty", hint="low <= high and a step above 0 are needed")
    return [low + step * k for k in range(math.floor((high - low) / step + 1e-9) + 1)]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parser() -> CommandParser:
    from engine.command import add_run_arguments

    parser = CommandParser(
        prog="python -m engine.sweep",
        description="Run a strategy at many parameters and rank them.",
        example=EXAMPLE,
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="low:high, low:high:step or a,b,c; may be repeated",
    )
    parser.add_argument("--metric", default="sharpe", help="what to rank by (default: sharpe)")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many to show (default: 10)")
    return parser


def main(args: argparse.Namespace) -> int:
    """Check everything, run, print the ranking."""
    from engine import command

    space = parse_space(args.space)
    count = len(combinations_of(space))
    if args.top < 1:
        raise ConfigError(f"--top is {args.top}", hint="show at least 1")
    plan = command.prepare(args)
    grid = {name: [value] for name, value in plan.settings.strategy.params.items()} | space
    with progress("combinations", count, enabled=not args.json) as done:
        result = sweep(
            plan.strategy,
            plan.market,
            grid,
            metric=args.metric,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            on_done=done,
        )
    top = result.ranked().head(args.top)
    failed = int((result.table["error"] != "").sum())
    if args.json:
        print_json(
            {
                "strategy": plan.reference,
                "metric": result.metric,
                "combinations": len(result.table),
                "failed": failed,
                "engine": result.engine,
                "engine_reason": result.reason,
                "counters": result.counters,
                "top": top.drop(columns="error").to_dict("records"),
            }
        )
        return 0
    print(
        f"SWEEP {plan.reference}: {len(result.table):,} combinations in {result.counters['seconds']:.2f} s, {result.engine} ({result.reason})"
    )
    print(
        top.drop(columns="error").to_string(index=False)
        if len(top)
        else f"no combination has a {result.metric}"
    )
    if failed:
        first = next(text for text in result.table["error"] if text)
        print(f"note: {failed:,} combinations could not run; the first: {first}")
    return 0


if __name__ == "__main__":
    run_command(_parser(), main)
