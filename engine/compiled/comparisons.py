"""Comparisons: order, equality and identity."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from engine.compiled.arithmetic import MOMENTS
from engine.compiled.truth import Truth
from engine.compiled.values import (
    BOOL,
    DATA,
    NUMERIC,
    ORDER,
    STR,
    Entry,
    Items,
    Number,
    Sequence,
    Static,
    Text,
    Value,
    Vector,
    describe,
    is_enum,
    is_handle,
    is_heap,
    plain_member,
)

COMPARE: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}


class Comparisons(Truth):
    """Evaluates comparisons."""

    compare_entries: Callable[[ast.cmpop, Value, Value], Value]

    def at_compare(self, node: ast.Compare) -> Value:
        """Comparisons, chained ones too."""
        left = self.evaluate_open(node.left)
        found: Value = Static(True)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self.held_if(self.evaluate_open(part), len(node.ops) > 1)
            if isinstance(left, Entry) or isinstance(right, Entry):
                test = self.compare_entries(op, left, right)
            else:
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
        if isinstance(left, Vector) or isinstance(right, Vector):
            return self.vector_operation(COMPARE[type(op)][0], left, right)
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
