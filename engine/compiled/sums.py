"""The builtin `sum`: as the interpreter at hand adds, which since Python 3.12 keeps what rounding loses."""

from __future__ import annotations

import ast
from collections.abc import Callable

from engine.compiled.expressions import Expressions
from engine.compiled.values import BOOL, COMPENSATES, FLOAT, INT, NUMERIC, Number, Static, Value

UNSURE = (
    "sums numbers that may not all be floats, which Python 3.12 adds in another way; float() makes them sure"
)


class Sums(Expressions):
    """`sum` over parts at hand, and over arrays."""

    elements: Callable[[Value], list[Value] | None]
    array: Callable[[Value], tuple[str, str]]
    elements_exact: Callable[[Value], bool]

    def call_sum(self, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """sum(), from left to right."""
        start = arguments[1] if len(arguments) > 1 else keywords.get("start", Static(0))
        parts = self.elements(arguments[0])
        if parts is None:
            return self.sum_of_array(arguments[0], start)
        from_zero = isinstance(start, Static) and type(start.value) is int and start.value == 0
        if COMPENSATES and len(parts) > (2 if from_zero else 1):
            compensated = self.compensated_sum(parts if from_zero else [start, *parts])
            if compensated is not None:
                return compensated
        found = start
        for part in parts:
            found = self.binary(ast.Add, found, part)
        return found

    def compensated_sum(self, terms: list[Value]) -> Value | None:
        """The sum of three or more as Python 3.12 adds floats; None where it adds as `+` does."""
        lines = [isinstance(term, Static) and self.is_line(term.value) for term in terms]
        if all(lines):
            return None
        numbers = [self.present(term) for term in terms]
        if not any(number.type == FLOAT for number in numbers) or any(
            number.type not in NUMERIC for number in numbers
        ):
            return None
        if any(lines) or not all(map(self.is_exact, numbers)):
            raise self.refuse(UNSURE)
        first = next(place for place, number in enumerate(numbers) if number.type == FLOAT)
        found: Value = Static(0)
        for number in numbers[: first + 1]:  # whole numbers before the first float, and it
            found = self.binary(ast.Add, found, number)
        total, lost = self.out.temporary(self.floating(found)), "0.0"
        for number in numbers[first + 1 :]:
            added = self.out.temporary(self.floating(number))
            larger = self.out.temporary(f"{total} + {added}")
            if number.type == FLOAT:
                lost = self.out.temporary(f"{lost} + rounding({total}, {added}, {larger})")
            total = larger
        return Number(f"settled({total}, {lost})", FLOAT, exact=True)

    def sum_of_array(self, value: Value, start: Value) -> Value:
        """The sum of a list or of values of a line."""
        values, kind = self.array(value)
        kind = INT if kind in ("empty", BOOL) else kind
        first = self.present(start)
        if kind not in NUMERIC or first.type not in NUMERIC:
            raise self.refuse("sums something other than numbers")
        sure = first.exact and first.type == FLOAT
        whole = kind == INT and first.type != FLOAT
        code = self.out.coerced(first, INT if whole else FLOAT)[0]
        if not COMPENSATES or kind == INT:
            return Number(f"total({values}, {code})", INT if whole else FLOAT, exact=sure)
        from_zero = isinstance(start, Static) and start.value == 0
        if not self.elements_exact(value) or not (from_zero or sure):
            raise self.refuse(UNSURE)
        return Number(f"compensated({values}, {code})", FLOAT, exact=True)
