"""The reductions people use of numpy, in numpy's own order of summation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.values import (
    FLOAT,
    INT,
    NONE,
    Arguments,
    Keywords,
    Method,
    Number,
    Sequence,
    Value,
    Vector,
    Window,
    describe,
    is_heap,
)
from engine.compiled.vectors import LISTS, Vectors


class NumpyCalls(Vectors):
    """Calls of numpy."""

    call_abs: Callable[[Arguments, Keywords], Value]

    walked: dict[Any, None]
    dropped: list[tuple[str, int, str]]
    market_call: Callable[[Any, str, Arguments, Keywords], Value | None]
    value_method: Callable[[Method, Arguments, Keywords], Value]
    static_method: Callable[[Method, Arguments, Keywords], Value]
    has_attribute: Callable[[Value, str], bool]
    order_class: Any
    make: Callable[[type, Arguments, Keywords], Value]
    member_of: Callable[[Any, Value], Value]
    replaced: Callable[[Arguments, Keywords], Value]
    class_of: Callable[[Value], type | None]
    count_of: Callable[[Number], str]
    words_of: Callable[[Number], tuple[str, str]]
    list_of: Callable[..., Number]
    filtered: Callable[[list[tuple[Value, Value]], Hashable], Value]
    sorted_datas: Callable[[list[Value], list[Value], bool], Value]
    copied: Callable[[Sequence], Value]

    def array(self, value: Value) -> tuple[str, str]:
        """Values of the run as an array's expression, and their type."""
        if isinstance(value, Sequence):
            return f"{value.array}[:{value.count}]", value.type
        if isinstance(value, Vector):
            return value.code, value.type
        if isinstance(value, Window):
            return f"{value.array}[{value.start}:{value.stop}]", value.type
        if isinstance(value, Number) and is_heap(value.type) and self.elements(value) is None:
            code, kind = self.words_of(value)
            return self.out.temporary(code), kind
        parts = self.elements(value)
        if parts:
            codes = ", ".join(self.floating(part) for part in parts)
            return self.out.temporary(f"np.array([{codes}])"), FLOAT
        raise self.refuse(f"computes with {describe(value)}")

    def call_numpy(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """Functions of numpy: over arrays in its own order of summation, and over single numbers."""
        self.out.uses_numpy()
        if name in ("array", "asarray") and len(arguments) == 1 and not keywords:
            return self.vector(arguments[0])
        if name == "arange" and 1 <= len(arguments) <= 2 and not keywords:
            return self.vector_range(arguments)
        first = arguments[0] if arguments else NONE
        if isinstance(first, (Vector, *LISTS)) or (isinstance(first, Number) and is_heap(first.type)):
            return self.vector_call(name, arguments, keywords)
        if any(isinstance(value, (Vector, *LISTS)) for value in arguments) or keywords:
            raise self.refuse(f"calls numpy.{name} with more than numbers")
        return self.numpy_number(name, arguments)

    def numpy_number(self, name: str, arguments: Arguments) -> Value:
        """A function of numpy over single numbers."""
        if name in ("abs", "absolute", "fabs") and len(arguments) == 1:
            return self.call_abs(arguments, {})
        functions = {"sign": 1, "square": 1, "floor": 1, "ceil": 1, "maximum": 2, "minimum": 2, "clip": 3}
        if functions.get(name) != len(arguments):
            raise self.refuse(f"calls numpy.{name}")
        numbers = [self.present(value) for value in arguments]
        if any(number.type not in (FLOAT, INT) for number in numbers):
            raise self.refuse(f"calls numpy.{name}")
        whole = all(number.type == INT for number in numbers)
        if whole and name in ("floor", "ceil"):
            raise self.refuse(f"calls numpy.{name} of a whole number")
        kind = INT if whole else FLOAT
        codes = [self.out.temporary(self.out.coerced(number, kind)[0]) for number in numbers]
        found = {
            "sign": "sign_of({0})",
            "square": "({0} * {0})",
            "floor": "np.floor({0})",
            "ceil": "np.ceil({0})",
            "maximum": "larger_of({0}, {1})",
            "minimum": "smaller_of({0}, {1})",
            "clip": "smaller_of(larger_of({0}, {1}), {2})",
        }[name].format(*codes)
        return Number(self.out.temporary(found), kind)
