"""Attributes and entries that the run changes: each is a variable of the kernel."""

from __future__ import annotations

import collections
import enum
import types
from collections.abc import Callable, Hashable
from typing import Any

import backtrader as bt
from backtrader.lineroot import LineRoot

from engine.compiled.attributes import Attributes
from engine.compiled.emit import Slot, is_atom
from engine.compiled.frames import Never, class_entry
from engine.compiled.traced import Traced
from engine.compiled.values import (
    DATA,
    FLOAT,
    INT,
    NONE,
    Items,
    Mapping,
    Number,
    Position,
    Sequence,
    Static,
    Text,
    Value,
    describe,
    is_heap,
)

LISTS = (list, collections.deque)


class _Absent:
    """No attribute."""


ABSENT: Any = _Absent()


class Cells(Attributes):
    """The state of a strategy."""

    sequence: Callable[[Slot], Sequence]
    element: Callable[[Slot, Value], Number]

    def read_slot(self, slot: Slot) -> Value:
        """The value of an attribute or entry that the run changes."""
        if slot.element is not None:
            return Sequence(slot.name, f"{slot.name}_n", slot.element, slot)
        if slot.missing:
            self.out.line(f"if {slot.name}_missing: fault(error)")
        if slot.type is None:
            return NONE
        number = slot.number()
        return self.held(number) if is_atom(number.code) else number

    def store_attribute(self, owner: Value, name: str, value: Value) -> None:
        """`owner.name = value`."""
        if isinstance(owner, Static) and id(owner.value) in self.moved:
            owner = self.constant(owner.value)
        if isinstance(owner, Number) and is_heap(owner.type):
            self.store_field(owner, name, value)
            return
        if isinstance(owner, Static) and owner.value is None:
            raise Never(f"sets {name} of None")
        if not isinstance(owner, Static):
            raise self.refuse(f"sets {name} of {describe(owner)}")
        thing = owner.value
        if (
            isinstance(thing, (bt.BrokerBase, type, types.ModuleType, LineRoot))
            and thing is not self.strategy
        ):
            raise self.refuse(f"sets {name} of a {type(thing).__name__} while it runs")
        if not self.belongs(thing):
            raise self.refuse(f"sets {name} of an object that outlives the run")
        entry = class_entry(type(thing), name)
        if isinstance(entry, property):
            if entry.fset is None or (thing is self.strategy and entry is bt.Strategy.__dict__.get("sizer")):
                raise self.refuse(f"sets {name} while it runs")
            self.inline(entry.fset, [owner, value], {})
            return
        live = getattr(thing, name, None) if self.has_live(thing, name) else ABSENT
        self.store_cell(("cell", id(thing), name), name, live, value)

    @staticmethod
    def has_live(thing: Any, name: str) -> bool:
        """Whether the strategy at hand has the attribute, itself or through its class."""
        try:
            value = getattr(thing, name)
        except AttributeError:
            return False
        return not (
            isinstance(thing, LineRoot)
            and isinstance(value, types.MethodType)
            and name not in vars(type(thing))
        )

    def belongs(self, thing: Any) -> bool:
        """Whether an object was made with the strategy: reachable from it alone."""
        return id(thing) in self.own_objects

    own_objects: set[int]

    def store_cell(self, key: Hashable, hint: str, live: Any, value: Value) -> None:
        """Store into an attribute or entry."""
        self.effects += 1
        if key in self.object_cells or self.becomes_object(live, value):
            self.store_object(key, hint, live, value)
            return
        if (isinstance(live, (dict, *LISTS)) and isinstance(value, (Items, Mapping))) or (
            isinstance(value, Items) and (live is ABSENT or live is None)
        ):
            self.store_container(key, hint, live, value)
            return
        slot = self.cell(key, hint, live)
        if slot.element is not None:
            raise self.refuse(f"puts {describe(value)} where a list was")
        if isinstance(value, Position):
            raise self.refuse("keeps a position")
        if isinstance(value, Sequence):
            raise self.refuse("keeps a list under a second name")
        scalar = self.scalar(value)
        if (
            scalar is None
            and isinstance(value, Static)
            and self.is_line(value.value)
            and not self.is_data(value.value)
        ):
            raise self.refuse("keeps a line")
        if scalar is None and isinstance(value, Static) and self.is_data(value.value):
            scalar = Number(str(self.number_of_data(value)), DATA)
        if isinstance(value, Text):
            if not self.is_read(hint):
                return
            raise self.refuse("keeps a string made in the run")
        if scalar is None:
            raise self.refuse(f"keeps {describe(value)}")
        self.out.assign(slot, scalar)
        if slot.missing:
            self.out.line(f"{slot.name}_missing = False")

    def becomes_object(self, live: Any, value: Value) -> bool:
        """Whether what is stored makes an attribute one that holds objects of the run."""
        if isinstance(live, (collections.deque, dict)):
            return False
        if isinstance(value, Items) and isinstance(live, list):
            return False
        if isinstance(value, (Items, Sequence)):
            return self.boxable(value)
        return self.is_object(value) and self.boxable(value)

    def store_object(self, key: Hashable, hint: str, live: Any, value: Value) -> None:
        """Store an object of the run. A list that was there becomes one in the next pass."""
        if isinstance(live, list) and key not in self.object_cells:
            self.object_cells.add(key)
            self.out.changed = True
            if key in self.out.slots:
                return
        if not self.boxable(value):
            raise self.refuse(f"keeps {describe(value)}")
        slot = self.cell(key, hint, live)
        self.out.assign(slot, self.boxed(value))
        if slot.missing:
            self.out.line(f"{slot.name}_missing = False")

    object_cells: set[Hashable]

    def is_read(self, name: str) -> bool:
        """Whether any method might read an attribute of this name (it may be written only)."""
        return True

    def store_container(self, key: Hashable, hint: str, live: Any, value: Value) -> None:
        """A new list or an emptied dict in an attribute."""
        if isinstance(live, dict) and isinstance(value, Mapping) and not value.values:
            self.check_single(live, lambda held: isinstance(held, Static) and held.value is live)
            for slot in self.entry_slots(live):
                if not slot.missing:
                    slot.missing = self.out.changed = True
                self.out.line(f"{slot.name}_missing = True")
            return
        if not isinstance(value, Items) or not isinstance(live, LISTS):
            raise self.refuse(f"puts {describe(value)} where {describe(Static(live))} was")
        slot = self.cell(key, hint, live)
        if type(live) is list and self.in_use(live, lambda held: getattr(held, "slot", None) is slot):
            self.object_cells.add(key)
            self.out.changed = True
            return
        self.check_single(live, lambda held: getattr(held, "slot", None) is slot)
        sequence = self.sequence(slot)
        parts = [self.held(part) for part in value.values]
        for part in parts:
            self.element(slot, part)
        self.out.line(f"{slot.name}_n = 0")
        for part in parts:
            self.append(sequence, part)

    def in_use(self, live: Any, is_it: Callable[[Value], bool]) -> bool:
        """Whether a name of a call under way, or a loop, has a list or dict."""
        held = [value for frame in self.frames for value in frame.env.values()]
        return any(map(is_it, held)) or any(slot.extra.get("live") is live for slot in self.active)

    def check_single(self, live: Any, is_it: Callable[[Value], bool]) -> None:
        """A list or dict may only be replaced while nothing else holds it: what it held would be gone there too."""
        if self.in_use(live, is_it):
            raise self.refuse("replaces a list or dict that is still in use")
        if sum(value is live for value in vars(self.strategy).values()) > 1:
            raise self.refuse("keeps one list or dict under two names")

    def cell(self, key: Hashable, hint: str, live: Any) -> Slot:
        """The slot of an attribute or entry, made at its first assignment."""
        slot = self.out.slot(key, hint)
        if not slot.written:
            slot.written = self.out.changed = True
            slot.extra["live"] = live
            if live is ABSENT:
                slot.missing = True
            elif isinstance(live, LISTS) and key not in self.object_cells:
                if any(
                    other is not slot and other.extra.get("live") is live for other in self.out.slots.values()
                ):
                    raise self.refuse("keeps one list under two names")
                slot.element = slot.element or self.element_of(live)
                slot.inexact = any(type(part) is not float for part in live)
            else:
                initial = self.initial(live, key)
                self.out.widen(slot, initial)
        return slot

    def initial(self, live: Any, key: Hashable) -> Number | Static:
        """What an attribute holds before the first bar."""
        if live is None or isinstance(live, (bool, str, enum.Enum)):
            return Static(live)
        if type(live) is list and key in self.object_cells:
            return self.initial_list(live, key)
        if type(live) is tuple or self.is_record(live):
            return self.initial_object(live, key)
        if isinstance(live, (Traced, int, float)):
            return self.scalar_argument(live, ("initial", key))
        moment = self.moment(live)
        if moment is not None:
            return moment
        if self.is_data(live):
            return Number(str(self.number_of_data(Static(live))), DATA)
        raise self.refuse(f"replaces a {type(live).__name__} while it runs")

    def initial_list(self, live: list[Any], key: Hashable) -> Number | Static:
        """A list as `__init__` left it, as an object."""
        if sum(value is live for value in vars(self.strategy).values()) > 1:
            raise self.refuse("keeps one list under two names")
        with self.writing(self.prologue):
            parts = [self.initial_part(live, number, part) for number, part in enumerate(live)]
            return self.new_list(("initial", key), parts)

    def initial_object(self, live: Any, key: Hashable) -> Number | Static:
        """An object or tuple as `__init__` left it."""
        with self.writing(self.prologue):
            if type(live) is tuple:
                live = Items(tuple(self.initial_part(live, number, part) for number, part in enumerate(live)))
                return self.boxed(live)
            return self.boxed(Static(live))

    def element_of(self, live: Any) -> str:
        """The type of what a list holds at the start."""
        kinds = {FLOAT if isinstance(part, float) else INT if isinstance(part, int) else "?" for part in live}
        if "?" in kinds:
            raise self.refuse("changes a list of objects")
        return FLOAT if FLOAT in kinds else INT if kinds else "empty"
