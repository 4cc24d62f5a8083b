"""Objects the run makes: instances of the strategy's classes, tuples and lists that outlive the call they are made in.

They are words of one array of the kernel, `heap` (`reals` are the same words as floats); a handle is the place of an
object there, -1 stands for None. So what holds an object, wherever it came from, is a variable with a whole number, and
`is` compares two of them. An object takes two words a field, a list one an element. Once `heap` is full, what the
strategy's state no longer reaches is thrown away between two bars: memory stays proportional to what is still in use.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import enum
import inspect
import sys
import types
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.calls import Arguments, Calls, Keywords
from engine.compiled.emit import ELEMENT, LIST, RECORD, TUPLE, Shape, Slot, Tree
from engine.compiled.expressions import NONE
from engine.compiled.traced import Traced
from engine.compiled.values import (
    BOOL,
    DATA,
    FLOAT,
    INT,
    STR,
    Items,
    Number,
    Record,
    Sequence,
    Static,
    Text,
    Value,
    Window,
    is_handle,
    is_heap,
)
from engine.compiled.walk import Never, describe

ABSENT_WORD = 2
"""What a field's second word says while it has no value; 1 says None."""
_UNSET: Any = object()


class Heap(Calls):
    """Makes, reads and changes objects of the run."""

    heap_sites: set[Hashable]
    boxed_returns: set[Hashable]
    constants: dict[int, Number]
    moved: set[int]
    prologue: Tree
    strategy: Any
    keep: list[Any]
    effects: int

    number_of_data: Callable[[Value], int | str]
    belongs: Callable[[Any], bool]
    scalar_argument: Callable[[Any, Hashable], Number]
    class_attribute: Callable[[Value, type, str], Value]

    # -- which values become objects

    def boxable(self, value: Value) -> bool:
        """Whether a variable can hold the value, as a number or as the handle of an object."""
        if self.scalar(value) is not None:
            return True
        if isinstance(value, Items):
            return value.site != "list" and all(self.boxable(part) for part in value.values)
        if isinstance(value, Sequence):
            return value.slot is not None and "site" in value.slot.extra
        if isinstance(value, Record):
            return all(self.boxable(part) for part in value.values.values())
        if isinstance(value, Static):
            thing = value.value
            if isinstance(thing, tuple) and type(thing) is tuple:
                return all(self.boxable(Static(part)) for part in thing)
            return self.is_data(thing) or self.is_record(thing)
        return False

    def is_object(self, value: Value) -> bool:
        """Whether a value is an object that the kernel keeps, or has to, where several ways come together."""
        if isinstance(value, Number):
            return is_heap(value.type)
        if isinstance(value, Record):
            return True
        return isinstance(value, Static) and self.is_record(value.value)

    def boxed(self, value: Value) -> Number | Static:
        """The value as a number or handle. A list is made an object from the next pass on, where it is written."""
        scalar = self.scalar(value)
        if scalar is not None:
            return scalar
        if isinstance(value, Items):
            if value.site is None:
                return self.new_tuple(value)
            if value.site != "list":
                self.want_object(value.site)
                return self.new_list(value.site, list(value.values))
        if isinstance(value, Sequence) and value.slot is not None and "site" in value.slot.extra:
            return self.sequence_as_list(value)
        if isinstance(value, Record):
            return self.new_object(value.cls, dict(value.values))
        if isinstance(value, Static):
            thing = value.value
            if type(thing) is tuple:
                return self.new_tuple(Items(tuple(Static(part) for part in thing)))
            if self.is_data(thing):
                return Number(str(self.number_of_data(value)), DATA)
            if self.is_record(thing):
                return self.constant(thing)
        raise self.refuse(f"keeps {describe(value)}")

    def want_object(self, site: Hashable) -> None:
        """From the next pass on, the list made there is an object."""
        if site not in self.heap_sites:
            self.heap_sites.add(site)
            self.out.changed = True

    def sequence_as_list(self, value: Sequence) -> Number:
        """A list that was to live for a call only; good for types in this pass, which will not be the last."""
        site = value.slot.extra["site"]
        self.want_object(site)
        self.out.changed = True
        shape = self.out.shape(("list", site), LIST)
        if value.slot.element not in (None, "empty"):
            self.out.widen(self.out.field(shape, ELEMENT), Number("0", value.slot.element, exact=value.exact))
        return Number("-1", shape.type, none="False")

    # -- classes

    def is_record(self, thing: Any) -> bool:
        """Whether an object known now can be kept as one of the run."""
        cls = type(thing)
        if isinstance(thing, (type, types.ModuleType, enum.Enum)) or not self.is_record_class(cls):
            return False
        return _is_frozen(cls) or self.belongs(thing)

    def is_record_class(self, cls: type) -> bool:
        """Whether instances are nothing but their attributes, which Python's own machinery sets and reads."""
        if type(cls) is not type or issubclass(cls, (tuple, list, dict, set, str, int, float, BaseException)):
            return False
        module = getattr(cls, "__module__", "")
        if module.partition(".")[0] in (
            "builtins",
            "backtrader",
            "numpy",
            "pandas",
            "datetime",
            "collections",
        ):
            return False
        for base in cls.__mro__[:-1]:
            own = vars(base)
            if base.__module__ in ("typing", "abc"):
                continue
            if any(name in own for name in ("__new__", "__getattr__", "__getattribute__")):
                return False
            if any(name in own and not _generated(own[name]) for name in ("__setattr__", "__delattr__")):
                return False
            if any(hasattr(entry, "__set__") and not _ordinary(entry) for entry in own.values()):
                return False
        return cls.__module__ not in sys.stdlib_module_names

    def make(self, cls: type, arguments: Arguments, keywords: Keywords) -> Value:
        """An instance of a class of the strategy's author."""
        if not self.is_record_class(cls):
            raise self.refuse(f"makes a {cls.__name__}")
        if dataclasses.is_dataclass(cls) and _generated(inspect.getattr_static(cls, "__init__")):
            return self.make_dataclass(cls, arguments, keywords)
        made = self.new_object(cls, {})
        function = inspect.getattr_static(cls, "__init__")
        if isinstance(function, types.FunctionType):
            self.inline(function, [made, *arguments], keywords)
        elif arguments or keywords:
            raise self.refuse(f"TypeError: {cls.__name__}() takes no arguments")
        return made

    def make_dataclass(self, cls: Any, arguments: Arguments, keywords: Keywords) -> Value:
        """What a dataclass's own `__init__` does."""
        if any(
            item._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]
            for item in cls.__dataclass_fields__.values()
        ):
            raise self.refuse(f"makes a {cls.__name__}, which has an InitVar")
        try:
            bound = inspect.signature(cls).bind(*arguments, **keywords).arguments
        except TypeError as error:
            raise self.refuse(f"TypeError: {cls.__name__}: {error}") from error
        values: dict[str, Value] = {}
        for item in dataclasses.fields(cls):
            if item.name in bound:
                values[item.name] = bound[item.name]
            elif item.default is not dataclasses.MISSING:
                values[item.name] = Static(item.default)
            elif item.default_factory is not dataclasses.MISSING:
                factory = item.default_factory
                values[item.name] = (
                    Items((), ("default", cls, item.name))
                    if factory is list
                    else self.invoke(Static(factory), [], {})
                )
        made = self.new_object(cls, values)
        after = inspect.getattr_static(cls, "__post_init__", None)
        if isinstance(after, types.FunctionType):
            self.inline(after, [made], {})
        return made

    def replaced(self, arguments: Arguments, keywords: Keywords) -> Value:
        """`dataclasses.replace()`."""
        owner = arguments[0]
        cls = type(owner.value) if isinstance(owner, Static) else self.class_of(owner)
        if cls is None or not dataclasses.is_dataclass(cls):
            raise self.refuse(f"replaces fields of {describe(owner)}")
        given = dict(keywords)
        for item in dataclasses.fields(cls):
            if not item.init:
                raise self.refuse("replaces fields of an object with fields made in its __init__")
            if item.name not in given:
                given[item.name] = self.attribute(owner, item.name)
        return self.make(cls, [], given)

    def class_of(self, value: Value) -> type | None:
        """The class of an object of the run."""
        if isinstance(value, Number) and is_heap(value.type):
            shape = self.out.shape_in(value.type)
            return shape.cls if shape.kind == RECORD else list if shape.kind == LIST else tuple
        return None

    # -- objects

    def new_object(self, cls: type, values: dict[str, Value]) -> Number:
        """An instance with these attributes."""
        shape = self.out.shape(("record", cls), RECORD, cls)
        return self.filled(shape, values)

    def new_tuple(self, value: Items) -> Number:
        """A tuple; its length is known."""
        key = ("tuple", *self.site(), len(value.values))
        shape = self.out.shape(key, TUPLE, size=len(value.values))
        if shape.kind == LIST:
            return self.new_list(key, list(value.values), shape)
        return self.filled(shape, dict(enumerate(value.values)))

    def filled(self, shape: Shape, values: dict[Any, Value]) -> Number:
        """A new object of this shape with these fields."""
        ready: dict[Any, Any] = {
            name: value if isinstance(value, Text) else self.held(self.boxed(value))
            for name, value in values.items()
        }
        for name in ready:
            self.out.field(shape, name)
        code = self.out.temporary(f"new_object(heap, memory, {shape.number}, {len(shape.fields)}, error)")
        made = Number(code, shape.type, none="False")
        with self.writing(self.out.block(f"if {code} > 0:")):
            for index, (name, slot) in enumerate(shape.fields.items()):
                if name in ready:
                    self.put(slot, code, index, ready[name])
                else:
                    if not slot.missing:
                        slot.missing = self.out.changed = True
                    self.out.line(f"heap[{code} + {2 * index + 2}] = {ABSENT_WORD}")
        return made

    def put(self, slot: Slot, base: str, index: int, value: Any) -> None:
        """Write a field's words."""
        if isinstance(value, Text):
            if not slot.extra.get("text"):
                slot.extra["text"] = self.out.changed = True
            return
        self.note_same(slot, value)
        self.out.widen(slot, value)
        if slot.type is None:
            return
        number = value if isinstance(value, Number) else None
        empty = isinstance(value, Static) and value.value is None
        place, flag = f"{base} + {2 * index + 1}", f"heap[{base} + {2 * index + 2}]"
        if not empty or is_handle(slot.type):
            self.word(slot.type, place, self.out.coerced(value, slot.type)[0])
        if slot.snap:
            self.out.line(f"{flag} = {number.snap if number is not None and number.snap else -1}")
        elif slot.none and not is_handle(slot.type):
            none = "1" if empty else "0" if number is None or number.none is None else f"int({number.none})"
            self.out.line(f"{flag} = {none}")
        elif slot.missing:
            self.out.line(f"{flag} = 0")

    def word(self, kind: str, place: str, code: str) -> None:
        """Write one word."""
        if kind == FLOAT:
            self.out.line(f"reals[{place}] = {code}")
        else:
            self.out.line(f"heap[{place}] = {f'int({code})' if kind == BOOL else code}")

    @staticmethod
    def read_word(kind: str, place: str) -> str:
        """One word as an expression."""
        if kind == FLOAT:
            return f"reals[{place}]"
        return f"(heap[{place}] != 0)" if kind == BOOL else f"heap[{place}]"

    def note_same(self, slot: Slot, value: Number | Static) -> None:
        """Keep track of whether a field is the same in all objects: then it is no variable at all."""
        before = slot.extra.get("same", _UNSET)
        if before is False:
            return
        found: Any = value if isinstance(value, Static) else False
        if before is _UNSET or found is False or not _identical(before.value, found.value):
            slot.extra["same"] = found if before is _UNSET else False
            self.out.changed = True

    def sure(self, owner: Number, function: str = "some") -> str:
        """The handle of an object that is there; where it is None, Python would raise."""
        if owner.none == "False" and function == "some":
            return owner.code
        return self.out.temporary(f"{function}({owner.code}, error)")

    def field_value(self, owner: Number, name: Any) -> Value:
        """An attribute of an object."""
        shape = self.out.shape_in(owner.type)
        slot = shape.fields.get(name)
        if slot is None:
            if shape.kind != RECORD:
                raise self.refuse(f"uses {name} of a {shape.kind}")
            self.sure(owner)
            return self.class_attribute(owner, shape.cls, name)
        base = self.sure(owner)
        if slot.extra.get("text"):
            return Text()
        same = slot.extra.get("same", _UNSET)
        if isinstance(same, Static) and not slot.missing:
            return same
        index = list(shape.fields).index(name)
        place, flag = f"{base} + {2 * index + 1}", f"heap[{base} + {2 * index + 2}]"
        if slot.missing:
            if slot.snap:
                raise self.refuse(f"keeps the order of a notification in {name}")
            if hasattr(shape.cls, name) and not _slot_of_class(shape.cls, name):
                raise self.refuse(f"uses {name}, which the class and its instances have")
            self.out.line(f"if {flag} == {ABSENT_WORD}: fault(error)")
        if slot.type is None:
            return NONE
        none = self.out.temporary(f"({flag} == 1)") if slot.none and not is_handle(slot.type) else None
        snap = self.out.temporary(flag) if slot.snap else None
        code = self.read_word(slot.type, place)
        return Number(self.out.temporary(code), slot.type, none, snap, exact=slot.number().exact)

    def store_field(self, owner: Number, name: Any, value: Value) -> None:
        """`owner.name = value` of an object."""
        shape = self.out.shape_in(owner.type)
        if shape.kind != RECORD:
            raise self.refuse(f"sets {name} of a {shape.kind}")
        entry = inspect.getattr_static(shape.cls, name, None)
        if isinstance(entry, property):
            if entry.fset is None:
                raise self.refuse(f"AttributeError: {name} cannot be set")
            self.inline(entry.fset, [owner, value], {})
            return
        if _is_frozen(shape.cls):
            raise self.refuse(f"sets {name} of a frozen {shape.cls.__name__}")
        if name not in shape.fields:
            if _has_only_slots(shape.cls) and not _slot_of_class(shape.cls, name):
                raise self.refuse(f"AttributeError: {shape.cls.__name__} has no {name}")
            slot = self.out.field(shape, name)
            slot.missing = True
        self.effects += 1
        ready = value if isinstance(value, Text) else self.held(self.boxed(value))
        index = list(shape.fields).index(name)
        self.put(shape.fields[name], self.sure(owner, "target"), index, ready)

    # -- objects that were there before the run

    def constant(self, thing: Any) -> Number:
        """An object known now as one of the run; what `__init__` made is read and changed only there from now on."""
        found = self.constants.get(id(thing))
        if found is not None:
            return found
        self.keep.append(thing)
        cls = type(thing)
        if not _is_frozen(cls) and id(thing) not in self.moved:
            self.moved.add(id(thing))
            self.out.changed = True
        name = f"h{len(self.constants)}"
        shape = self.out.shape(("record", cls), RECORD, cls)
        found = self.constants[id(thing)] = Number(name, shape.type, none="False")
        place: Tree = []
        with self.writing(place):
            values = {key: self.initial_part(thing, key, part) for key, part in _attributes(thing).items()}
            self.out.line(f"{name} = {self.filled(shape, values).code}")
        self.prologue.append(place)
        return found

    def initial_part(self, thing: Any, key: Any, part: Any) -> Value:
        """What a field of an object holds before the first bar."""
        cell = ("part", id(thing), key)
        plain = isinstance(part, (bool, enum.Enum)) or not isinstance(part, (int, float))
        if isinstance(part, Traced) or (not plain and self.belongs(thing)):
            return self.scalar_argument(part, cell)
        if type(part) is list:
            if not self.belongs(thing) or _references(self.strategy, part) != 1:
                raise self.refuse("keeps one list under two names")
            return Items(tuple(self.initial_part(part, n, each) for n, each in enumerate(part)), cell)
        return Static(part)

    # -- lists

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

    # -- comparing

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
        if not (dataclasses.is_dataclass(one.cls) and _generated(one.cls.__eq__)):
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

    # -- enumerations

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

    # -- the kernel's text

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


