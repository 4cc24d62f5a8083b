"""Numbers: what Python computes with them, as expressions of the kernel."""

from __future__ import annotations

import ast
import dataclasses
import enum
import operator
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.emit import Slot
from engine.compiled.frames import Never
from engine.compiled.loops import Loops
from engine.compiled.values import (
    BOOL,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    NUMERIC,
    TIME,
    TIMEDELTA,
    Items,
    Number,
    Static,
    Text,
    Value,
    Vector,
    describe,
    is_enum,
    plain_member,
)

BINARY: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", operator.pow),
    ast.BitAnd: ("&", operator.and_),
    ast.BitOr: ("|", operator.or_),
}


MOMENTS = frozenset({DATETIME, DATE, TIME, TIMEDELTA})


class Arithmetic(Loops):
    """Evaluates arithmetic."""

    printable: Callable[..., None]

    is_line: Callable[[Any], bool]
    line_value: Callable[[Any, Value], Value]
    attribute: Callable[[Value, str], Value]
    item: Callable[[Value, Any], Value]
    call: Callable[[ast.Call], Value]
    moment: Callable[[Any], Number | None]
    contains: Callable[[Value, Value], Value]
    heap_sites: set[Hashable]
    want_object: Callable[[Hashable], None]
    new_list: Callable[..., Number]
    push: Callable[[Number, Value], None]
    extend: Callable[[Number, Value], None]
    boxable: Callable[[Value], bool]
    boxed: Callable[[Value], Number | Static]
    is_object: Callable[[Value], bool]
    equal_objects: Callable[[Value, Value], Value]
    enum_value: Callable[[Number], Number]
    effects: int
    vector_operation: Callable[[str, Value, Value], Value]
    entry_slots: Callable[[Any], list[Slot]]
    sites: dict[Hashable, int]
    is_data: Callable[[Any], bool]
    append: Callable[[Any, Value], None]
    new_type: Callable[[Any], Value]
    kept: Callable[[list[tuple[Value, Value]], Hashable], Value]

    def as_number(self, value: Value) -> Number:
        """A number's expression; a line stands for its value now. None in it is an exception in Python."""
        if isinstance(value, Static):
            if self.is_line(value.value):
                value = self.line_value(value.value, Static(0))
            elif value.value is None:
                raise Never("computes with None")
            elif isinstance(value.value, enum.Enum):
                value = plain_member(value)
            else:
                moment = self.moment(value.value)
                if moment is not None:
                    return moment
                if not isinstance(value.value, (int, float, str)) or value.value is None:
                    raise self.refuse(f"computes with {describe(value)}")
        if isinstance(value, Static):
            return self.out.number(value)
        if isinstance(value, Number):
            if is_enum(value.type) and issubclass(self.out.enum_in(value.type), (str, int)):
                return self.enum_value(value)
            return value
        raise self.refuse(f"computes with {describe(value)}")

    def present(self, value: Value) -> Number:
        """A number that is not None; where it is, Python would raise."""
        number = self.as_number(value)
        if number.none is None:
            return number
        return Number(
            f"checked({number.code}, {number.none}, error)", number.type, snap=number.snap, exact=number.exact
        )

    def floating(self, value: Value) -> str:
        """The expression as a float."""
        number = self.present(value)
        if number.type not in NUMERIC:
            raise self.refuse(f"computes with a {number.type}")
        return self.out.coerced(number, FLOAT)[0]

    def whole_number(self, value: Value) -> str:
        """The expression as a whole number."""
        number = self.present(value)
        if number.type not in (INT, BOOL):
            raise self.refuse(f"uses a {number.type} where Python wants a whole number")
        return self.out.coerced(number, INT)[0]

    def at_binop(self, node: ast.BinOp) -> Value:
        """Arithmetic."""
        return self.binary(type(node.op), self.evaluate(node.left), self.evaluate(node.right))

    def binary(self, kind: type, left: Value, right: Value) -> Value:
        """`left op right`."""
        if kind not in BINARY:
            raise self.refuse(f"uses the operator {kind.__name__}")
        symbol, function = BINARY[kind]
        if isinstance(left, Vector) or isinstance(right, Vector):
            return self.vector_operation(symbol, left, right)
        if (
            isinstance(left, (Static, Text))
            and isinstance(right, (Static, Items, Text, Number))
            and (isinstance(left, Text) or isinstance(left.value, str))
        ):
            return self.text_operation(symbol, left, right)
        if isinstance(left, Items) and isinstance(right, Items) and symbol == "+":
            return Items(left.values + right.values, "list" if left.site or right.site else None)
        if (
            isinstance(left, Static)
            and isinstance(right, Static)
            and not self.is_line(left.value)
            and not self.is_line(right.value)
        ):
            try:
                return Static(function(left.value, right.value))
            except Exception as error:
                raise self.refuse(f"{type(error).__name__}: {error}") from error
        a, b = self.present(left), self.present(right)
        if a.type in MOMENTS or b.type in MOMENTS:
            return self.moment_operation(symbol, a, b)
        if a.type not in NUMERIC or b.type not in NUMERIC:
            raise self.refuse(f"computes with a {a.type} and a {b.type}")
        found = self.arithmetic(symbol, a, b)
        return dataclasses.replace(found, exact=found.type == FLOAT and self.is_exact(a) and self.is_exact(b))

    def is_exact(self, number: Number) -> bool:
        """Whether arithmetic of floats with this number gives floats, in Python too."""
        return number.exact or (number.type != FLOAT and not self.out.numpy)

    def text_operation(self, symbol: str, left: Value, right: Value) -> Value:
        """Strings are put together to be printed."""
        if isinstance(left, Static) and isinstance(right, Static):
            try:
                return Static(
                    BINARY[{"+": ast.Add, "%": ast.Mod, "*": ast.Mult}[symbol]][1](left.value, right.value)
                )
            except (KeyError, TypeError, ValueError) as error:
                raise self.refuse(f"computes with a string: {error}") from error
        if symbol == "%":
            for part in right.values if isinstance(right, Items) else (right,):
                self.printable(part, formatted=True)
        if symbol not in "+%*":
            raise self.refuse("computes with a string")
        return Text()

    def arithmetic(self, symbol: str, a: Number, b: Number) -> Number:
        """Two numbers, with Python's meaning of the operator."""
        whole = a.type in (INT, BOOL) and b.type in (INT, BOOL)
        kind = INT if whole else FLOAT
        left, right = (self.out.coerced(part, kind)[0] for part in (a, b))
        if symbol == "*" and whole:
            return Number(f"product({left}, {right}, error)", INT)
        if symbol in ("+", "-", "*"):
            return Number(f"({left} {symbol} {right})", kind)
        if symbol in ("&", "|"):
            if not whole:
                raise self.refuse(f"uses {symbol} on a float")
            if a.type == BOOL and b.type == BOOL:
                return Number(f"({a.code} {symbol} {b.code})", BOOL)
            return Number(f"({left} {symbol} {right})", INT)
        if symbol == "/":
            left, right = (self.out.coerced(part, FLOAT)[0] for part in (a, b))
            if self.plain_divisor(b):
                return Number(f"({left} / {right})", FLOAT)
            return Number(f"divide({left}, {right}, error)", FLOAT)
        if symbol == "**":
            if whole:
                return Number(f"integer_power({left}, {right}, error)", INT)
            return Number(f"power({left}, {right}, error)", FLOAT)
        name = "floor_divide" if symbol == "//" else "modulo"
        return Number(f"{name}({left}, {right}, error)", kind)

    @staticmethod
    def plain_divisor(number: Number) -> bool:
        """Whether an expression is a literal other than zero."""
        try:
            return float(number.code.strip("()")) != 0
        except ValueError:
            return False

    def moment_operation(self, symbol: str, a: Number, b: Number) -> Number:
        """Dates and times: differences, and moving by a timedelta."""
        if symbol == "-" and a.type == b.type and a.type in (DATETIME, DATE, TIMEDELTA):
            scale = " * 86400000000" if a.type == DATE else ""
            return Number(f"(({a.code} - {b.code}){scale})", TIMEDELTA)
        if symbol in "+-" and b.type == TIMEDELTA and a.type in (DATETIME, TIMEDELTA):
            return Number(f"({a.code} {symbol} {b.code})", a.type)
        if symbol in "+-" and b.type == TIMEDELTA and a.type == DATE:
            return Number(f"({a.code} {symbol} ({b.code} // 86400000000))", DATE)
        if symbol == "+" and a.type == TIMEDELTA:
            return self.moment_operation(symbol, b, a)
        if symbol == "/" and a.type == b.type == TIMEDELTA:
            return Number(f"divide(float({a.code}), float({b.code}), error)", FLOAT)
        raise self.refuse(f"computes with a {a.type} and a {b.type}")

    def at_unaryop(self, node: ast.UnaryOp) -> Value:
        """`-x`, `+x`, `not x`."""
        if isinstance(node.op, ast.Not):
            return self.condition(node)
        value = self.evaluate(node.operand)
        if (
            isinstance(value, Static)
            and not self.is_line(value.value)
            and isinstance(value.value, (int, float))
        ):
            return Static(-value.value if isinstance(node.op, ast.USub) else +value.value)
        if isinstance(value, Vector) and isinstance(node.op, ast.USub):
            return self.vector_operation("*", value, Static(-1))
        number = self.present(value)
        if number.type not in NUMERIC and number.type != TIMEDELTA:
            raise self.refuse(f"computes with a {number.type}")
        kind = INT if number.type == BOOL else number.type
        code = self.out.coerced(number, kind)[0]
        if isinstance(node.op, ast.USub):
            return Number(f"(-{code})", kind, exact=number.exact)
        if isinstance(node.op, ast.UAdd):
            return Number(code, kind, exact=number.exact)
        raise self.refuse("uses ~")
