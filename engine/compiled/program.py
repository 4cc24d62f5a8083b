"""The indicators of a strategy as a program over its parameters, read off one instance made with traced numbers.

A program is a list of nodes, each a kernel that fills lines from other lines and numbers. For any combinations of
parameters that take the same way through `__init__` (`engine.compiled.traced`), `Program.plan` says which lines there
are to compute, each of them once: ten times twenty crossovers of two averages need thirty averages.

program = build(Momentum, {"fast": 10, "slow": 30}, {"GOOG": frame}, stock_broker(100_000, 0.001))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer
from numpy.typing import NDArray

from engine.compiled.traced import (
    Column,
    Evaluation,
    Expression,
    Flags,
    Trace,
    Traced,
    expression,
    holds,
    trace_parameters,
    traceable,
    tracing,
)
from engine.primitive import Primitive
from engine.primitives import primitive_of
from engine.refusal import Refused
from engine.setup import Setup, prepare

if TYPE_CHECKING:
    import pandas as pd


Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

UNSET = -1
"""The line of a node's output before it runs: not a number throughout."""


@dataclass(frozen=True, slots=True)
class Node:
    """One kernel call: `kernel(*outputs, *sources, start, end, *scalars)`.

    sources, outputs: numbers of lines. before: for each output the line it is a copy of before, or `UNSET`.
    start, scalars: expressions over parameters; a scalar may be another constant, such as a tuple of weights. reach:
    bars before `start` that the kernel reads, given the scalars. data: the data whose length is `end`. parameters: all that its
    outputs depend on.
    """

    name: str
    kernel: Callable[..., Any]
    sources: tuple[int, ...]
    outputs: tuple[int, ...]
    before: tuple[int, ...]
    reach: Callable[..., int]
    scalars: tuple[Any, ...]
    start: Expression
    data: int
    parameters: frozenset[str]


@dataclass(slots=True)
class Program:
    """The nodes of a strategy in order, for every combination of parameters that its trace holds for.

    setup: the traced strategy and its datas; its numbers may be `Traced`. inputs: the columns of the datas, by number
    of line. lengths: bars of each data. parameters: of every line those it depends on. kept: what a sweep wants to find
    again the next time.
    """

    setup: Setup
    trace: Trace
    nodes: list[Node]
    inputs: dict[int, Floats]
    lengths: tuple[int, ...]
    parameters: list[frozenset[str]]
    lines: dict[int, int] = field(repr=False)
    kept: dict[Any, Any] = field(repr=False, default_factory=dict)
    _keep: list[Any] = field(repr=False, default_factory=list)

    @property
    def minimum_periods(self) -> tuple[Expression, ...]:
        """Of each data, the bars before `next` is called."""
        return tuple(expression(period) for period in self.setup.strategy._minperiods)

    def line(self, buffer: Any) -> int:
        """The number of one of the strategy's lines; Refused when it is not computed by this program."""
        if not isinstance(buffer, LineBuffer):
            buffer = buffer.lines[0]
        number = self.lines.get(id(buffer))
        if number is None:
            raise Refused("reads a line that is not computed before the run")
        return number

    def holds(self, evaluation: Evaluation) -> Flags:
        """The combinations for which it holds, (rows,)."""
        return holds(self.trace, evaluation)

    def needed(self, lines: Iterable[int]) -> list[Node]:
        """The nodes that these lines come from, in order."""
        wanted, found = set(lines), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                wanted.update(node.sources, (line for line in node.before if line != UNSET))
                found.append(node)
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Task:
    """One kernel call on rows: fill `outputs` (copies of `before` first) from `sources`."""

    node: Node
    outputs: tuple[int, ...]
    before: tuple[int, ...]
    sources: tuple[int, ...]
    start: int
    scalars: tuple[Any, ...]

    @property
    def kernel(self) -> Callable[..., Any]:
        """The kernel of its node."""
        return self.node.kernel


