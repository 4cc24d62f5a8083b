"""Lists that outlive the call they are made in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable

from engine.compiled.classes import Classes
from engine.compiled.emit import ELEMENT, LIST, Shape
from engine.compiled.frames import Never
from engine.compiled.values import (
    FLOAT,
    INT,
    NONE,
    Arguments,
    Keywords,
    Number,
    Sequence,
    Static,
    Value,
    Window,
    describe,
    is_handle,
    is_heap,
)


class HeapLists(Classes):
    """Makes, reads and changes lists of the run."""

    def new_list(self, site: Hashable, parts: list[Value], shape: Shape | None = None) -> Number:
        """A list object with these elements."""
        shape = self.out.shape(("list", site), LIST) if shape is None else shape
        ready = [self.held(self.boxed(part)) for part in parts]
        code = self.out.temporary(f"new_list(heap, memory, {shape.number}, {max(4, len(parts))}, error)")
        made = Number(code, shape.type, none="False")
        self.out.field(shape, ELEMENT)
        for part in ready:
            self.push(made, part)
        return made

    def list_shape(self, owner: Number) -> Shape:
        """The shape of a list."""
        shape = self.out.shape_in(owner.type)
        if shape.kind != LIST:
            raise self.refuse(f"uses a {shape.kind} as a list")
        return shape

    def element_word(self, shape: Shape, value: Value) -> tuple[str, str]:
        """A value as an element: its type and expression."""
        slot = self.out.field(shape, ELEMENT)
        ready = self.held(self.boxed(value))
        if isinstance(ready, Number) and (ready.snap is not None or ready.none not in (None, "False")):
            if ready.snap is not None:
                raise self.refuse("keeps the order of a notification in a list")
            ready = self.present(ready)
        slot.extra["same"] = False
        self.out.widen(slot, ready)
        if slot.none and slot.type is not None and not is_handle(slot.type):
            raise self.refuse("keeps None in a list of numbers")
        if slot.type is None:
            return INT, "-1"
        return slot.type, self.out.coerced(ready, slot.type)[0]

    def push(self, owner: Number, value: Value) -> None:
        """`list.append(value)`."""
        kind, code = self.element_word(self.list_shape(owner), value)
        self.word(kind, f"room(heap, memory, {owner.code}, error)", code)

    def element_at(self, owner: Number, place: str) -> Value:
        """The element whose word is at this place."""
        slot = self.out.field(self.list_shape(owner), ELEMENT)
        if slot.type is None:
            return NONE
        code = self.read_word(slot.type, place)
        return Number(self.out.temporary(code), slot.type, exact=slot.number().exact)

    def count_of(self, owner: Number) -> str:
        """How many elements a list has."""
        return f"heap[{self.sure(owner)} + 1]"

    def words_of(self, owner: Number) -> tuple[str, str]:
        """A list's elements as an array's expression, and their type."""
        slot = self.out.field(self.list_shape(owner), ELEMENT)
        kind = slot.type or INT
        array = "reals" if kind == FLOAT else "heap"
        base = self.sure(owner)
        return f"{array}[heap[{base} + 3] : heap[{base} + 3] + heap[{base} + 1]]", kind

    def elements_exact(self, value: Value) -> bool:
        """Whether all elements are floats in Python too."""
        if isinstance(value, (Sequence, Window)):
            return value.exact
        if isinstance(value, Number) and is_heap(value.type):
            return self.out.field(self.list_shape(value), ELEMENT).number().exact
        return False

    def list_item(self, owner: Number, index: Value) -> Value:
        """`values[index]`."""
        base = self.sure(owner)
        return self.element_at(
            owner, self.out.temporary(f"place(heap, {base}, {self.whole_number(index)}, error)")
        )

    def store_list_item(self, owner: Number, index: Value, value: Value) -> None:
        """`values[index] = value`."""
        self.effects += 1
        kind, code = self.element_word(self.list_shape(owner), value)
        base = self.sure(owner)
        self.word(kind, f"slot_of(heap, {base}, {self.whole_number(index)}, error)", code)

    def list_of(self, site: Hashable, source: Number, start: str = "0", stop: str = "") -> Number:
        """A new list of a part of another."""
        shape, old = self.out.shape(("list", site), LIST), self.list_shape(source)
        if shape is not old:
            joined = self.out.join(shape.type, old.type)
            assert joined is not None
            shape = self.out.shape_in(joined)
        base = self.sure(source)
        code = self.out.temporary(
            f"part_of(heap, memory, {shape.number}, {base}, {start}, {stop or f'heap[{base} + 1]'}, error)"
        )
        return Number(code, shape.type, none="False")

    def find_element(self, owner: Number, value: Value) -> str:
        """A variable with the index of the first element equal to a value, -1 when there is none."""
        place, counter = self.out.temporary("-1"), f"x{self.unique()}"
        value = self.held(value)
        with self.writing(self.out.block(f"for {counter} in range({self.count_of(owner)}):")):
            part = self.element_at(owner, self.out.temporary(f"place(heap, {owner.code}, {counter}, error)"))
            test = self.equal(part, value)
            code = str(bool(test.value)) if isinstance(test, Static) else test.code
            with self.writing(self.out.block(f"if {code}:")):
                self.out.line(f"{place} = {counter}")
                self.out.line("break")
        return place

    def heap_method(self, owner: Number, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of a list."""
        shape = self.out.shape_in(owner.type)
        if shape.kind != LIST or keywords:
            raise self.refuse(f"calls {name}() of a {shape.kind}")
        base = Number(self.sure(owner), owner.type, none="False")
        if name == "index":
            found = self.find_element(base, arguments[0])
            self.out.line(f"if {found} < 0: fault(error)")
            return Number(found, INT)
        if name == "count":
            raise self.refuse("counts elements of a list")
        self.effects += 1
        if name == "append":
            self.push(base, arguments[0])
        elif name == "extend":
            self.extend(base, arguments[0])
        elif name == "clear":
            self.out.line(f"cleared(heap, {base.code})")
        elif name == "pop":
            index = self.whole_number(arguments[0]) if arguments else "-1"
            found = self.held(
                self.element_at(base, self.out.temporary(f"place(heap, {base.code}, {index}, error)"))
            )
            self.out.line(f"removed(heap, {base.code}, {index}, error)")
            return found
        elif name == "remove":
            found = self.find_element(base, arguments[0])
            self.out.line(f"if {found} < 0: fault(error)")
            self.out.line(f"else: removed(heap, {base.code}, {found}, error)")
        elif name == "insert":
            kind, code = self.element_word(shape, arguments[1])
            code = self.out.temporary(code)
            self.word(kind, f"gap(heap, memory, {base.code}, {self.whole_number(arguments[0])}, error)", code)
        else:
            raise self.refuse(f"calls {name}() of a list")
        return NONE

    def extend(self, owner: Number, values: Value) -> None:
        """`list.extend(values)`."""
        parts = self.elements(values)
        if parts is not None:
            for part in parts:
                self.push(owner, part)
            return
        if isinstance(values, Number) and values.code == owner.code:
            raise self.refuse("extends a list by itself")
        self.for_each(values, lambda part: self.push(owner, part))

    def for_each(self, values: Value, act: Callable[[Value], None]) -> None:
        """Do something with every element of something whose length is known only in the run."""
        loop = self.counting(values, ast.Pass())
        if loop is None:
            raise self.refuse(f"goes over {describe(values)}")
        outer = len(self.active)
        header, setup, item = loop
        for line in setup:
            self.out.line(line)
        with self.writing(self.out.block(header)):
            try:
                act(self.held(item()))
            except Never:
                self.out.line("fault(error)")
        del self.active[outer:]
