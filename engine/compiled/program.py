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

import numpy as np
from backtrader.linebuffer import LineBuffer
from numpy.typing import NDArray

from engine.compiled.evaluation import Evaluation, holds
from engine.compiled.formulas import Column, Expression, Flags
from engine.compiled.traced import Trace, expression
from engine.refusal import Refused
from engine.setup import Setup

if TYPE_CHECKING:
    pass


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


__all__ = ["Node", "Plan", "Program", "Task", "columns_of", "run_task", "values_of"]
