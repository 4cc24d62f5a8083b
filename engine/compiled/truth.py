"""Truth: what counts as true, `and`, `or` and choices between two values."""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Hashable

from engine.compiled.arithmetic import Arithmetic
from engine.compiled.emit import LIST, RECORD, TUPLE, Tree
from engine.compiled.frames import NEVER, Never
from engine.compiled.values import (
    BOOL,
    FLOAT,
    INT,
    ORDER,
    STR,
    TIMEDELTA,
    Closure,
    Either,
    Entry,
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
    Value,
    Window,
    describe,
    is_enum,
    is_handle,
)


class Truth(Arithmetic):
    """Evaluates conditions, and the values that depend on them."""

    negated: Callable[[Value, bool], Value]

    def truth(self, value: Value) -> Value:
        """Whether a value counts as true: a `Static` bool or a BOOL expression."""
        if isinstance(value, Static):
            if self.is_line(value.value):
                return Number(f"({self.as_number(value).code} != 0.0)", BOOL)
            return self.static_truth(value)
        if isinstance(value, Number):
            return self.number_truth(value)
        if isinstance(value, Entry):
            return self.truth(value.value)
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
        value = self.evaluate_open(node.values[0])
        if isinstance(value, Entry):  # `or` goes on where it is missing
            value = self.settled(value) if is_and else value.value
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
            return self.truth(self.evaluate_open(node))
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
