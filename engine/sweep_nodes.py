"""Many small kernel calls of a sweep as one: the commonest nodes, written down as numbers and run in a single loop.

Nodes behind several parameters are cheap and there are thousands of them, so that calling each from Python costs more
than what it does. What has no code here is called one by one, in its place in the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.compiled.program import UNSET, Task, run_task
from indicators import kernels, operations, windows

AVERAGE, DELAY, NON_ZERO, LINES, LINE_NUMBER, NUMBER_LINE, FOLD = range(7)
FIELDS = 8
"""What a call is: its code, row out, rows in (two), start, length, and two whole numbers."""
Call: TypeAlias = tuple[int, int, int, int, int, int, int, int, float]

_average: Any = windows.average
_delay: Any = windows._delay
_non_zero: Any = windows.non_zero_difference
_lines: Any = operations._lines
_line_number: Any = operations._line_number
_number_line: Any = operations._number_line
_fold: Any = operations._fold


def coded(task: Task, length: int) -> Call | None:
    """A task as numbers; None when it has to be called by itself."""
    node, scalars, sources, start = task.node, task.scalars, task.sources, task.start
    if task.before != (UNSET,) or not 0 <= node.reach(*scalars) <= start < length:
        return None
    found = _code(node.kernel, scalars, len(sources))
    if found is None:
        return None
    code, whole, number = found
    return (code, task.outputs[0], sources[0], sources[-1], start, length, whole, 0, number)


def _code(kernel: Any, scalars: tuple[Any, ...], sources: int) -> tuple[int, int, float] | None:
    if kernel is kernels.average and type(scalars[0]) is int:
        return AVERAGE, scalars[0], 0.0
    if kernel is kernels.delay and sources == 1 and type(scalars[0]) is int:
        return DELAY, scalars[0], 0.0
    if kernel is kernels.non_zero_difference:
        return NON_ZERO, 0, 0.0
    if kernel is kernels.operate:
        if sources == 2:
            return LINES, scalars[0], 0.0
        operator, number, swapped = scalars
        if type(number) not in (int, float):
            return None
        if not swapped:
            return LINE_NUMBER, operator, float(number)
        if operator in operations._SWAPPED:
            return LINE_NUMBER, operations._SWAPPED[operator], float(number)
        return NUMBER_LINE, operator, float(number)
    if kernel is kernels.logic and sources == 2 and scalars[1:] == ("ll",) and scalars[0] <= operations.MIN:
        return FOLD, scalars[0], 0.0
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """Calls to be carried out as one, (n, FIELDS) with a number each, and then tasks that run by themselves."""

    calls: NDArray[np.int64]
    numbers: NDArray[np.float64]
    alone: tuple[Task, ...]


def parts_of(tasks: Sequence[Task], lengths: Sequence[int]) -> list[Part]:
    """The tasks in order, those with a code put together. lengths: bars of each data."""
    parts: list[Part] = []
    calls: list[Call] = []
    alone: list[Task] = []

    def close() -> None:
        whole = np.array([call[:FIELDS] for call in calls], np.int64).reshape(-1, FIELDS)
        parts.append(Part(whole, np.array([call[FIELDS] for call in calls], np.float64), tuple(alone)))
        calls.clear()
        alone.clear()

    for task in tasks:
        call = coded(task, lengths[task.node.data])
        if call is None:
            alone.append(task)
            continue
        if alone:
            close()
        calls.append(call)
    close()
    return parts


def run_part(
    part: Part, table: NDArray[np.float64], lengths: Sequence[int], failed: NDArray[np.bool_]
) -> None:
    """`engine.compiled.program.run_task` for each. failed: rows that stock could not have computed."""
    if len(part.calls):
        _run()(table, part.calls, part.numbers, failed)
    for task in part.alone:
        run_task(task, table, lengths[task.node.data], failed)


def _run_calls(table, calls, numbers, failed):  # type: ignore[no-untyped-def]
    """Carry out calls (n, FIELDS) with numbers (n,) on the rows of table; those that raise are marked in failed."""
    for k in range(len(calls)):
        code, output, start, length = calls[k, 0], calls[k, 1], calls[k, 4], calls[k, 5]
        dst = table[output]
        dst[:start] = np.nan
        dst[length:] = np.nan
        dst = dst[:length]
        a, b, whole = table[calls[k, 2], :length], table[calls[k, 3], :length], calls[k, 6]
        status = 0
        if code == AVERAGE:
            status = _average(dst, a, start, length, whole)
        elif code == DELAY:
            status = _delay(dst, a, start, length, whole)
        elif code == NON_ZERO:
            status = _non_zero(dst, a, b, start, length)
        elif code == LINES:
            status = _lines(dst, a, b, start, length, whole)
        elif code == LINE_NUMBER:
            status = _line_number(dst, a, numbers[k], start, length, whole)
        elif code == NUMBER_LINE:
            status = _number_line(dst, numbers[k], b, start, length, whole)
        else:
            status = _fold(dst, a, b, start, length, whole)
        failed[output] = status != 0 or failed[calls[k, 2]] or failed[calls[k, 3]]


_compiled: list[Any] = []


def _run() -> Any:
    """The loop; its machine code on disk has to match the kernels put into it, which numba does not look at."""
    if not _compiled:
        house = Path(__file__).parents[1]
        files = [
            path.stat()
            for path in (*(house / "indicators").glob("*.py"), house / "engine" / "sweep_nodes.py")
        ]
        function: Any = nb.njit(cache=True, nogil=True, error_model="numpy")(_run_calls)
        function._cache._cache_file._source_stamp = (
            max(file.st_mtime for file in files),
            sum(file.st_size for file in files),
        )
        _compiled.append(function)
    return _compiled[0]
