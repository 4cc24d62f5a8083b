"""Expressions: computed now where everything is known, else written as an expression of the kernel."""

from __future__ import annotations

import ast
import dataclasses
import enum
import math
import operator
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.emit import LIST, RECORD, TUPLE, Slot, Tree, is_atom
from engine.compiled.traced import Traced
from engine.compiled.values import (
    BOOL,
    DATA,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    NUMERIC,
    ORDER,
    STR,
    TIME,
    TIMEDELTA,
    UNKNOWN,
    Closure,
    Either,
    Info,
    Items,
    Mapping,
    Method,
    Number,
    Position,
    Record,
    Sequence,
    Static,
    Text,
    Trade,
    Undefined,
    Value,
    Window,
    is_enum,
    is_handle,
    is_heap,
    literal,
)
from engine.compiled.walk import NEVER, Never, Walk, describe

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
COMPARE: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
MOMENTS = frozenset({DATETIME, DATE, TIME, TIMEDELTA})
NONE = Static(None)


class Expressions(Walk):
    """Evaluates expressions to values."""

    is_line: Callable[[Any], bool]
    line_value: Callable[[Any, Value], Value]
    attribute: Callable[[Value, str], Value]
    item: Callable[[Value, Any], Value]
    call: Callable[[ast.Call], Value]
    moment: Callable[[Any], Number | None]
    contains: Callable[[Value, Value], Value]

    def evaluate(self, node: ast.expr) -> Value:
        """The value of an expression; its side effects are written out on the way."""
        method = getattr(self, f"at_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.refuse(f"uses {type(node).__name__.lower()}", node)
        value: Value = method(node)
        return value

    # -- leaves

    def at_constant(self, node: ast.Constant) -> Value:
        """A literal."""
        return Static(node.value)

    def at_name(self, node: ast.Name) -> Value:
        """A name of the call, of the calls around it, of the module, or built in."""
        frame = self.frame
        while frame is not None:
            if node.id in frame.env:
                value = frame.env[node.id]
                if isinstance(value, Undefined):
                    raise self.refuse(value.reason, node)
                return value
            if frame.outer is None:
                break
            frame = frame.outer
        if node.id in frame.scope:
            return Static(frame.scope[node.id])
        builtins = frame.scope.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        if node.id in builtins:
            return Static(builtins[node.id])
        raise self.refuse(f"{node.id} is not set on every way here", node)

    def at_joinedstr(self, node: ast.JoinedStr) -> Value:
        """An f-string: text, whose parts have to be printable."""
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.evaluate(part.value)
                parts.append(value)
                self.printable(value, formatted=part.format_spec is not None)
        if all(
            isinstance(value, Static) and isinstance(value.value, (str, int, type(None))) for value in parts
        ) and not any(
            isinstance(part, ast.FormattedValue) and (part.format_spec or part.conversion > 0)
            for part in node.values
        ):
            texts = iter(parts)
            return Static(
                "".join(
                    str(next(texts).value) if isinstance(p, ast.FormattedValue) else ast.literal_eval(p)
                    for p in node.values
                )
            )
        return Text()

    def printable(self, value: Value, *, formatted: bool) -> None:
        """Printing a None with a number's format raises; everything else prints."""
        if formatted and isinstance(value, Number) and value.none not in (None, "False"):
            self.out.line(f"if {value.none}: fault(error)")

    def at_tuple(self, node: ast.Tuple) -> Value:
        """A tuple display."""
        values: list[Value] = []
        for part in node.elts:
            if isinstance(part, ast.Starred):
                known = self.elements(self.evaluate(part.value))
                if known is None:
                    raise self.refuse("unpacks something of unknown length", node)
                values.extend(known)
            else:
                values.append(self.evaluate(part))
        return Items(tuple(values))

    def at_set(self, node: ast.Set) -> Value:
        """A set display."""
        return Items(tuple(self.evaluate(part) for part in node.elts), "list")

    def at_list(self, node: ast.List) -> Value:
        """A list display; an object where it outlives the call."""
        site = self.place_of(node)
        parts = [
            (
                isinstance(part, ast.Starred),
                self.evaluate(part.value if isinstance(part, ast.Starred) else part),
            )
            for part in node.elts
        ]
        unknown = [value for starred, value in parts if starred and self.elements(value) is None]
        if unknown:
            self.want_object(site)
        if site in self.heap_sites:
            made = self.new_list(site, [])
            for starred, value in parts:
                if starred:
                    self.extend(made, value)
                else:
                    self.push(made, value)
            return made
        values: list[Value] = []
        for starred, value in parts:
            values.extend((self.elements(value) or []) if starred else [value])
        return Items(tuple(values), site)

    def place_of(self, node: ast.expr) -> tuple[Hashable, ...]:
        """Where an expression stands, the same in every pass."""
        return (*self.frame.path, *self.path, node.lineno, node.col_offset)

    heap_sites: set[Hashable]
    want_object: Callable[[Hashable], None]
    new_list: Callable[[Hashable, list[Value]], Number]
    push: Callable[[Number, Value], None]
    extend: Callable[[Number, Value], None]
    boxable: Callable[[Value], bool]
    boxed: Callable[[Value], Number | Static]
    is_object: Callable[[Value], bool]
    equal_objects: Callable[[Value, Value], Value]
    enum_value: Callable[[Number], Number]
    effects: int

    def at_dict(self, node: ast.Dict) -> Value:
        """A dict display with keys known now."""
        found = Mapping({}, self.here())
        for key, part in zip(node.keys, node.values, strict=True):
            if key is None:
                inner = self.evaluate(part)
                found.values.update(self.known_mapping(inner))
                continue
            found.values[self.known(self.evaluate(key), "a key")] = self.evaluate(part)
        return found

    def known_mapping(self, value: Value) -> dict[Any, Value]:
        """The entries of a dict known now."""
        if isinstance(value, Mapping):
            return value.values
        if isinstance(value, Static) and isinstance(value.value, dict):
            return {key: self.item(value, Static(key)) for key in value.value}
        raise self.refuse(f"unpacks {describe(value)}")

    def known(self, value: Value, what: str) -> Any:
        """The Python object, which has to be known now."""
        if isinstance(value, Static):
            return value.value
        if isinstance(value, Number) and value.known is not UNKNOWN:
            return value.known.concrete() if type(value.known) is Traced else value.known
        if isinstance(value, Items):
            return tuple(self.known(part, what) for part in value.values)
        raise self.refuse(f"{what} is computed in the run")

    def at_lambda(self, node: ast.Lambda) -> Value:
        """A function of one expression."""
        return Closure(node, self.frame)

    def at_namedexpr(self, node: ast.NamedExpr) -> Value:
        """`(name := value)`."""
        self.bind(node.target.id, self.evaluate(node.value))
        return self.frame.env[node.target.id]

    def at_attribute(self, node: ast.Attribute) -> Value:
        """`owner.name`."""
        return self.attribute(self.evaluate(node.value), node.attr)

    def at_subscript(self, node: ast.Subscript) -> Value:
        """`owner[index]`."""
        owner = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            parts = [
                None if part is None else self.evaluate(part)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return self.item(owner, parts)
        return self.item(owner, self.evaluate(node.slice))

    def at_call(self, node: ast.Call) -> Value:
        """A call."""
        return self.call(node)

    # -- numbers

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

    # -- truth

    def truth(self, value: Value) -> Value:
        """Whether a value counts as true: a `Static` bool or a BOOL expression."""
        if isinstance(value, Static):
            if self.is_line(value.value):
                return Number(f"({self.as_number(value).code} != 0.0)", BOOL)
            return self.static_truth(value)
        if isinstance(value, Number):
            return self.number_truth(value)
        if isinstance(value, Position):
            return Number(f"(positions[{value.data}].size != 0.0)", BOOL)
        if isinstance(value, Items):
            return Static(bool(value.values))
        if isinstance(value, Mapping):
            return Static(bool(value.values))
        if isinstance(value, Sequence):
            return Number(f"({value.count} != 0)", BOOL)
        if isinstance(value, Window):
            return Number(f"({value.stop} > {value.start})", BOOL)
        if isinstance(value, (Trade, Record, Closure, Method)):
            return Static(True)
        raise self.refuse(f"asks whether {describe(value)} is true")

    def static_truth(self, value: Static) -> Value:
        """A known object; a dict or list the run changes is asked when it runs."""
        thing = value.value
        if isinstance(thing, dict):
            slots = self.entry_slots(thing)
            if slots:
                flags = [f"(not {slot.name}_missing)" if slot.missing else "True" for slot in slots]
                return Number("(" + " or ".join(flags) + ")", BOOL)
        return Static(bool(thing))

    entry_slots: Callable[[Any], list[Slot]]

    def number_truth(self, value: Number) -> Value:
        """None, zero and the empty string are false."""
        if value.type == BOOL:
            test = value.code
        elif is_handle(value.type):
            return self.handle_truth(value)
        elif is_enum(value.type):
            members = list(self.out.enum_in(value.type))
            if not all(map(bool, members)):
                raise self.refuse("asks whether a member of an enumeration is true")
            test = "True"
        elif value.type == FLOAT:
            test = f"({value.code} != 0.0)"
        elif value.type in (INT, TIMEDELTA):
            test = f"({value.code} != 0)"
        elif value.type == STR:
            test = f"({value.code} != {self.out.string('')})"
        else:
            test = "True"
        return Number(test if value.none is None else f"(not {value.none} and {test})", BOOL)

    def handle_truth(self, value: Number) -> Number | Static:
        """An order is true, an object as its class says, a list or tuple that is not empty."""
        present = value.none == "False"
        if value.type != ORDER:
            shape = self.out.shape_in(value.type)
            if shape.kind == LIST:
                return Number(f"({value.code} > 0 and heap[{value.code} + 1] != 0)", BOOL)
            if shape.kind == TUPLE and not shape.size:
                return Static(False)
            if shape.kind == RECORD and (hasattr(shape.cls, "__bool__") or hasattr(shape.cls, "__len__")):
                raise self.refuse(f"asks whether a {shape.cls.__name__} is true")
        return Static(True) if present else Number(f"({value.code} >= 0)", BOOL)

    def at_boolop(self, node: ast.BoolOp) -> Value:
        """`and`, `or`: the right side is computed only where Python would."""
        is_and = isinstance(node.op, ast.And)
        value = self.evaluate(node.values[0])
        for following in node.values[1:]:
            if isinstance(value, Text):
                self.evaluate(following)
                return value
            condition = self.truth(value)
            if isinstance(condition, Static):
                if bool(condition.value) != is_and:
                    return value
                value = self.evaluate(following)
                continue
            value = self.joined_operand(value, condition, following, is_and=is_and)
        return value

    def joined_operand(self, left: Value, condition: Number, right: ast.expr, *, is_and: bool) -> Value:
        """One `and` or `or` whose left side is known only in the run."""
        tree: Tree = []
        other = self.attempt(tree, lambda: self.evaluate(right))
        if other is NEVER:
            self.out.tree.append((f"if {condition.code if is_and else f'not {condition.code}'}:", tree))
            return left
        both = isinstance(left, Number) and left.type == BOOL and left.none is None
        if both and isinstance(other, Number) and other.type == BOOL and other.none is None:
            return self.joined_truth(condition, tree, other, is_and=is_and)
        second: tuple[Callable[[], Value], Tree] = (lambda: other), tree
        first: tuple[Callable[[], Value], Tree] = (lambda: left), []
        return self.choose(condition, second, first) if is_and else self.choose(condition, first, second)

    def joined_truth(self, left: Number, tree: Tree, right: Value, *, is_and: bool) -> Number:
        """`left and right` of two truths; what computing the right one takes is in `tree`."""
        code = str(bool(right.value)) if isinstance(right, Static) else right.code
        if not any(line != [] for line in tree):
            return Number(f"({left.code} {'and' if is_and else 'or'} {code})", BOOL)
        name = self.out.temporary(left.code)
        self.out.tree.append((f"if {name if is_and else f'not {name}'}:", [*tree, f"{name} = {code}"]))
        return Number(name, BOOL)

    def condition(self, node: ast.expr) -> Value:
        """The truth of an expression, where its value is of no interest."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.negated(self.condition(node.operand), True)
        if not isinstance(node, ast.BoolOp):
            return self.truth(self.evaluate(node))
        is_and = isinstance(node.op, ast.And)
        found = self.condition(node.values[0])
        for following in node.values[1:]:
            if isinstance(found, Static):
                if bool(found.value) != is_and:
                    return found
                found = self.condition(following)
                continue
            tree: Tree = []
            right = self.attempt(tree, lambda following=following: self.condition(following))  # type: ignore[misc]
            if right is NEVER:
                self.out.tree.append((f"if {found.code if is_and else f'not {found.code}'}:", tree))
                return Static(not is_and)
            found = self.joined_truth(found, tree, right, is_and=is_and)
        return found

    def choose(
        self,
        condition: Number,
        then: tuple[Callable[[], Value], Tree],
        other: tuple[Callable[[], Value], Tree],
    ) -> Value:
        """One of two values that were already computed into their trees."""
        first, second = then[0](), other[0]()
        if first == second and type(first) is type(second) and not then[1] and not other[1]:
            return first
        a, b = self.scalar(first), self.scalar(second)
        if (a is None or b is None) and self.boxable(first) and self.boxable(second):
            with self.writing(then[1]):
                a = self.boxed(first)
            with self.writing(other[1]):
                b = self.boxed(second)
        pure = not any(line != [] for tree in (then[1], other[1]) for line in tree)
        if a is not None and b is not None:
            slot = self.out.slot(("choice", *self.site()), "choice")
            self.out.widen(slot, a)
            self.out.widen(slot, b)
            if (
                pure
                and slot.type is not None
                and not slot.none
                and not slot.snap
                and not is_handle(slot.type)
            ):
                return Number(
                    f"({self.out.coerced(a, slot.type)[0]} if {condition.code} else {self.out.coerced(b, slot.type)[0]})",
                    slot.type,
                    exact=slot.number().exact,
                )
            for header, value, tree in ((f"if {condition.code}:", a, then[1]), ("else:", b, other[1])):
                body = list(tree)
                self.out.assign(slot, value, body)
                self.out.tree.append((header, body))
            number = slot.number()
            return self.held(number)
        raise self.refuse(f"chooses between {describe(first)} and {describe(second)}")

    def scalar(self, value: Value) -> Number | Static | None:
        """The value as something a variable can hold, None when there is no such thing."""
        if isinstance(value, Number):
            return value
        if isinstance(value, Static):
            if self.is_line(value.value):
                return None
            moment = self.moment(value.value)
            if moment is not None:
                return moment
            if value.value is None or isinstance(value.value, (bool, int, float, str, enum.Enum)):
                return value
        return None

    def site(self) -> tuple[Hashable, ...]:
        """Where in the strategy this is, the same in every pass."""
        path, line = (self.frame.path, self.lines.get(id(self.frame), 0)) if self.frames else ((), 0)
        key = (*path, *self.path, line)
        count = self.sites.get(key, 0)
        self.sites[key] = count + 1
        return (*key, count)

    sites: dict[Hashable, int]

    def at_ifexp(self, node: ast.IfExp) -> Value:
        """`a if condition else b`."""
        condition = self.condition(node.test)
        if isinstance(condition, Static):
            return self.evaluate(node.body if condition.value else node.orelse)
        trees: list[Tree] = [[], []]
        values = []
        for tree, part in zip(trees, (node.body, node.orelse), strict=True):
            values.append(self.attempt(tree, lambda part=part: self.evaluate(part)))  # type: ignore[misc]
        first, second = values
        if first is NEVER or second is NEVER:
            return self.only_way(condition, values, trees)
        if isinstance(first, (Method, Closure)) and isinstance(second, (Method, Closure)):
            return Either(self.out.temporary(condition.code), first, second)
        if isinstance(first, Text) or isinstance(second, Text):
            return Text()
        if self.scalar(first) is None or self.scalar(second) is None:
            if (
                isinstance(first, Static)
                and isinstance(second, Static)
                and self.is_line(first.value)
                and self.is_line(second.value)
            ):
                return self.choose(
                    condition, (lambda: self.as_number(first), []), (lambda: self.as_number(second), [])
                )
            if not (self.boxable(first) and self.boxable(second)):
                raise self.refuse(f"chooses between {describe(first)} and {describe(second)}", node)
        return self.choose(condition, (lambda: first, trees[0]), (lambda: second, trees[1]))

    def only_way(self, condition: Number, values: list[Value], trees: list[Tree]) -> Value:
        """`a if condition else b` where computing one of them always raises."""
        if all(value is NEVER for value in values):
            raise Never("computes with None")
        first = values[0] is not NEVER
        code = self.out.temporary(condition.code)
        self.out.tree.append((f"if {f'not {code}' if first else code}:", trees[1 if first else 0]))
        self.out.tree.append(trees[0 if first else 1])
        return values[0 if first else 1]

    def attempt(self, tree: Tree, compute: Callable[[], Value]) -> Value:
        """A value computed into a tree; NEVER where that always raises."""
        with self.writing(tree):
            try:
                return compute()
            except Never:
                self.out.line("fault(error)")
                self.out.line("return 1")
                return NEVER

    # -- comparisons

    def at_compare(self, node: ast.Compare) -> Value:
        """Comparisons, chained ones too."""
        left = self.evaluate(node.left)
        found: Value = Static(True)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self.held_if(self.evaluate(part), len(node.ops) > 1)
            test = self.compare(op, left, right)
            if isinstance(found, Static):
                if not found.value:
                    return found
                found = test
            elif isinstance(test, Static):
                found = found if test.value else Static(False)
            else:
                found = Number(f"({found.code} and {test.code})", BOOL)
            left = right
        return found

    def held_if(self, value: Value, wanted: bool) -> Value:
        """The value in a variable, where it will be used twice."""
        return self.held(value) if wanted else value

    def compare(self, op: ast.cmpop, left: Value, right: Value) -> Value:
        """One comparison."""
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self.negated(self.same(left, right), isinstance(op, ast.IsNot))
        if isinstance(op, (ast.In, ast.NotIn)):
            return self.negated(self.contains(right, left), isinstance(op, ast.NotIn))
        if isinstance(op, (ast.Eq, ast.NotEq)):
            return self.negated(self.equal(left, right), isinstance(op, ast.NotEq))
        symbol, function = COMPARE[type(op)]
        if (
            isinstance(left, Static)
            and isinstance(right, Static)
            and not self.is_line(left.value)
            and not self.is_line(right.value)
        ):
            try:
                return Static(bool(function(left.value, right.value)))
            except TypeError as error:
                raise self.refuse(f"TypeError: {error}") from error
        a, b = self.present(left), self.present(right)
        if not ({a.type, b.type} <= NUMERIC or (a.type == b.type and a.type in MOMENTS)):
            raise self.refuse(f"compares a {a.type} with a {b.type}")
        return Number(f"({a.code} {symbol} {b.code})", BOOL)

    @staticmethod
    def negated(value: Value, wanted: bool) -> Value:
        """`not value`, where that is wanted."""
        if not wanted:
            return value
        return Static(not value.value) if isinstance(value, Static) else Number(f"(not {value.code})", BOOL)

    def same(self, left: Value, right: Value) -> Value:
        """`left is right`: with None, True and False, and between known objects."""
        for one, two in ((left, right), (right, left)):
            if isinstance(two, Static) and two.value is None:
                if isinstance(one, Number):
                    if is_handle(one.type):
                        return Static(False) if one.none == "False" else Number(f"({one.code} < 0)", BOOL)
                    return Static(False) if one.none is None else Number(one.none, BOOL)
                return Static(isinstance(one, Static) and one.value is None)
            if (
                isinstance(two, Static)
                and isinstance(two.value, bool)
                and isinstance(one, Number)
                and one.type == BOOL
            ):
                test = one.code if two.value else f"(not {one.code})"
                return Number(test if one.none is None else f"(not {one.none} and {test})", BOOL)
        if isinstance(left, Static) and isinstance(right, Static):
            return Static(left.value is right.value)
        found = self.same_object(left, right)
        if found is not None:
            return found
        if isinstance(left, Number) and isinstance(right, Number) and left.type == right.type == DATA:
            return Number(f"({left.code} == {right.code})", BOOL)
        if isinstance(left, Number) and isinstance(right, Number) and left.type == right.type == STR:
            return self.equal(left, right)
        raise self.refuse("asks whether two things are the same object")

    def same_object(self, left: Value, right: Value) -> Value | None:
        """`left is right` for orders, objects of the run and members of enumerations."""
        if self.is_object(left) or self.is_object(right):
            if not (self.boxable(left) and self.boxable(right)):
                return None
            left, right = self.boxed(left), self.boxed(right)
        kinds = {value.type for value in (left, right) if isinstance(value, Number)}
        if any(map(is_enum, kinds)):
            for one, two in ((left, right), (right, left)):
                if (
                    isinstance(one, Number)
                    and is_enum(one.type)
                    and isinstance(two, Static)
                    and type(two.value) is not self.out.enum_in(one.type)
                ):
                    return Static(False)
            return (
                self.equal_numbers(self.out.number(left), self.out.number(right)) if len(kinds) == 1 else None
            )
        if not (isinstance(left, Number) and isinstance(right, Number) and is_handle(left.type)):
            return None
        if left.type == ORDER == right.type:
            if left.snap is not None or right.snap is not None:
                return None
        elif not is_heap(right.type) or self.out.shape_in(left.type) is not self.out.shape_in(right.type):
            return None
        return Number(f"({left.code} == {right.code})", BOOL)

    def equal(self, left: Value, right: Value) -> Value:
        """`left == right`."""
        if isinstance(left, Static) and isinstance(right, Static):
            if not self.is_line(left.value) and not self.is_line(right.value):
                return Static(bool(left.value == right.value))
            if left.value is right.value and self.is_data(left.value):
                number = self.as_number(left)
                return Number(f"({number.code} == {number.code})", BOOL)
        for one, two in ((left, right), (right, left)):
            if isinstance(two, Static) and two.value is None:
                return self.same(one, two)
        if any(isinstance(value, Number) and is_enum(value.type) for value in (left, right)):
            return self.equal_members(left, right)
        if self.is_object(left) or self.is_object(right):
            for one, two in ((left, right), (right, left)):
                if isinstance(one, Number) and isinstance(two, Items) and not two.values and two.site:
                    return self.negated(self.truth(one), True)
            return self.equal_objects(left, right)
        if isinstance(left, Items) or isinstance(right, Items):
            return self.equal_items(left, right)
        if isinstance(left, Text) or isinstance(right, Text):
            raise self.refuse("compares a string made in the run")
        a, b = self.as_number(left), self.as_number(right)
        if a.type == b.type == ORDER:
            return Number(f"({a.code} >= 0 and {a.code} == {b.code})", BOOL)
        if not ({a.type, b.type} <= NUMERIC or a.type == b.type):
            if (isinstance(left, Number) and isinstance(right, Number)) or STR in (a.type, b.type):
                return Static(False)
            raise self.refuse(f"compares a {a.type} with a {b.type}")
        return self.equal_numbers(a, b)

    def equal_members(self, left: Value, right: Value) -> Value:
        """`left == right` where one is a member of an enumeration."""
        for one, two in ((left, right), (right, left)):
            if isinstance(one, Number) and is_enum(one.type):
                cls = self.out.enum_in(one.type)
                own = (
                    two.type == one.type
                    if isinstance(two, Number)
                    else type(getattr(two, "value", None)) is cls
                )
                if own and isinstance(two, (Number, Static)):
                    return self.equal_numbers(one, self.out.number(two))
                if not issubclass(cls, (str, int)):
                    return Static(False)
                return self.equal(self.enum_value(one), plain_member(two) if isinstance(two, Static) else two)
        raise self.refuse(f"compares {describe(left)} with {describe(right)}")

    def equal_numbers(self, a: Number, b: Number) -> Number:
        """Two numbers of one type; None equals None."""
        test = f"({a.code} == {b.code})"
        nones = [number.none for number in (a, b) if number.none is not None]
        if len(nones) == 1:
            test = f"(not {nones[0]} and {test})"
        elif nones:
            test = f"(({nones[0]} and {nones[1]}) or (not {nones[0]} and not {nones[1]} and {test}))"
        return Number(test, BOOL)

    is_data: Callable[[Any], bool]

    def equal_items(self, left: Value, right: Value) -> Value:
        """Two tuples, part by part."""
        first, second = self.elements(left), self.elements(right)
        if isinstance(left, Sequence) or isinstance(right, Sequence):
            one, two = (left, second) if isinstance(left, Sequence) else (right, first)
            if not two:
                return Number(f"({one.count} == 0)", BOOL)
        if first is None or second is None:
            raise self.refuse(f"compares {describe(left)} with {describe(right)}")
        if len(first) != len(second):
            return Static(False)
        tests = [self.equal(a, b) for a, b in zip(first, second, strict=True)]
        if any(isinstance(test, Static) and not test.value for test in tests):
            return Static(False)
        codes = [test.code for test in tests if isinstance(test, Number)]
        return Number("(" + " and ".join(codes) + ")", BOOL) if codes else Static(True)

    # -- comprehensions

    def at_listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        """A list whose parts can be written out one by one, or are kept by a condition of the run."""
        if len(node.generators) == 1:
            iterable = self.evaluate(node.generators[0].iter)
            if self.elements(iterable) is None and not self.is_known_range(iterable):
                return self.computed_list(node, iterable)
        effects = self.effects
        parts = self.comprehension(node.generators, lambda: self.evaluate(node.elt))
        if isinstance(node, ast.GeneratorExp) and self.effects != effects:
            raise self.refuse("changes something in a generator, which may stop early", node)
        return self.kept(parts, self.place_of(node))

    def is_known_range(self, value: Value) -> bool:
        """Whether a value is a range whose bounds are known now."""
        if not (isinstance(value, Method) and value.name == "range" and isinstance(value.owner, tuple)):
            return False
        return all(isinstance(bound, Static) or bound.known is not UNKNOWN for bound in value.owner)

    def computed_list(self, node: Any, iterable: Value) -> Value:
        """A list made by a loop of the kernel."""
        head = node.generators[0]
        outer = len(self.active)
        loop = self.counting(iterable, node)
        if loop is None or getattr(iterable, "type", None) == DATA:
            raise self.refuse(f"makes a list from {describe(iterable)}", node)
        header, setup, item = loop
        for line in setup:
            self.out.line(line)
        key = self.place_of(node)
        sequence: Any = (
            self.new_list(key, [])
            if key in self.heap_sites
            else self.new_sequence(("computed", *key), "computed", Items((), key))
        )
        before = dict(self.frame.env)
        effects = self.effects

        def turn() -> Value:
            self.assign(head.target, item())
            for test in head.ifs:
                condition = self.condition(test)
                code = str(bool(condition.value)) if isinstance(condition, Static) else condition.code
                self.out.tree = self.out.block(f"if {code}:")
            if isinstance(sequence, Number):
                self.push(sequence, self.evaluate(node.elt))
            else:
                self.append(sequence, self.evaluate(node.elt))
            return NONE

        self.attempt(self.out.block(header), turn)
        if isinstance(node, ast.GeneratorExp) and self.effects != effects:
            raise self.refuse("changes something in a generator, which may stop early", node)
        del self.active[outer:]
        self.frame.env = before
        return sequence if isinstance(sequence, Number) else self.new_type(sequence)

    append: Callable[[Any, Value], None]
    new_type: Callable[[Any], Value]

    kept: Callable[[list[tuple[Value, Value]], Hashable], Value]

    at_generatorexp = at_setcomp = at_listcomp

    def at_dictcomp(self, node: ast.DictComp) -> Value:
        """A dict with keys known now."""
        found = Mapping({}, self.here())

        def add() -> Value:
            found.values[self.known(self.evaluate(node.key), "a key")] = self.evaluate(node.value)
            return NONE

        self.comprehension(node.generators, add)
        return found

    def comprehension(
        self, generators: list[ast.comprehension], element: Callable[[], Value]
    ) -> list[tuple[Value, Value]]:
        """Values and whether each is kept, for every known turn."""
        head, *rest = generators
        iterable = self.evaluate(head.iter)
        if isinstance(iterable, Method) and iterable.name == "range" and isinstance(iterable.owner, tuple):
            bounds = [int(self.known(bound, "a range")) for bound in iterable.owner]
            iterable = Static(range(*bounds))
        known = self.elements(iterable)
        if known is None or len(known) > 400:
            raise self.refuse(f"makes a list from {describe(iterable)}")
        found: list[tuple[Value, Value]] = []
        before = dict(self.frame.env)
        for number, value in enumerate(known):
            self.path.append(("turn", number, head.target.lineno, head.target.col_offset))
            self.assign(head.target, value)
            wanted: Value = Static(True)
            for test in head.ifs:
                condition = self.condition(test)
                if isinstance(condition, Number):
                    condition = Number(self.out.temporary(condition.code), BOOL)
                if isinstance(wanted, Static):
                    wanted = condition if wanted.value else wanted
                elif isinstance(condition, Number):
                    wanted = Number(f"({wanted.code} and {condition.code})", BOOL)
                elif not condition.value:
                    wanted = condition
            if isinstance(wanted, Number) or wanted.value:
                if rest and isinstance(wanted, Number):
                    raise self.refuse("filters a list by something computed in the run")
                if rest:
                    inner = self.comprehension(rest, element)
                elif isinstance(wanted, Number):
                    tree: Tree = []
                    part = self.attempt(tree, lambda: self.held(element()))
                    if any(line != [] for line in tree):
                        self.out.tree.append((f"if {wanted.code}:", tree))
                    inner = [] if part is NEVER else [(part, Static(True))]
                else:
                    inner = [(self.held(element()), Static(True))]
                found.extend((part, wanted if isinstance(wanted, Number) else also) for part, also in inner)
            self.path.pop()
        self.frame.env = before
        return found


def plain_member(value: Static) -> Static:
    """The string or number that a member of an enumeration of those is."""
    thing = value.value
    if isinstance(thing, enum.Enum) and isinstance(thing, (str, int)):
        return Static(thing.value)
    return value


__all__ = ["COMPARE", "MOMENTS", "NONE", "Expressions", "Info", "is_atom", "literal", "math"]
