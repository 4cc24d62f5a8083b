"""Lines that each combination has for itself: computed right before its run, in rows that the next one writes over.

Nodes behind several parameters are cheap and there are thousands of them. As columns of numbers they need no call from
Python each, and no memory that grows with the combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.compiled.evaluation import Evaluation
from engine.compiled.formulas import Expression
from engine.compiled.planning import Batch, Task, run_task
from engine.compiled.program import UNSET, Node, Program
from indicators import kernels, operations, windows

(
    AVERAGE, SUM, EXPONENTIAL, EXTREME, DELAY, NON_ZERO, OWN, LINES, LINE_NUMBER, NUMBER_LINE, FOLD,
) = range(11)  # fmt: skip
CALL_FIELDS, WHOLE_FIELDS, NUMBER_FIELDS = 3, 5, 2

_average: Any = windows.average
_sum: Any = windows.rolling_sum
_exponential: Any = windows.exponential
_extreme: Any = windows.extreme
_delay: Any = windows._delay
_non_zero: Any = windows.non_zero_difference
_own: Any = operations.own
_lines: Any = operations._lines
_line_number: Any = operations._line_number
_number_line: Any = operations._number_line
_fold: Any = operations._fold

WINDOWED: Mapping[Any, int] = {
    kernels.average: AVERAGE,
    kernels.rolling_sum: SUM,
    kernels.exponential: EXPONENTIAL,
    kernels.extreme: EXTREME,
}
WINDOWS = frozenset(WINDOWED.values())


@dataclass(frozen=True, slots=True)
class Code:
    """How a node is called: its code, its whole number, up to two other numbers."""

    code: int
    whole: Any = 0
    numbers: tuple[Any, ...] = ()


def code_of(node: Node) -> Code | None:
    """None for what has to be called from Python."""
    if node.before != (UNSET,) or not 1 <= len(node.sources) <= 2:
        return None
    kernel, scalars = node.kernel, node.scalars
    if kernel in WINDOWED:
        return Code(WINDOWED[kernel], scalars[0], scalars[1:]) if _is_whole(scalars[0]) else None
    if kernel is kernels.delay:
        return Code(DELAY, scalars[0]) if _is_whole(scalars[0]) else None
    if kernel is kernels.non_zero_difference:
        return Code(NON_ZERO)
    if kernel is kernels.own:
        return Code(OWN, scalars[0])
    if kernel is kernels.operate:
        return Code(LINES, scalars[0]) if len(node.sources) == 2 else _with_number(*scalars)
    if kernel is kernels.logic and scalars[1:] == ("ll",) and scalars[0] <= operations.MIN:
        return Code(FOLD, scalars[0])
    return None


def _is_whole(scalar: Any) -> bool:
    return scalar.kind == "i" if isinstance(scalar, Expression) else type(scalar) is int


def _with_number(operator: int, number: Any, swapped: Any) -> Code | None:
    if not isinstance(number, Expression) and type(number) not in (int, float):
        return None
    if not swapped:
        return Code(LINE_NUMBER, operator, (number,))
    if operator in operations._SWAPPED:
        return Code(LINE_NUMBER, operations._SWAPPED[operator], (number,))
    return Code(NUMBER_LINE, operator, (number,))


def split(
    nodes: Sequence[Node], evaluation: Evaluation, kept: Iterable[int]
) -> tuple[list[Node], list[Node]]:
    """Nodes that combinations share, and nodes that most combinations have for themselves, both in order.

    kept: lines that must have a row of their own to the end.
    """
    shared, own = [], []
    needed = set(kept)  # by what is shared
    for node in reversed(nodes):
        several = node.parameters and 2 * len(evaluation.distinct(node.parameters)[0]) > evaluation.rows
        if several and needed.isdisjoint(node.outputs) and code_of(node) is not None:
            own.append(node)
        else:
            shared.append(node)
            needed.update(node.sources, node.before)
    return shared[::-1], own[::-1]


@dataclass(frozen=True, slots=True)
class Part:
    """Calls that need none of each other's rows: those with a code as numbers, see `Chain`, and those without."""

    calls: NDArray[np.int64]
    whole: NDArray[np.int64]
    numbers: NDArray[np.float64]
    alone: Sequence[Task]

    def cut(self, first: int, stride: int) -> Part:
        """Every `stride`-th call, from the `first` on."""
        places = slice(first, None, stride)
        return Part(self.calls[places], self.whole[places], self.numbers[places], self.alone[places])


