"""How a number follows from the parameters of a strategy."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["i", "f"]


Number: TypeAlias = int | float


Column: TypeAlias = NDArray[Any]
"""int64 or float64."""


Flags: TypeAlias = NDArray[np.bool_]


EXACT = 2**53
"""Whole numbers up to here are exact as floats, so that int64 and float64 arithmetic agree with Python's."""


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "neg": operator.neg,
    "abs": operator.abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
    "max": max,
    "min": min,
}


COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """How a number follows from parameters.

    operation: a key of `OPERATIONS`, "parameter" or "constant". operands: expressions; of a parameter its name, of a
    constant the number and its text (which tells 0.0 from -0.0). kind: "i" for int, "f" for float.
    """

    operation: str
    operands: tuple[Any, ...]
    kind: Kind
    size: int = 1
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.operation, self.operands, self.kind)))

    def __hash__(self) -> int:
        return self._hash

    def of(self, values: Mapping[str, Number]) -> Number:
        """The number for one combination, by Python's own arithmetic; raises what that raises."""
        if self.operation == "parameter":
            return values[self.operands[0]]
        if self.operation == "constant":
            number: Number = self.operands[0]
            return number
        result: Number = OPERATIONS[self.operation](*(operand.of(values) for operand in self.operands))
        return result

    def parameters(self) -> frozenset[str]:
        """Names of the parameters it depends on; empty for a constant."""
        if self.operation == "parameter":
            return frozenset(self.operands)
        if self.operation == "constant":
            return frozenset()
        return frozenset().union(*(operand.parameters() for operand in self.operands))

    def __str__(self) -> str:
        if self.operation in ("parameter", "constant"):
            return str(self.operands[0])
        if len(self.operands) == 2 and self.operation not in ("max", "min", "round"):
            return f"({self.operands[0]} {self.operation} {self.operands[1]})"
        return f"{self.operation}({', '.join(map(str, self.operands))})"


def constant(value: Number) -> Expression:
    """A number that is the same for every combination."""
    return Expression("constant", (value, repr(value)), _kind(value))


Terms: TypeAlias = dict["Expression | None", int]
"""Whole numbers as the largest of several: expression plus offset each; under None a constant."""


def _terms(expression: Expression) -> Terms:
    if expression.operation == "constant":
        return {None: expression.operands[0]}
    if expression.operation == "max":
        merged: Terms = {}
        for operand in expression.operands:
            merged = _largest_terms(merged, _terms(operand))
        return merged
    if expression.operation == "+" and expression.operands[1].operation == "constant":
        return {expression.operands[0]: expression.operands[1].operands[0]}
    return {expression: 0}


def _largest_terms(left: Terms, right: Terms) -> Terms:
    merged = dict(left)
    for term, offset in right.items():
        merged[term] = max(offset, merged.get(term, offset))
    return merged


def _shifted(terms: Terms, offset: int) -> Terms:
    return {term: own + offset for term, own in terms.items()}


def _of_terms(terms: Terms) -> Expression:
    """The one expression for these terms: whole numbers are exact, so that order and brackets do not matter."""
    parts = []
    for term, offset in terms.items():
        if term is None:
            parts.append(constant(offset))
        elif offset == 0:
            parts.append(term)
        else:
            parts.append(Expression("+", (term, constant(offset)), "i", term.size + 2))
    if len(parts) == 1:
        return parts[0]
    parts.sort(key=str)
    return Expression("max", tuple(parts), "i", 1 + sum(part.size for part in parts))


def _combined(symbol: str, operands: tuple[Expression, ...], kind: Kind) -> Expression:
    """The expression of an operation. Warm-up lengths, which are sums and maxima, get a short normal form."""
    if kind == "i" and symbol == "max":
        return _of_terms(_largest_terms(_terms(operands[0]), _terms(operands[1])))
    if kind == "i" and symbol in ("+", "-"):
        left, right = operands
        if symbol == "+" and left.operation == "constant":
            left, right = right, left
        if right.operation == "constant":
            offset = right.operands[0]
            return _of_terms(_shifted(_terms(left), offset if symbol == "+" else -offset))
    return Expression(symbol, operands, kind, 1 + sum(operand.size for operand in operands))


def _kind(value: Number) -> Kind:
    return "f" if isinstance(value, float) else "i"


def traceable(value: Any) -> bool:
    """Whether a parameter can be traced: a Python int or float (no bool, no numpy number) of moderate size."""
    return type(value) is float or (type(value) is int and abs(value) <= EXACT)
