"""Objects of the run: made, read and changed, field by field."""

from __future__ import annotations

import collections
import enum
import types
from typing import Any

from engine.compiled.boxes import Boxes, is_frozen
from engine.compiled.emit import LIST, RECORD, TUPLE, Shape, Slot, Tree
from engine.compiled.frames import class_entry
from engine.compiled.traced import Traced
from engine.compiled.values import BOOL, FLOAT, NONE, Items, Number, Static, Text, Value, is_handle

ABSENT_WORD = 2
"""What a field's second word says while it has no value; 1 says None."""


_UNSET: Any = object()


class Objects(Boxes):
    """Makes, reads and changes objects of the run."""

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
        entry = class_entry(shape.cls, name)
        if isinstance(entry, property):
            if entry.fset is None:
                raise self.refuse(f"AttributeError: {name} cannot be set")
            self.inline(entry.fset, [owner, value], {})
            return
        if is_frozen(shape.cls):
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

    def constant(self, thing: Any) -> Number:
        """An object known now as one of the run; what `__init__` made is read and changed only there from now on."""
        found = self.constants.get(id(thing))
        if found is not None:
            return found
        self.keep.append(thing)
        cls = type(thing)
        if not is_frozen(cls) and id(thing) not in self.moved:
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


def _slot_of_class(cls: type, name: str) -> bool:
    return isinstance(class_entry(cls, name), types.MemberDescriptorType)


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