class Plan:
    """Which rows there are to compute for some combinations, each distinct one once.

    rows: by number of line, the row of each combination (combinations,). tasks: kernel calls in order. known: the
    combinations whose numbers could all be computed.
    """

    def __init__(self, program: Program, evaluation: Evaluation) -> None:
        self.program = program
        self.evaluation = evaluation
        self.tasks: list[Task] = []
        self.rows: dict[int, Integers] = {}
        self.known: Flags = np.ones(evaluation.rows, np.bool_)
        self.count = len(program.inputs)
        self.asked = 0
        self._made: dict[tuple[Any, ...], tuple[int, ...]] = {}
        for line in program.inputs:
            self.rows[line] = np.full(evaluation.rows, line, np.int64)

    def add(self, nodes: Iterable[Node]) -> None:
        """Plan these nodes, whose sources must be planned already."""
        for node in nodes:
            self._add(node)

    def _add(self, node: Node) -> None:
        first, codes = self.evaluation.distinct(node.parameters)
        numbers = [self._numbers(each, first) for each in (node.start, *node.scalars)]
        rows = {
            line: self.rows[line][first].tolist() for line in (*node.sources, *node.before) if line != UNSET
        }
        places = np.empty((len(node.outputs), len(first)), np.int64)
        self.asked += len(codes)
        for place in range(len(first)):
            sources = tuple(rows[line][place] for line in node.sources)
            before = tuple(UNSET if line == UNSET else rows[line][place] for line in node.before)
            start, *scalars = (values[place] for values in numbers)
            places[:, place] = self._outputs(node, sources, before, start, tuple(scalars))
        for output, found in zip(node.outputs, places, strict=True):
            self.rows[output] = found[codes]

    def _outputs(
        self,
        node: Node,
        sources: tuple[int, ...],
        before: tuple[int, ...],
        start: int,
        scalars: tuple[Any, ...],
    ) -> tuple[int, ...]:
        key = (node.kernel, sources, before, start, tuple(map(repr, scalars)), node.data)
        made = self._made.get(key)
        if made is None:
            made = tuple(range(self.count, self.count + len(node.outputs)))
            self.count += len(made)
            self._made[key] = made
            self.tasks.append(Task(node, made, before, sources, start, scalars))
        return made

    def _numbers(self, scalar: Any, combinations: Integers) -> Sequence[Any]:
        """A scalar for each of these combinations."""
        if not isinstance(scalar, Expression):
            return _Always(scalar)
        if scalar.operation == "constant":
            return _Always(scalar.operands[0])
        values, known = self.evaluation.values(scalar)
        self.known &= known
        numbers: list[Any] = values[combinations].tolist()
        return numbers

    def compute(self, table: Floats | None = None, jobs: int = 1) -> tuple[Floats, Flags]:
        """All rows (rows, bars), and which of them stock Backtrader could not have computed without an error.

        table: one with at least so many rows and bars. jobs: threads.
        """
        from engine.sweep_rows import digest_of, fill_rows

        program = self.program
        table = np.empty((self.count, max(program.lengths))) if table is None else table
        failed = np.zeros(self.count, np.bool_)
        for line, values in program.inputs.items():
            table[line, : len(values)] = values
            table[line, len(values) :] = np.nan
        market = program.kept.get("market") or program.kept.setdefault("market", digest_of(program.inputs))
        fill_rows(self.tasks, market, len(program.inputs), table, program.lengths, failed, jobs)
        return table, failed


class _Always(Sequence[Any]):
    """The same value at every index."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getitem__(self, index: Any) -> Any:
        return self._value

    def __len__(self) -> int:
        return 1


def run_task(task: Task, table: Floats, length: int, failed: Flags) -> None:
    """Fill the task's rows of `table`; marks them in `failed` when the kernel says that Python would raise."""
    for output, before in zip(task.outputs, task.before, strict=True):
        if before == UNSET:
            table[output, : task.start if task.start >= 0 else None] = np.nan
            table[output, length:] = np.nan
        else:
            table[output] = table[before]
    status = 1  # stock reads before its first bar, which only stock knows how to
    if task.start >= length:
        status = 0
    elif 0 <= task.node.reach(*task.scalars) <= task.start:
        arrays = [table[row, :length] for row in (*task.outputs, *task.sources)]
        status = task.node.kernel(*arrays, task.start, length, *task.scalars)
    if status or failed[list(task.sources)].any():
        failed[list(task.outputs)] = True


