"""Expressions and guards for all combinations of parameters at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compiled.formulas import (
    COMPARISONS,
    EXACT,
    OPERATIONS,
    Column,
    Expression,
    Flags,
    Number,
    traceable,
)
from engine.compiled.traced import Guard, Trace


class Evaluation:
    """Expressions over columns of parameters, one row a combination.

    columns: int64 or float64 arrays of the same length, by parameter. Each expression is computed once.
    """

    def __init__(self, columns: Mapping[str, Column], rows: int) -> None:
        self.rows = rows
        self._columns = columns
        self._done: dict[Expression, tuple[Column, Flags]] = {}
        self._distinct: dict[frozenset[str], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def values(self, expression: Expression) -> tuple[Column, Flags]:
        """Its value in each row, and where that is known to be what Python computes.

        Not known is what raises, is of another kind than traced, or leaves the whole numbers exact as floats.
        """
        found = self._done.get(expression)
        if found is None:
            found = self._done[expression] = self._compute(expression)
        return found

    def _compute(self, expression: Expression) -> tuple[Column, Flags]:
        if expression.operation == "parameter":
            column = self._columns[expression.operands[0]]
            wanted = np.float64 if expression.kind == "f" else np.int64
            if column.dtype != wanted:
                return np.zeros(self.rows, wanted), np.zeros(self.rows, np.bool_)
            return column, _exact(column)
        if expression.operation == "constant":
            dtype = np.float64 if expression.kind == "f" else np.int64
            if not traceable(expression.operands[0]):
                return np.zeros(self.rows, dtype), np.zeros(self.rows, np.bool_)
            return np.full(self.rows, expression.operands[0], dtype), np.ones(self.rows, np.bool_)
        operands = [self.values(operand) for operand in expression.operands]
        known = operands[0][1]
        for _, each in operands[1:]:
            known = known & each
        columns = [column for column, _ in operands]
        direct = _DIRECT.get((expression.operation, expression.kind))
        with np.errstate(all="ignore"):
            if direct is not None:
                values, possible = direct(*columns)
                return values, known & possible & _exact(values)
            return _one_by_one(expression, columns, known)

    def distinct(self, names: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Distinct values of some parameters: a row of each, and of every row the number of its values."""
        key = frozenset(names)
        found = self._distinct.get(key)
        if found is None:
            codes, count = np.zeros(self.rows, np.int64), min(1, self.rows)
            for name in sorted(key):
                own, values = _numbered(self._columns[name].view(np.int64))
                # Numbered anew each time, so that many parameters do not overflow.
                codes, count = _numbered(codes * values + own) if count > 1 else (own, values)
            first = np.empty(count, np.int64)
            first[codes[::-1]] = np.arange(self.rows - 1, -1, -1)  # what is written last stays: the first row
            found = self._distinct[key] = first, codes
        return found

    def outcome(self, guard: Guard) -> Flags:
        """Where the guard holds, (rows,)."""
        left, known = self.values(guard.left)
        if guard.comparison == "known":
            return known
        right, also_known = self.values(guard.right)
        if guard.comparison == "is":
            same: Flags = left.view(np.int64) == right.view(np.int64)
            return known & same
        met: Flags = COMPARISONS[guard.comparison](left, right) == guard.outcome
        return known & also_known & met


def _numbered(column: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The number of each value among the distinct ones, and how many those are."""
    if len(column) == 0:
        return column, 0
    low, high = int(column.min()), int(column.max())
    if high - low > 8 * len(column):
        values, codes = np.unique(column, return_inverse=True)
        return codes, len(values)
    places = column - low
    present = np.zeros(high - low + 1, np.int64)
    present[places] = 1
    numbers = np.cumsum(present)
    return numbers[places] - 1, int(numbers[-1])


def holds(trace: Trace, evaluation: Evaluation) -> Flags:
    """The combinations for which what the trace made holds, (rows,)."""
    held = np.ones(evaluation.rows, np.bool_)
    for guard in trace.guards:
        held &= evaluation.outcome(guard)
    return held


def _exact(column: Column) -> Flags:
    if column.dtype == np.float64:
        return np.ones(len(column), np.bool_)
    return (column >= -EXACT) & (column <= EXACT)


def _always(apply: Callable[..., Column]) -> Callable[..., tuple[Column, Flags]]:
    def direct(*columns: Column) -> tuple[Column, Flags]:
        values = apply(*columns)
        return values, np.ones(len(values), np.bool_)

    return direct


def _product(left: Column, right: Column) -> tuple[Column, Flags]:
    size = np.abs(left.astype(np.float64) * right.astype(np.float64))
    return left * right, size <= EXACT


def _quotient(left: Column, right: Column) -> tuple[Column, Flags]:
    return left / right, right != 0


def _larger(*columns: Column) -> Column:
    largest: Column = np.maximum.reduce(columns)
    return largest


_DIRECT: Mapping[tuple[str, str], Callable[..., tuple[Column, Flags]]] = {
    ("+", "i"): _always(np.add),
    ("+", "f"): _always(np.add),
    ("-", "i"): _always(np.subtract),
    ("-", "f"): _always(np.subtract),
    ("*", "i"): _product,
    ("*", "f"): _always(np.multiply),
    ("/", "f"): _quotient,
    ("neg", "i"): _always(np.negative),
    ("neg", "f"): _always(np.negative),
    ("abs", "i"): _always(np.abs),
    ("abs", "f"): _always(np.abs),
    ("max", "i"): _always(_larger),
}
"""Operations for which numpy's arithmetic is Python's; all others run in Python, one distinct pair at a time."""


def _one_by_one(expression: Expression, columns: list[Column], known: Flags) -> tuple[Column, Flags]:
    wanted = float if expression.kind == "f" else int
    apply = OPERATIONS[expression.operation]
    values = np.zeros(len(known), np.float64 if wanted is float else np.int64)
    possible = known.copy()
    results: dict[tuple[str, ...], Number | None] = {}
    for row, operands in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if not known[row]:
            continue
        key = tuple(map(repr, operands))
        if key not in results:
            results[key] = _computed(apply, operands, wanted)
        result = results[key]
        if result is None:
            possible[row] = False
        else:
            values[row] = result
    return values, possible


def _computed(apply: Callable[..., Any], operands: tuple[Number, ...], wanted: type) -> Number | None:
    try:
        result: Any = apply(*operands)
    except (ArithmeticError, ValueError, TypeError):
        return None
    return _number(result) if type(result) is wanted and traceable(result) else None


def _number(value: Any) -> Number:
    return value  # type: ignore[no-any-return]
