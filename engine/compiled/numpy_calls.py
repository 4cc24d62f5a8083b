"""The reductions people use of numpy, in numpy's own order of summation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.sums import Sums
from engine.compiled.values import (
    FLOAT,
    Arguments,
    Items,
    Keywords,
    Method,
    Number,
    Sequence,
    Static,
    Value,
    Window,
    describe,
    is_heap,
)


class NumpyCalls(Sums):
    """Calls of numpy."""

    call_list: Callable[[Arguments, Keywords], Value]
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
        """The reductions people use of numpy, in numpy's own order of summation."""
        self.out.uses_numpy()
        simple = {"mean": "mean", "sum": "pairwise", "average": "mean"}
        if name in ("array", "asarray") and len(arguments) == 1:
            return (
                self.call_list(arguments, {})
                if isinstance(arguments[0], (Sequence, Window))
                else Items(tuple(self.elements(arguments[0]) or ()))
            )
        if name in ("abs", "absolute", "fabs"):
            return self.call_abs(arguments, {})
        if name in ("maximum", "minimum", "sign", "clip", "where"):
            raise self.refuse(f"calls numpy.{name}")
        if keywords and set(keywords) != {"ddof"}:
            raise self.refuse(f"calls numpy.{name} with {', '.join(keywords)}")
        if name in simple and len(arguments) == 1:
            return Number(f"{simple[name]}({self.array(arguments[0])[0]})", FLOAT)
        if name in ("std", "var") and len(arguments) == 1:
            ddof = self.known(keywords.get("ddof", Static(0)), "ddof")
            return Number(
                f"{'deviation' if name == 'std' else 'variance'}({self.array(arguments[0])[0]}, {int(ddof)})",
                FLOAT,
            )
        if name in ("max", "amax", "min", "amin") and len(arguments) == 1:
            values = self.array(arguments[0])[0]
            return Number(f"checked(np.{name[-3:]}({values}), len({values}) == 0, error)", FLOAT)
        raise self.refuse(f"calls numpy.{name}")