def part_of(batches: Sequence[Batch], lengths: Sequence[int]) -> Part:
    """lengths: bars of each data."""
    coded = [(batch, code) for batch in batches if (code := code_of(batch.node)) is not None]
    count = sum(len(batch) for batch, _ in coded)
    calls = np.empty((count, CALL_FIELDS), np.int64)
    whole = np.empty((count, WHOLE_FIELDS), np.int64)
    numbers = np.zeros((count, NUMBER_FIELDS))
    first = 0
    for batch, code in coded:
        own = slice(first, first + len(batch))
        calls[own, 0], calls[own, 1], calls[own, 2] = (
            code.code,
            batch.outputs[:, 0],
            lengths[batch.node.data],
        )
        sources = batch.sources[:, 0], batch.sources[:, -1]
        _note(batch.node, code, batch.column, sources, whole[own], numbers[own])
        first = own.stop
    alone = [task for batch in batches if code_of(batch.node) is None for task in batch.tasks()]
    return Part(calls, whole, numbers, alone)


def _note(
    node: Node,
    code: Code,
    column: Callable[[Any], Any],
    sources: tuple[Any, Any],
    whole: NDArray[np.int64],
    numbers: NDArray[np.float64],
) -> None:
    """Write calls of a node down.

    column: gives a scalar's values. sources: rows of the first and the last. Out: whole, numbers (calls, fields).
    """
    whole[:, 0] = column(node.start)
    whole[:, 2] = column(code.whole)
    whole[:, 1] = _reach(code.code, whole[:, 2])
    whole[:, 3], whole[:, 4] = sources
    for field, number in enumerate(code.numbers):
        numbers[:, field] = column(number)


def run_part(
    part: Part, table: NDArray[np.float64], lengths: Sequence[int], failed: NDArray[np.bool_]
) -> None:
    """`engine.compiled.planning.run_task` for each. failed: rows that stock could not have computed."""
    if len(part.calls):
        fill_own(table, 0, part.calls, part.whole, part.numbers, failed, failed)
    for task in part.alone:
        run_task(task, table, lengths[task.node.data], failed)


@dataclass(frozen=True, slots=True)
class Chain:
    """Own nodes of some combinations, in order, as numbers.

    calls: (nodes, CALL_FIELDS) code, slot of the output, length. whole: (combinations, nodes, WHOLE_FIELDS) start,
    bars read before it, the code's whole number, rows of the first and the last source. numbers: (combinations,
    nodes, NUMBER_FIELDS). groups: (combinations,), the same number for the same lines. slots: how many rows are
    needed at a time. places: the slot of each line that is read in the end. A row below 0 is slot -1 - row.
    """

    calls: NDArray[np.int64]
    whole: NDArray[np.int64]
    numbers: NDArray[np.float64]
    groups: NDArray[np.int64]
    slots: int
    places: Mapping[int, int]
    known: NDArray[np.bool_]
    lines: int


def chain_of(
    program: Program,
    nodes: Sequence[Node],
    evaluation: Evaluation,
    rows: Mapping[int, NDArray[np.int64]],
    wanted: Iterable[int],
) -> Chain:
    """The chain of own nodes. rows: of every shared line, (combinations,). wanted: lines the kernel reads."""
    count = evaluation.rows
    calls = np.zeros((len(nodes), CALL_FIELDS), np.int64)
    whole = np.zeros((count, len(nodes), WHOLE_FIELDS), np.int64)
    numbers = np.zeros((count, len(nodes), NUMBER_FIELDS))
    known = np.ones(count, np.bool_)

    def column(scalar: Any) -> Any:
        if not isinstance(scalar, Expression):
            return scalar
        values, sure = evaluation.values(scalar)
        np.logical_and(known, sure, out=known)
        return values

    places, slots = _slots(nodes, wanted)
    for k, node in enumerate(nodes):
        code = code_of(node)
        assert code is not None
        calls[k] = code.code, places[k][node.outputs[0]], program.lengths[node.data]
        first, last = (
            -1 - places[k][line] if line in places[k] else rows[line]
            for line in (node.sources[0], node.sources[-1])
        )
        _note(node, code, column, (first, last), whole[:, k], numbers[:, k])
    parameters: frozenset[str] = frozenset().union(*(node.parameters for node in nodes))
    lines = sum(len(evaluation.distinct(node.parameters)[0]) for node in nodes)
    groups = evaluation.distinct(parameters)[1]
    return Chain(calls, whole, numbers, groups, slots, places[-1], known, lines)


