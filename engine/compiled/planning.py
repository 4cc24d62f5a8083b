"""Which rows of numbers some combinations of parameters need, each distinct one once.

plan = Plan(program, evaluation)
plan.add(program.nodes)
table, failed = plan.compute()
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.compiled.evaluation import Evaluation
from engine.compiled.formulas import Column, Expression, Flags, traceable
from engine.compiled.program import UNSET, Floats, Integers, Node, Program

if TYPE_CHECKING:
    from engine.sweep_rows import Shared


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls of one node's kernel that fill rows of their own.

    outputs, before, sources: (calls, lines) rows. columns: what the node's expressions are, (calls,). kind: what else
    the calls have in common, and numbers: by which they differ; with the sources they say what is computed.
    """

    node: Node
    outputs: Integers
    before: Integers
    sources: Integers
    columns: Mapping[Expression, Column]
    kind: Hashable
    numbers: Sequence[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.outputs)

    def column(self, scalar: Any) -> Any:
        """A scalar of the node for each call, or the one that all have."""
        return self.columns[scalar] if isinstance(scalar, Expression) else scalar

    def taken(self, calls: Sequence[int]) -> Batch:
        """Some of its calls."""
        return Batch(
            self.node,
            self.outputs[calls],
            self.before[calls],
            self.sources[calls],
            {expression: column[calls] for expression, column in self.columns.items()},
            self.kind,
            [self.numbers[call] for call in calls],
        )

    def tasks(self) -> list[Task]:
        """Its calls one by one."""
        rows = zip(self.outputs.tolist(), self.before.tolist(), self.sources.tolist(), strict=True)
        scalars = [self._each(scalar) for scalar in (self.node.start, *self.node.scalars)]
        return [
            Task(self.node, tuple(outputs), tuple(before), tuple(sources), start, tuple(rest))
            for (outputs, before, sources), (start, *rest) in zip(
                rows, zip(*scalars, strict=True), strict=True
            )
        ]

    def _each(self, scalar: Any) -> list[Any]:
        """A scalar of the node for each call, as Python has it."""
        if isinstance(scalar, Expression):
            found: list[Any] = self.columns[scalar].tolist()
            return found
        return [scalar] * len(self)


class Plan:
    """Which rows there are to compute for some combinations, each distinct one once.

    rows: by number of line, the row of each combination (combinations,). batches: kernel calls in order; what they
    read is filled before. known: the combinations whose numbers could all be computed.
    """

    def __init__(self, program: Program, evaluation: Evaluation) -> None:
        self.program = program
        self.evaluation = evaluation
        self.batches: list[Batch] = []
        self.rows: dict[int, Integers] = {}
        self.known: Flags = np.ones(evaluation.rows, np.bool_)
        self.count = len(program.inputs)
        self.asked = 0
        self._made: dict[Hashable, dict[tuple[int, ...], int]] = {}
        for line in program.inputs:
            self.rows[line] = np.full(evaluation.rows, line, np.int64)

    @property
    def tasks(self) -> list[Task]:
        """All kernel calls one by one."""
        return [task for batch in self.batches for task in batch.tasks()]

    def add(self, nodes: Iterable[Node]) -> None:
        """Plan these nodes, whose sources must be planned already."""
        for node in nodes:
            self._add(node)

    def _add(self, node: Node) -> None:
        first, codes = self.evaluation.distinct(node.parameters)
        self.asked += len(codes)
        columns: dict[Expression, Column] = {}
        numbers, constants = [], []
        for scalar in (node.start, *node.scalars):
            if isinstance(scalar, Expression) and scalar not in columns:
                columns[scalar] = self._column(scalar, first)
            column = self._number(scalar, columns, len(first))
            constants.append(repr(scalar) if column is None else column.dtype.char)
            if column is not None:
                numbers.append(column.view(np.int64))
        calls = np.empty((len(first), len(node.sources) + len(node.before) + len(numbers)), np.int64)
        for place, line in enumerate((*node.sources, *node.before)):
            calls[:, place] = UNSET if line == UNSET else self.rows[line][first]
        read, written = len(node.sources), len(node.outputs)
        for place, column in enumerate(numbers, read + written):
            calls[:, place] = column
        kind = node.kernel, node.data, read, *constants
        keys = list(map(tuple, calls.tolist()))
        places, fresh = self._places(self._made.setdefault(kind, {}), keys, written)
        for nth, output in enumerate(node.outputs):
            self.rows[output] = (places + nth)[codes]
        if fresh:
            sources, before = calls[:, :read], calls[:, read : read + written]
            outputs = places[:, None] + np.arange(written)
            rest = [key[read + written :] for key in keys]
            whole = Batch(node, outputs, before, sources, columns, kind, rest)
            self.batches.append(whole if len(fresh) == len(first) else whole.taken(fresh))

    def _places(
        self, made: dict[tuple[int, ...], int], keys: Sequence[tuple[int, ...]], outputs: int
    ) -> tuple[Integers, list[int]]:
        """The first output row of each call, and the calls nothing has planned before."""
        places, fresh = np.empty(len(keys), np.int64), []
        for call, key in enumerate(keys):
            row = made.get(key)
            if row is None:
                row = made[key] = self.count
                self.count += outputs
                fresh.append(call)
            places[call] = row
        return places, fresh

    def _column(self, expression: Expression, combinations: Integers) -> Column:
        """An expression for each of these combinations."""
        values, known = self.evaluation.values(expression)
        self.known &= known
        return values[combinations]

    def _number(self, scalar: Any, columns: Mapping[Expression, Column], calls: int) -> Column | None:
        """A scalar as a column; None when it is no number."""
        if isinstance(scalar, Expression):
            return columns[scalar]
        return np.full(calls, scalar) if traceable(scalar) else None

    def compute(self) -> tuple[Floats, Flags]:
        """All rows (rows, bars), and which of them stock Backtrader could not have computed without an error."""
        from engine.sweep_rows import shared_of

        table = np.empty((self.count, max(self.program.lengths)))
        failed = np.zeros(self.count, np.bool_)
        compute(self.program, shared_of(self.batches, self.program.lengths), table, failed)
        return table, failed


def compute(
    program: Program,
    shared: Shared,
    table: Floats,
    failed: Flags,
    jobs: int = 1,
    *,
    filled: bool = False,
) -> None:
    """Fill shared rows in a table, and mark those that stock could not have computed in `failed`.

    jobs: threads. filled: whether the table has the columns of the datas.
    """
    from engine.sweep_rows import digest_of, fill_rows

    if not filled:
        for line, values in program.inputs.items():
            table[line, : len(values)] = values
            table[line, len(values) :] = np.nan
    market = program.kept.get("market") or program.kept.setdefault("market", digest_of(program.inputs))
    fill_rows(shared, market, len(program.inputs), table, program.lengths, failed, jobs)


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


__all__ = ["Batch", "Plan", "Task", "compute", "run_task"]
