"""numpy arrays made in the run: of values of a line, of lists, and what numpy computes of them element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.compiled.sums import Sums
from engine.compiled.ufuncs import NUMBERS
from engine.compiled.values import (
    BOOL,
    FLOAT,
    INT,
    Arguments,
    Items,
    Keywords,
    Method,
    Number,
    Sequence,
    Static,
    Value,
    Vector,
    Window,
    describe,
    is_heap,
)

LISTS = (Items, Sequence, Window)
ELEMENTWISE = {
    "sqrt": "np.sqrt({0})",
    "abs": "np.abs({0})",
    "absolute": "np.abs({0})",
    "fabs": "np.abs({0})",
    "square": "({0} * {0})",
    **{function.__name__: f"ufunc_of({number}, {{0}})" for function, number in NUMBERS.items()},
}
REDUCTIONS = frozenset(
    [
        "mean",
        "average",
        "sum",
        "std",
        "var",
        "max",
        "amax",
        "min",
        "amin",
        "ptp",
        "argmax",
        "argmin",
        "median",
        "any",
        "all",
        "cumsum",
        "diff",
        "size",
    ]
)
"""Functions and methods of numpy over one array."""
COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


class Vectors(Sums):
    """Computes with numpy arrays."""

    slice: Callable[[Value, list[Value | None]], Value]

    def vector(self, value: Value) -> Vector:
        """A list, values of a line or an array as an array of its own."""
        if isinstance(value, Vector):
            return value
        if not isinstance(value, LISTS) and not (isinstance(value, Number) and is_heap(value.type)):
            raise self.refuse(f"makes an array of {describe(value)}")
        if isinstance(value, Items):
            return self.vector_of_items(value)
        if isinstance(value, Number) and is_heap(value.type) and self.elements(value) is not None:
            return self.vector_of_items(Items(tuple(self.elements(value) or ())))
        code, kind = self.array(value)
        if kind not in (FLOAT, INT):
            raise self.refuse(f"makes an array of {describe(value)}")
        fixed = isinstance(value, Window)
        return Vector(self.out.temporary(code if fixed else f"{code}.copy()"), kind)

    def vector_of_items(self, value: Items) -> Vector:
        """An array of numbers written down one by one."""
        numbers = [self.present(part) for part in value.values]
        kinds = {number.type for number in numbers}
        if not numbers or not kinds <= {FLOAT, INT}:
            raise self.refuse("makes an array of something other than numbers")
        kind = FLOAT if FLOAT in kinds else INT
        codes = ", ".join(self.out.coerced(number, kind)[0] for number in numbers)
        return Vector(self.out.temporary(f"np.array([{codes}])"), kind)

    def operand(self, value: Value) -> tuple[str, str, bool]:
        """One side of an operation: its expression, its type, and whether it is an array."""
        if isinstance(value, LISTS):
            value = self.vector(value)
        if isinstance(value, Vector):
            return value.code, value.type, True
        if isinstance(value, Static) and type(value.value) not in (int, float):
            raise self.refuse(f"computes with an array and {describe(value)}")
        number = self.present(value)
        if number.type not in (FLOAT, INT):
            raise self.refuse(f"computes with an array and a {number.type}")
        return self.out.temporary(number.code), number.type, False

    def operands(self, left: Value, right: Value) -> tuple[tuple[str, str], tuple[str, str]]:
        """Both sides of an operation; two arrays have to be equally long."""
        self.out.uses_numpy()
        (one, kind, many), (two, other, more) = self.operand(left), self.operand(right)
        if many and more:
            self.same_length(one, two)
        return (one, kind), (two, other)

    def same_length(self, one: str, two: str) -> None:
        """Arrays of different lengths end the run, as numpy's exception would."""
        with self.writing(self.out.block(f"if len({one}) != len({two}):")):
            self.out.line("fault(error)")
            self.out.line("return 1")

    def made(self, code: str, kind: str) -> Vector:
        """An array in a variable of its own."""
        return Vector(self.out.temporary(code), kind)

    def vector_operation(self, symbol: str, left: Value, right: Value) -> Value:
        """`left symbol right` where one side is an array."""
        if symbol == "**":
            return self.vector_power(left, right)
        (one, kind), (two, other) = self.operands(left, right)
        if symbol in COMPARISONS:
            return self.made(f"({one} {symbol} {two})", BOOL)
        if symbol in ("&", "|") and kind == other == BOOL:
            return self.made(f"({one} {symbol} {two})", BOOL)
        if symbol not in ("+", "-", "*", "/") or BOOL in (kind, other):
            raise self.refuse(f"uses {symbol} on an array")
        return self.made(f"({one} {symbol} {two})", FLOAT if symbol == "/" or FLOAT in (kind, other) else INT)

    def vector_power(self, left: Value, right: Value) -> Value:
        """Squares and roots, which numpy computes exactly."""
        power = self.known(right, "a power") if not isinstance(right, Vector) else None
        if not isinstance(left, Vector) or left.type == BOOL:
            raise self.refuse("uses ** on an array")
        if type(power) is int and power == 2:
            return self.made(f"({left.code} * {left.code})", left.type)
        if power == 0.5:
            return self.made(f"np.sqrt({left.code})", FLOAT)
        raise self.refuse(f"takes an array to the power of {power}")

    def vector_item(self, owner: Vector, index: Any) -> Value:
        """`array[index]`, `array[a:b]`, `array[mask]`."""
        if isinstance(index, list):
            if index[2] is not None:
                raise self.refuse("takes a part of an array in steps")
            part = self.slice(Window(owner.code, "0", f"len({owner.code})", owner.type), index)
            return self.made(f"{part.array}[{part.start}:{part.stop}]", owner.type)
        if isinstance(index, Vector):
            if index.type != BOOL:
                raise self.refuse("looks into an array by numbers")
            self.same_length(owner.code, index.code)
            return self.made(f"{owner.code}[{index.code}]", owner.type)
        if owner.type == BOOL:
            raise self.refuse("looks into an array of truths")
        code = f"item({owner.code}, len({owner.code}), {self.whole_number(index)}, error)"
        return Number(self.out.temporary(code), owner.type)

    def vector_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of an array."""
        if method.name in REDUCTIONS:
            return self.vector_call(method.name, [method.owner, *arguments], keywords)
        if method.name == "copy" and not arguments:
            return self.made(f"{method.owner.code}.copy()", method.owner.type)
        if method.name == "tolist" and not arguments and method.owner.type != BOOL:
            return Window(
                method.owner.code,
                "0",
                f"len({method.owner.code})",
                method.owner.type,
                method.owner.type == FLOAT,
            )
        raise self.refuse(f"calls {method.name}() of an array")

    def vector_call(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """A function of numpy over an array."""
        self.out.uses_numpy()
        if set(keywords) - {"ddof"} or (keywords and name not in ("std", "var")) or len(arguments) != 1:
            raise self.refuse(f"calls numpy.{name} with more than an array")
        owner = self.vector(arguments[0])
        code = owner.code
        if owner.type == BOOL:
            return self.of_truths(name, code)
        if name in ELEMENTWISE:
            source = f"{code}.astype(np.float64)" if owner.type == INT else code
            kind = owner.type if name in ("abs", "absolute", "square") else FLOAT
            return self.made(ELEMENTWISE[name].format(source if kind == FLOAT else code), kind)
        if name in ("std", "var"):
            ddof = int(self.known(keywords.get("ddof", Static(0)), "ddof"))
            function = "deviation" if name == "std" else "variance"
            return Number(self.out.temporary(f"{function}({code}, {ddof})"), FLOAT)
        if name in ("any", "all"):
            return Number(f"np.{name}({code} != 0)", BOOL)
        if name == "diff":
            return self.made(f"{code}[1:] - {code}[:-1]", owner.type)
        if name == "cumsum":
            return self.made(f"np.cumsum({code})", owner.type)
        if name == "isnan":
            return self.made(f"np.isnan({code})", BOOL)
        largest, smallest = (f"extreme_of({code}, {sign}, error)" for sign in (1, -1))
        found = {
            "mean": (f"mean({code})", FLOAT),
            "average": (f"mean({code})", FLOAT),
            "sum": (f"pairwise({code})", FLOAT) if owner.type == FLOAT else (f"np.sum({code})", INT),
            "max": (largest, owner.type),
            "amax": (largest, owner.type),
            "min": (smallest, owner.type),
            "amin": (smallest, owner.type),
            "ptp": (f"({largest} - {smallest})", owner.type),
            "argmax": (f"extreme_place({code}, 1, error)", INT),
            "argmin": (f"extreme_place({code}, -1, error)", INT),
            "median": (f"middle_of({code})", FLOAT),
        }.get(name)
        if found is None:
            raise self.refuse(f"calls numpy.{name}")
        return Number(self.out.temporary(found[0]), found[1])

    def of_truths(self, name: str, code: str) -> Value:
        """What is asked of an array of truths."""
        if name in ("any", "all"):
            return Number(self.out.temporary(f"np.{name}({code})"), BOOL)
        if name == "sum":
            return Number(self.out.temporary(f"np.sum({code})"), INT)
        if name == "mean":
            return Number(
                self.out.temporary(f"divide(float(np.sum({code})), float(len({code})), error)"), FLOAT
            )
        raise self.refuse(f"calls numpy.{name} of truths")

    def vector_range(self, arguments: Arguments) -> Value:
        """`numpy.arange` of whole numbers."""
        self.out.uses_numpy()
        codes = ", ".join(self.whole_number(value) for value in arguments)
        return self.made(f"np.arange({codes})", INT)