def _is_frozen(cls: Any) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _generated(function: Any) -> bool:
    """Whether `dataclass` wrote a method."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _ordinary(entry: Any) -> bool:
    """Whether a descriptor is a property, a slot or part of every class."""
    return isinstance(entry, (property, types.MemberDescriptorType, types.GetSetDescriptorType))


def _slot_of_class(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name, None), types.MemberDescriptorType)


def _has_only_slots(cls: type) -> bool:
    return all("__slots__" in vars(base) for base in cls.__mro__[:-1])


def _attributes(thing: Any) -> dict[str, Any]:
    """An object's own attributes."""
    found = dict(getattr(thing, "__dict__", {}))
    for base in type(thing).__mro__:
        names = vars(base).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                found[name] = getattr(thing, name)
    return found


def _references(start: Any, wanted: Any) -> int:
    """How often an object is kept by what a strategy keeps."""
    seen: set[int] = set()
    waiting, found = [start], 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            parts = list(thing.values())
        elif isinstance(thing, (list, tuple, set, frozenset, collections.deque)):
            parts = list(thing)
        else:
            parts = list(_attributes(thing).values())
        found += sum(part is wanted for part in parts)
        waiting.extend(
            part
            for part in parts
            if part is not wanted
            and not isinstance(part, (str, int, float, type, types.ModuleType, types.FunctionType))
            and (thing is start or not type(part).__module__.startswith("backtrader"))
        )
    return found


def _identical(one: Any, two: Any) -> bool:
    """Whether two plain values are the same in every respect."""
    return one is two or (type(one) is type(two) and repr(one) == repr(two) and one == two)


__all__ = ["ABSENT_WORD", "Heap"]