# -- reading the program off a strategy


def build(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Any = None,
    cheat_on_open: bool = False,
    traced: Iterable[str] | None = None,
) -> Program:
    """The program of a strategy at these parameters and wherever its trace holds.

    traced: names of the parameters to trace (those that can be, when None); what cannot be traced together with the
    strategy's own code (it hands a number to code that takes nothing but true ones) is taken as it is. Raises Refused
    for an indicator without a kernel, and what `engine.setup.prepare` raises.
    """
    if resample:
        raise Refused("has bars resampled in the run")
    names = [name for name in (params if traced is None else traced) if traceable(params.get(name))]
    for attempt in (names, *([other for other in names if other != name] for name in names), []):
        trace, numbers = trace_parameters(params, attempt)
        try:
            with tracing():
                setup = prepare(
                    cls, numbers, frames, broker, sizer=sizer, cheat_on_open=cheat_on_open, recorder=False
                )
        except Exception:
            if not attempt:
                raise
            continue
        return _Reader(setup, trace).program()
    raise AssertionError("the last attempt traces nothing")


class _Reader:
    """Follows stock's `_once` through a strategy, noting what each object would write instead of writing it."""

    def __init__(self, setup: Setup, trace: Trace) -> None:
        self._setup, self._trace = setup, trace
        self._nodes: list[Node] = []
        self._parameters: list[frozenset[str]] = []
        self._now: dict[int, int] = {}  # id of a line buffer: number of what it holds now
        self._data: dict[int, int] = {}  # id of a line buffer: the data whose length it has
        self._ready: set[int] = set()  # ids of the lines that stock would have made room in
        self._done: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._keep: list[Any] = []

    def program(self) -> Program:
        setup = self._setup
        inputs = {}
        for number, data in enumerate(setup.datas):
            for line in data.lines:
                inputs[len(self._parameters)] = np.array(line.array, dtype=np.float64)
                self._register(line, number, self._line(frozenset()))
            self._data[id(data)] = number
        for indicator in _indicators(setup.strategy):
            self._once(indicator)
        lengths = tuple(len(data.lines[0].array) for data in setup.datas)
        return Program(
            setup,
            self._trace,
            self._nodes,
            inputs,
            lengths,
            self._parameters,
            dict(self._now),
            {},
            self._keep,
        )

    def _line(self, parameters: frozenset[str]) -> int:
        self._parameters.append(parameters)
        return len(self._parameters) - 1

    def _register(self, line: LineBuffer, data: int, number: int) -> None:
        self._keep.append(line)  # an id is good for as long as the object lives
        self._now[id(line)], self._data[id(line)] = number, data
        self._ready.add(id(line))

    def _once(self, item: Any) -> None:
        data = self._clock(item)
        if not isinstance(item, LineActions):
            for line in item.lines:
                self._keep.append(line)
                self._ready.add(id(line))
                self._data[id(line)] = data
            for indicator in _indicators(item):
                self._once(indicator)
        else:
            self._ready.add(id(item))
            self._data[id(item)] = data
        self._call(item, data)
        for line in [item] if isinstance(item, LineActions) else item.lines:
            self._bind(line)

    def _bind(self, line: LineBuffer) -> None:
        for target in line.bindings:
            if id(target) not in self._ready or self._data[id(target)] != self._data[id(line)]:
                raise Refused("binds a line to one of another length")
            if id(line) in self._now:
                self._now[id(target)] = self._now[id(line)]
            self._keep.append(target)

    def _clock(self, item: Any) -> int:
        """Number of the data whose length the lines of an indicator get."""
        clock = item._clock
        seen = 0
        while id(clock) not in self._data:
            following = clock.lines[0] if isinstance(clock, bt.LineSeries) else getattr(clock, "_clock", None)
            following = self._setup.datas[0] if clock is self._setup.strategy else following
            seen += 1
            if following is None or following is clock or seen > 100:
                raise Refused(f"{type(item).__name__} has a clock that is not one of the datas")
            clock = following
        return self._data[id(clock)]

    def _call(self, item: Any, data: int) -> None:
        """Note the kernel call of an object, unless its lines are only bound to others."""
        primitive = _primitive(item)
        if primitive is None:
            if only_binds(type(item)):
                return
            raise Refused(f"the indicator {type(item).__name__} has no kernel")
        sources = tuple(self._source(buffer, item) for buffer in primitive.sources(item))
        scalars = tuple(_scalar(value, item) for value in primitive.scalars(item))
        start = expression(item._minperiod - 1)
        buffers = tuple(primitive.outputs(item))
        before = tuple(self._now.get(id(buffer), UNSET) for buffer in buffers)
        key = (primitive.kernel, sources, scalars, start, before, data)
        outputs = self._done.get(key)
        if outputs is None:
            depends = frozenset().union(
                *(self._parameters[line] for line in (*sources, *before) if line != UNSET),
                *(each.parameters() for each in (start, *scalars) if isinstance(each, Expression)),
            )
            outputs = tuple(self._line(depends) for _ in buffers)
            self._done[key] = outputs
            self._nodes.append(
                Node(
                    type(item).__name__,
                    primitive.kernel,
                    sources,
                    outputs,
                    before,
                    primitive.reach,
                    scalars,
                    start,
                    data,
                    depends,
                )
            )
        for buffer, output in zip(buffers, outputs, strict=True):
            self._register(buffer, data, output)

    def _source(self, buffer: LineBuffer, item: Any) -> int:
        number = self._now.get(id(buffer))
        if number is None:
            raise Refused(f"the indicator {type(item).__name__} reads a line that is computed after it")
        return number


