"""Dicts, and entries of anything."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable
from typing import Any

import backtrader as bt

from engine.compiled.cells import ABSENT, LISTS
from engine.compiled.dict_entries import DictEntries
from engine.compiled.emit import LIST, TUPLE
from engine.compiled.frames import Never
from engine.compiled.values import (
    BOOL,
    DATA,
    INT,
    NONE,
    UNKNOWN,
    Arguments,
    Info,
    Items,
    Keywords,
    Mapping,
    Method,
    Number,
    Record,
    Sequence,
    Static,
    Text,
    Value,
    Vector,
    Window,
    describe,
    is_heap,
)


class Dicts(DictEntries):
    """Entries by key or index."""

    is_text_of_run: Callable[[Any], bool]
    text_item: Callable[[Static, Any], Value]
    store_text_item: Callable[[Static, Any, Value], None]

    def item(self, owner: Value, index: Any) -> Value:
        """`owner[index]` and `owner[a:b]`."""
        if isinstance(owner, Static) and owner.value is None:
            raise Never("looks into None")
        if isinstance(owner, Vector):
            return self.vector_item(owner, index)
        if isinstance(index, list):
            return self.slice(owner, index)
        if isinstance(owner, Number) and is_heap(owner.type):
            shape = self.out.shape_in(owner.type)
            if shape.kind == LIST:
                return self.list_item(owner, index)
            parts = self.elements(owner)
            if parts is None:
                raise self.refuse(f"looks into a {shape.cls.__name__}")
            number = self.known(index, "an index")
            if not -len(parts) <= number < len(parts):
                raise Never("IndexError")
            return parts[number]
        if isinstance(owner, Static):
            return self.static_item(owner, index)
        if isinstance(owner, Items):
            moving = isinstance(index, Number) and index.known is UNKNOWN
            if moving and owner.site not in (None, "list") and self.boxable(owner):
                made = self.boxed(owner)
                assert isinstance(made, Number)
                return self.list_item(made, index)
            number = self.known(index, "an index")
            if not -len(owner.values) <= number < len(owner.values):
                raise Never("IndexError")
            return owner.values[number]
        if isinstance(owner, Mapping):
            key = self.known(index, "a key")
            if key not in owner.values:
                raise self.refuse(f"KeyError: {key!r}")
            return owner.values[key]
        if isinstance(owner, Sequence):
            if owner.type == "empty":
                raise Never("IndexError")
            return Number(
                f"item({owner.array}, {owner.count}, {self.whole_number(index)}, error)",
                owner.type,
                exact=owner.exact,
            )
        if isinstance(owner, Window):
            return Number(
                f"item({owner.array}[{owner.start}:{owner.stop}], {owner.stop} - {owner.start}, {self.whole_number(index)}, error)",
                owner.type,
                exact=owner.exact,
            )
        if isinstance(owner, Info):
            return self.info_entry(owner, self.known(index, "a key"))
        raise self.refuse(f"looks into {describe(owner)}")

    def static_item(self, owner: Static, index: Value) -> Value:
        """An entry of something known now."""
        thing = owner.value
        if self.is_line(thing):
            return self.line_value(thing, index)
        if thing is self.strategy:
            raise self.refuse("reads a line of the strategy itself")
        if (
            isinstance(thing, LISTS)
            and owner.cell is not None
            and (slot := self.out.slots.get(owner.cell)) is not None
            and slot.written
        ):
            return self.item(self.sequence(slot), index)
        if isinstance(thing, dict) and isinstance(index, Number) and index.type == DATA:
            return self.by_data(index, lambda data: self.static_item(owner, Static(data)))
        if isinstance(thing, dict) and self.is_text_of_run(index):
            return self.text_item(owner, index)
        if (
            isinstance(thing, (list, tuple))
            and isinstance(index, Number)
            and index.type == INT
            and index.known is UNKNOWN
        ):
            return self.chosen_item(owner, index)
        if thing is bt.Order.Status or isinstance(thing, (bt.utils.AutoDict,)):
            return Text()
        key = self.known(index, "a key")
        if isinstance(thing, dict):
            return self.entry(thing, key)
        try:
            value = thing[key]
        except LookupError as error:
            raise Never(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            raise self.refuse(f"{type(error).__name__}: {error}") from error
        return self.lifted(value, ("item", id(thing), key), in_instance=False)

    def chosen_item(self, owner: Static, index: Number) -> Value:
        """One of a few known numbers or strings, by a number of the run."""
        values = [Static(part) for part in owner.value]
        if not values or any(self.scalar(value) is None for value in values):
            raise self.refuse("picks one of several objects by a number of the run")
        index = self.held(index)
        count = len(values)
        self.out.line(f"if {index.code} >= {count} or {index.code} < {-count}: fault(error)")
        found: Value = values[-1]
        for number in range(count - 2, -1, -1):
            test = Number(f"({index.code} == {number} or {index.code} == {number - count})", BOOL)
            found = self.choose(test, (lambda v=values[number]: v, []), (lambda v=found: v, []))  # type: ignore[misc]
        return found

    def store_item(self, owner: Value, index: Value, value: Value) -> None:
        """`owner[index] = value`."""
        if isinstance(owner, Mapping):
            self.check_place(owner.where)
            owner.values[self.known(index, "a key")] = self.held(value)
            return
        if isinstance(owner, Sequence):
            self.store_element(owner, index, value)
            return
        if isinstance(owner, Number) and is_heap(owner.type):
            self.store_list_item(owner, index, value)
            return
        if isinstance(owner, Items) and owner.site not in (None, "list"):
            self.want_object(owner.site)
            return
        if not isinstance(owner, Static):
            raise self.refuse(f"sets an entry of {describe(owner)}")
        thing = owner.value
        if isinstance(thing, LISTS) and owner.cell is not None:
            self.store_element(self.sequence(self.cell(owner.cell, "list", thing)), index, value)
            return
        if not isinstance(thing, dict) or not self.belongs(thing):
            raise self.refuse(f"sets an entry of a {type(thing).__name__}")
        if isinstance(index, Number) and index.type == DATA:
            for number, data in enumerate(self.datas):
                with self.writing(self.out.block(f"if {index.code} == {number}:")):
                    self.store_item(owner, Static(data), value)
            return
        if self.is_text_of_run(index):
            self.store_text_item(owner, index, value)
            return
        key = self.known(index, "a key")
        live = thing.get(key, ABSENT)
        if (
            live is ABSENT
            and isinstance(thing, collections.defaultdict)
            and thing.default_factory is not None
        ):
            live = thing.default_factory()
        self.keep.append(thing)
        self.store_cell(self.entry_key(thing, key), "entry", live, value)

    def delete_item(self, owner: Value, index: Value) -> None:
        """`del owner[key]`."""
        if isinstance(owner, Number) and is_heap(owner.type):
            self.heap_method(owner, "pop", [index], {})
            return
        if isinstance(owner, Static) and isinstance(owner.value, dict):
            self.pop_entry(owner, [index])
            return
        if isinstance(owner, Sequence) or (isinstance(owner, Static) and isinstance(owner.value, LISTS)):
            sequence = (
                owner
                if isinstance(owner, Sequence)
                else self.sequence(self.cell(owner.cell, "list", owner.value))
            )
            self.out.line(
                f"{sequence.count} = drop({sequence.array}, {sequence.count}, {self.whole_number(index)}, error)"
            )
            return
        raise self.refuse(f"deletes an entry of {describe(owner)}")

    def static_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """A built-in method of something known now: of strings, lists and dicts."""
        owner, name = method.owner, method.name
        thing = owner.value
        if isinstance(thing, dict):
            return self.dict_method(owner, name, arguments)
        if isinstance(thing, LISTS):
            return self.list_method(owner, name, arguments, keywords)
        if isinstance(thing, str):
            if all(self.is_plain(value) for value in [*arguments, *keywords.values()]):
                return self.compute(getattr(thing, name), arguments, keywords)
            for value in [*arguments, *keywords.values()]:
                self.printable(value, formatted=name == "format" and ":" in thing)
            return Text()
        if isinstance(
            thing, (int, float, tuple, set, frozenset, datetime.date, datetime.time, datetime.timedelta)
        ) and all(self.is_plain(value) for value in [*arguments, *keywords.values()]):
            return self.compute(getattr(thing, name), arguments, keywords)
        raise self.refuse(f"calls {name}() of a {type(thing).__name__}")

    def mapping_method(self, owner: Mapping, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """Methods of a dict made in the same call."""
        if name in ("update", "pop"):
            self.check_place(owner.where)
        if name == "update":
            for value in arguments:
                owner.values.update(self.known_mapping(value))
            owner.values.update(keywords)
            return NONE
        if name == "get":
            return owner.values.get(
                self.known(arguments[0], "a key"), arguments[1] if len(arguments) > 1 else NONE
            )
        if name == "pop":
            key = self.known(arguments[0], "a key")
            if key in owner.values:
                return owner.values.pop(key)
            if len(arguments) > 1:
                return arguments[1]
        if name in ("items", "keys", "values"):
            parts: dict[str, list[Value]] = {
                "items": [Items((Static(key), value)) for key, value in owner.values.items()],
                "keys": [Static(key) for key in owner.values],
                "values": list(owner.values.values()),
            }
            return Items(tuple(parts[name]))
        raise self.refuse(f"calls {name}() of a dict")

    def contains(self, owner: Value, value: Value) -> Value:
        """`value in owner`."""
        if isinstance(owner, Number) and is_heap(owner.type) and self.elements(owner) is None:
            return Number(f"({self.find_element(owner, value)} >= 0)", BOOL)
        if isinstance(owner, Static) and isinstance(owner.value, LISTS) and owner.cell is not None:
            slot = self.out.slots.get(owner.cell)
            if slot is not None and slot.written:
                owner = self.sequence(slot)
        if isinstance(owner, Sequence):
            code = self.element_code(owner, value)
            return Number(f"(find({owner.array}, {owner.count}, {code}) >= 0)", BOOL)
        if isinstance(owner, Window):
            number = (
                self.present(value)
                if not self.is_data_value(value)
                else Number(str(self.number_of_data(value)), DATA)
            )
            return Number(
                f"(find({owner.array}[{owner.start}:{owner.stop}], {owner.stop} - {owner.start}, {number.code}) >= 0)",
                BOOL,
            )
        if isinstance(owner, Static) and isinstance(owner.value, dict):
            return self.contains_key(owner.value, value)
        if isinstance(owner, Mapping):
            return Static(self.known(value, "a key") in owner.values)
        if isinstance(owner, Info):
            return self.has_info(owner, self.known(value, "a key"))
        if isinstance(owner, Static) and isinstance(value, Static) and not self.is_line(value.value):
            return Static(value.value in owner.value)
        if (
            isinstance(owner, Static)
            and isinstance(value, Static)
            and any(part is value.value for part in owner.value)
        ):
            return Static(True)
        parts = self.elements(owner)
        if parts is None:
            raise self.refuse(f"looks for something in {describe(owner)}")
        if isinstance(value, Number):
            value = self.held(value)
        tests = [self.equal(value, part) for part in parts]
        if any(isinstance(test, Static) and test.value for test in tests):
            return Static(True)
        codes = [test.code for test in tests if isinstance(test, Number)]
        return Number("(" + " or ".join(codes) + ")", BOOL) if codes else Static(False)

    def elements(self, value: Value) -> list[Value] | None:
        """The parts of something whose length is known now, None for anything else."""
        if isinstance(value, Items):
            return list(value.values)
        if isinstance(value, Mapping):
            return [Static(key) for key in value.values]
        if isinstance(value, Record) and issubclass(value.cls, tuple):
            return list(value.values.values())
        if isinstance(value, Number) and is_heap(value.type):
            shape = self.out.shape_in(value.type)
            if shape.kind == TUPLE or (shape.cls is not None and issubclass(shape.cls, tuple)):
                return [self.field_value(value, name) for name in shape.fields]
            return None
        if not isinstance(value, Static) or self.is_line(value.value):
            return None
        thing = value.value
        if thing is None:
            return None
        if value.cell is not None and (slot := self.out.slots.get(value.cell)) is not None and slot.written:
            return None
        if isinstance(thing, dict):
            if self.entry_slots(thing) and any(slot.missing for slot in self.entry_slots(thing)):
                return None
            return [Static(key) for key in thing]
        if isinstance(thing, (list, tuple, range, set, frozenset, collections.deque)):
            if isinstance(thing, LISTS) and self.belongs(thing) and value.cell is not None:
                return [
                    self.lifted(part, ("item", id(thing), number), in_instance=False)
                    for number, part in enumerate(thing)
                ]
            return [part if isinstance(part, (Static, Number)) else Static(part) for part in thing]
        if isinstance(thing, str):
            return [Static(part) for part in thing]
        return None