def _reach(code: int, whole: Any) -> Any:
    """Bars before `start` that a call reads; -1 for a window that stock cannot take. whole: (n,)."""
    if code in WINDOWS:
        return np.maximum(whole, 0) - 1
    return -whole if code == DELAY else 0


def _slots(nodes: Sequence[Node], wanted: Iterable[int]) -> tuple[list[dict[int, int]], int]:
    """Where lines are at each node, and in the end; a slot is used again when nothing reads its line any more."""
    last = {line: number for number, node in enumerate(nodes) for line in node.sources}
    last |= dict.fromkeys(wanted, len(nodes))
    places: list[dict[int, int]] = []
    now: dict[int, int] = {}
    free: list[int] = []
    count = 0
    for number, node in enumerate(nodes):
        if free:
            now[node.outputs[0]] = free.pop()
        else:
            now[node.outputs[0]] = count
            count += 1
        places.append(dict(now))
        for line in [line for line in now if last.get(line, number) <= number]:
            free.append(now.pop(line))
    return [*places, now], count


_inner: Callable[..., Any] = nb.njit(nogil=True, error_model="numpy")


@_inner
def _carry_out(code, dst, first, second, start, length, whole, numbers):  # type: ignore[no-untyped-def]
    if code == AVERAGE:
        return _average(dst, first, start, length, whole)
    if code == SUM:
        return _sum(dst, first, start, length, whole)
    if code == EXPONENTIAL:
        return _exponential(dst, first, start, length, whole, numbers[0], numbers[1])
    if code == EXTREME:
        return _extreme(dst, first, start, length, whole, numbers[0])
    if code == DELAY:
        return _delay(dst, first, start, length, whole)
    if code == NON_ZERO:
        return _non_zero(dst, first, second, start, length)
    if code == OWN:
        return _own(dst, first, start, length, whole)
    if code == LINES:
        return _lines(dst, first, second, start, length, whole)
    if code == LINE_NUMBER:
        return _line_number(dst, first, numbers[0], start, length, whole)
    if code == NUMBER_LINE:
        return _number_line(dst, numbers[0], second, start, length, whole)
    return _fold(dst, first, second, start, length, whole)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function of this package, to be called from Python and kept on disk.

    numba looks only at the file it stands in, not at what is put into it.
    """
    house = Path(__file__).parents[1]
    parts = (
        *house.glob("engine/sweep_*.py"),
        *house.glob("engine/compiled/broker*.py"),
        house / "engine/compiled/records.py",
        *house.glob("indicators/*.py"),
    )
    files = [path.stat() for path in parts]
    made: Any = nb.njit(cache=True, nogil=True, error_model="numpy")(function)
    made._cache._cache_file._source_stamp = (
        max(file.st_mtime for file in files),
        sum(file.st_size for file in files),
    )
    return made


@compiled
def fill_own(table, base, calls, whole, numbers, failed, lost):  # type: ignore[no-untyped-def]
    """Compute the own lines of one combination, as `engine.compiled.planning.run_task` does.

    table: shared rows, then slots from row `base` on. whole, numbers: (nodes, ...) of this combination. failed: shared
    rows that stock could not have computed. Out: lost, the same of the slots.
    """
    for k in range(len(calls)):
        code, slot, length = calls[k, 0], calls[k, 1], calls[k, 2]
        start, reach, value, first, second = whole[k, 0], whole[k, 1], whole[k, 2], whole[k, 3], whole[k, 4]
        status = 0
        for row in (first, second):
            if failed[row] if row >= 0 else lost[-1 - row]:
                status = 1
        first = first if first >= 0 else base - 1 - first
        second = second if second >= 0 else base - 1 - second
        dst = table[base + slot]
        dst[: start if 0 <= start < length else length] = np.nan
        dst[length:] = np.nan
        if start < length:
            if not 0 <= reach <= start:
                status = 1
            elif status == 0:
                status = _carry_out(
                    code,
                    dst[:length],
                    table[first, :length],
                    table[second, :length],
                    start,
                    length,
                    value,
                    numbers[k],
                )
        lost[slot] = status != 0