def _indicators(item: Any) -> list[Any]:
    return list(item._lineiterators[bt.LineIterator.IndType])


def _primitive(item: Any) -> Primitive | None:
    """Its primitive, found with the numbers of this trace in place: what fits depends on their kinds alone."""
    traced = [
        (names, name, value)
        for names in (vars(item), vars(item.p))
        for name, value in list(names.items())
        if type(value) is Traced
    ]
    for names, name, value in traced:
        names[name] = value.value
    try:
        return primitive_of(item)
    finally:
        for names, name, value in traced:
            names[name] = value


def _scalar(value: Any, item: Any) -> Any:
    if type(value) is Traced:
        return value.expression
    if isinstance(value, (bool, int, float, str)) or (
        isinstance(value, tuple) and all(type(each) in (int, float) for each in value)
    ):
        return value
    raise Refused(f"the indicator {type(item).__name__} has a parameter that is no plain number")


def only_binds(kind: type) -> bool:
    """Whether objects of this class compute nothing themselves: their lines are made of others'."""
    plain_class = bt.Indicator
    return issubclass(kind, plain_class) and all(
        getattr(kind, name) is getattr(plain_class, name)
        for name in ("next", "once", "prenext", "nextstart", "preonce", "oncestart", "_once")
    )


def values_of(values: Sequence[Any], evaluation: Evaluation, dtype: type) -> tuple[NDArray[Any], Flags]:
    """Numbers of a traced strategy for all combinations, (combinations, numbers), and where all are known."""
    table: NDArray[Any] = np.empty((evaluation.rows, len(values)), dtype)
    known: Flags = np.ones(evaluation.rows, np.bool_)
    for column, value in enumerate(values):
        made = value if isinstance(value, Expression) else expression(value)
        table[:, column], sure = evaluation.values(made)
        known &= sure
    return table, known


def columns_of(combinations: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Column]:
    """The parameters as columns; all values of a name must be of one kind."""
    return {name: np.array([each[name] for each in combinations]) for name in names}


__all__ = ["Node", "Plan", "Program", "Task", "build", "columns_of", "run_task", "values_of"]
