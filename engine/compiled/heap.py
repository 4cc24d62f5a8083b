"""Objects the run makes: instances of the strategy's classes, tuples and lists that outlive the call they are made in.

They are words of one array of the kernel, `heap` (`reals` are the same words as floats); a handle is the place of an
object there, -1 stands for None. So what holds an object, wherever it came from, is a variable with a whole number, and
`is` compares two of them. An object takes two words a field, a list one an element. Once `heap` is full, what the
strategy's state no longer reaches is thrown away between two bars: memory stays proportional to what is still in use.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.compiled.boxes import is_generated
from engine.compiled.emit import LIST, RECORD, Slot
from engine.compiled.heap_lists import HeapLists
from engine.compiled.values import BOOL, FLOAT, INT, STR, Number, Static, Text, Value, describe, is_heap


class Heap(HeapLists):
    """Compares objects of the run, and lays out where they are kept."""

    def equal_objects(self, left: Value, right: Value) -> Value:
        """`left == right` where one of them is an object of the run."""
        if not (isinstance(left, Number) and isinstance(right, Number)):
            left, right = self.boxed(left), self.boxed(right)
        if not isinstance(left, Number) or not isinstance(right, Number):
            return self.same(left, right)
        if not (is_heap(left.type) and is_heap(right.type)):
            raise self.refuse(f"compares {describe(left)} with {describe(right)}")
        one, two = self.out.shape_in(left.type), self.out.shape_in(right.type)
        if one is not two or one.kind != RECORD:
            raise self.refuse(f"compares a {one.kind} with a {two.kind}")
        if one.cls.__eq__ is object.__eq__:
            return self.same(left, right)
        if not (dataclasses.is_dataclass(one.cls) and is_generated(one.cls.__eq__)):
            raise self.refuse(f"compares objects of {one.cls.__name__}")
        found = self.out.temporary(f"({left.code} == {right.code})")
        with self.writing(self.out.block(f"if not {found} and {left.code} > 0 and {right.code} > 0:")):
            self.out.line(f"{found} = True")
            for item in dataclasses.fields(one.cls):
                if item.compare:
                    with self.writing(self.out.block(f"if {found}:")):
                        self.out.line(f"{found} = {self.equal_fields(left, right, item.name)}")
        return Number(found, BOOL)

    def equal_fields(self, left: Number, right: Number, name: str) -> str:
        """Whether a field of two objects is equal. Two NaN may or may not be, so that is an error."""
        one, two = self.field_value(left, name), self.field_value(right, name)
        if isinstance(one, Text) or isinstance(two, Text):
            raise self.refuse("compares a string made in the run")
        test = self.equal(one, two)
        if isinstance(one, Number) and isinstance(two, Number) and one.type == FLOAT:
            self.out.line(f"if {one.code} != {one.code} and {two.code} != {two.code}: fault(error)")
        return str(bool(test.value)) if isinstance(test, Static) else str(test.code)

    def enum_value(self, value: Number, name: str = "value") -> Number:
        """What a member of an enumeration stands for, or its name."""
        members = list(self.out.enum_in(value.type))
        parts = [member.name if name == "name" else member.value for member in members]
        kinds = {type(part) for part in parts}
        if kinds == {str}:
            kind, codes = STR, [str(self.out.string(part)) for part in parts]
        elif kinds == {int}:
            kind, codes = INT, [str(part) for part in parts]
        else:
            raise self.refuse(f"uses the {name} of a {type(members[0]).__name__}")
        found = codes[-1]
        for number in range(len(codes) - 2, -1, -1):
            found = f"({codes[number]} if {value.code} == {number} else {found})"
        return Number(found, kind, none=value.none)

    def member_of(self, cls: Any, value: Value) -> Value:
        """`Enumeration(value)`."""
        if isinstance(value, Number) and value.type == self.out.enum(cls):
            return value
        number = self.present(value)
        members = list(cls)
        codes = [self.out.number(Static(member.value)) for member in members]
        if any(code.type != number.type for code in codes):
            raise self.refuse(f"makes a {cls.__name__} of a {number.type}")
        number = Number(self.out.temporary(number.code), number.type)
        found = self.out.temporary("-1")
        for index, code in enumerate(codes):
            self.out.line(f"if {number.code} == {code.code}: {found} = {index}")
        self.out.line(f"if {found} < 0: fault(error)")
        return Number(found, self.out.enum(cls))

    def layout(self) -> list[int]:
        """For every shape where its entry begins, then the entries: kind (1: list), fields, and which are handles."""
        starts: list[int] = []
        entries: list[int] = []
        for each in self.out.shapes:
            shape = self.out.root(each)
            starts.append(len(self.out.shapes) + len(entries))
            handles = [int(is_heap(slot.type)) for slot in shape.fields.values()]
            entries += [int(shape.kind == LIST), len(handles), *handles]
        return starts + entries

    def roots(self) -> list[Slot]:
        """The variables that hold objects from one bar to the next."""
        return [
            slot
            for key, slot in self.out.slots.items()
            if isinstance(key, tuple)
            and key[0] in ("cell", "entry")
            and slot.element is None
            and is_heap(slot.type)
        ]

    def root_lists(self) -> list[Slot]:
        """The lists of the state that hold objects."""
        return [slot for slot in self.out.slots.values() if is_heap(slot.element)]
