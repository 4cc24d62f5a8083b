"""Dicts that were there after `__init__`: their entries by key."""

from __future__ import annotations

import collections
from collections.abc import Hashable
from typing import Any

from backtrader.lineroot import LineRoot

from engine.compiled.cells import ABSENT, LISTS
from engine.compiled.emit import Slot
from engine.compiled.lists import Lists
from engine.compiled.values import (
    BOOL,
    DATA,
    NONE,
    Arguments,
    Mapping,
    Number,
    Static,
    Value,
)


class DictEntries(Lists):
    """Entries of a dict, each in a variable of its own."""

    def entry_slots(self, thing: Any, every: bool = False) -> list[Slot]:
        """The slots of a dict's entries."""
        return [
            slot
            for key, slot in self.out.slots.items()
            if isinstance(key, tuple) and key[:2] == ("entry", id(thing)) and slot.written
        ]

    def entry_key(self, thing: Any, key: Any) -> Hashable:
        """The slot key of one entry."""
        return ("entry", id(thing), id(key) if isinstance(key, LineRoot) else key)

    def entry(self, thing: dict[Any, Any], key: Any) -> Value:
        """One entry of a dict that was there after `__init__`, or that the run makes."""
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is not None and slot.written:
            return self.read_slot(slot)
        if key not in thing:
            if isinstance(thing, collections.defaultdict) and thing.default_factory is not None:
                self.keep.append(thing)
                value = thing.default_factory()
                if isinstance(value, LISTS):
                    return Static(
                        self.defaults.setdefault(self.entry_key(thing, key), value),
                        self.entry_key(thing, key),
                    )
                return Static(value)
            if any(isinstance(k, tuple) and k[:2] == ("entry", id(thing)) for k in self.out.slots):
                slot = self.cell(self.entry_key(thing, key), "entry", ABSENT)
                return self.read_slot(slot)
            self.out.line("fault(error)")
            return NONE
        return self.lifted(thing[key], self.entry_key(thing, key), in_instance=True)

    def pop_entry(self, owner: Static, arguments: Arguments) -> Value:
        """`d.pop(key)` and `d.pop(key, default)`."""
        if isinstance(arguments[0], Number) and arguments[0].type == DATA:
            raise self.refuse("removes an entry by a data known only in the run")
        key = self.known(arguments[0], "a key")
        thing = owner.value
        slot = self.cell(self.entry_key(thing, key), "entry", thing.get(key, ABSENT))
        if not slot.missing:
            slot.missing = self.out.changed = True
        if len(arguments) == 1:
            self.out.line(f"if {slot.name}_missing: fault(error)")
            value = self.held(slot.number()) if slot.type else NONE
        else:
            present = Number(f"(not {slot.name}_missing)", BOOL)
            value = self.choose(
                present, (lambda: slot.number() if slot.type else NONE, []), (lambda: arguments[1], [])
            )
        self.out.line(f"{slot.name}_missing = True")
        return value

    def dict_method(self, owner: Static, name: str, arguments: Arguments) -> Value:
        """Methods of a dict that was there after `__init__`."""
        thing = owner.value
        if name == "get":
            default = arguments[1] if len(arguments) > 1 else NONE
            if isinstance(arguments[0], Number) and arguments[0].type == DATA:
                return self.by_data(arguments[0], lambda data: self.get_entry(thing, data, default))
            return self.get_entry(thing, self.known(arguments[0], "a key"), default)
        if name in ("items", "keys", "values") and not any(slot.missing for slot in self.entry_slots(thing)):
            return self.mapping_method(Mapping({key: self.entry(thing, key) for key in thing}), name, [], {})
        if name == "pop":
            return self.pop_entry(owner, arguments)
        if name == "clear":
            self.store_container(None, "dict", thing, Mapping({}))
            return NONE
        if name == "setdefault":
            key = self.known(arguments[0], "a key")
            if key in thing:
                return self.entry(thing, key)
        raise self.refuse(f"calls {name}() of a dict the run changes")

    def get_entry(self, thing: dict[Any, Any], key: Any, default: Value) -> Value:
        """`d.get(key, default)`."""
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is None or not slot.written:
            if key in thing:
                return self.entry(thing, key)
            self.keep.append(thing)
            return default
        if not slot.missing:
            return self.read_slot(slot)
        if slot.type is None:
            return (
                default
                if isinstance(default, Static) and default.value is None
                else self.choose(
                    Number(f"(not {slot.name}_missing)", BOOL), (lambda: NONE, []), (lambda: default, [])
                )
            )
        present = Number(f"(not {slot.name}_missing)", BOOL)
        return self.choose(present, (slot.number, []), (lambda: default, []))

    def contains_key(self, thing: dict[Any, Any], value: Value) -> Value:
        """`key in d`."""
        if isinstance(value, Number) and value.type == DATA:
            return self.by_data(value, lambda data: self.contains_key(thing, Static(data)))
        key = self.known(value, "a key")
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is not None and slot.written:
            return Number(f"(not {slot.name}_missing)", BOOL) if slot.missing else Static(True)
        return Static(key in thing)
