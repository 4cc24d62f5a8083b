"""Attributes of anything: which of the other parts knows them."""

from __future__ import annotations

import collections
import enum
import types
from collections.abc import Callable, Hashable
from typing import Any

import backtrader as bt

from engine.compiled.calls import Super
from engine.compiled.emit import LIST, Slot
from engine.compiled.frames import Never, class_entry
from engine.compiled.orders import Orders
from engine.compiled.traced import Traced
from engine.compiled.values import (
    BOOL,
    DATA,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    NONE,
    ORDER,
    STR,
    TIME,
    TIMEDELTA,
    Arguments,
    Info,
    Items,
    Keywords,
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
    Vector,
    describe,
    is_enum,
    is_heap,
)

INTERNALS = frozenset(
    {
        "_orders",
        "_orderspending",
        "_trades",
        "_tradespending",
        "_minperstatus",
        "_dlens",
        "_lineiterators",
        "_clock",
        "_value",
    }
)
LINE_INTERNALS = frozenset(
    {"array", "idx", "_idx", "lencount", "extension", "bidx", "mode", "useislice", "maxlen"}
)


class Attributes(Orders):
    """Reads attributes and calls methods of values."""

    read_slot: Callable[[Slot], Value]
    broker_attribute: Callable[[Any, str], Value]
    add_info: Callable[[Number, Keywords], Value]
    mapping_method: Callable[[Mapping, str, Arguments, Keywords], Value]
    sequence_method: Callable[[Sequence, str, Arguments, Keywords], Value]

    def attribute(self, owner: Value, name: str) -> Value:
        """`owner.name`."""
        if isinstance(owner, Static):
            return self.static_attribute(owner, name)
        if isinstance(owner, Number):
            return self.number_attribute(owner, name)
        if isinstance(owner, Position):
            return self.position_attribute(owner, name)
        if isinstance(owner, Trade):
            return self.trade_attribute(owner, name)
        if isinstance(owner, Record):
            if name in owner.values:
                return owner.values[name]
            return self.class_attribute(owner, owner.cls, name)
        if isinstance(owner, Info):
            if name in ("get",):
                return Method(owner, name)
            return self.info_entry(owner, name)
        if isinstance(owner, Method) and owner.name in ("order.executed", "order.created"):
            return self.order_part(owner.owner, owner.name[6:], name)
        if isinstance(owner, Vector) and name == "size":
            return Number(f"len({owner.code})", INT)
        if isinstance(owner, Text) and not hasattr(str, name):
            raise self.refuse(f"uses {name} of a string")
        return Method(owner, name)

    def class_attribute(self, owner: Value, cls: type, name: str) -> Value:
        """A method or property of a class, for an instance of it."""
        entry = class_entry(cls, name)
        if isinstance(entry, property):
            return self.inline(entry.fget, [owner], {})
        if isinstance(entry, types.FunctionType):
            return Method(owner, name, entry)
        if isinstance(entry, (bool, int, float, str, enum.Enum)):
            return Static(entry)
        raise self.refuse(f"uses {name} of a {cls.__name__}")

    def static_attribute(self, owner: Static, name: str) -> Value:
        """An attribute of an object known now."""
        thing = owner.value
        if thing is None:
            raise Never(f"uses {name} of None")
        if isinstance(thing, Super):
            return self.super_attribute(thing, name)
        if id(thing) in self.moved:
            return self.number_attribute(self.constant(thing), name)
        slot = self.out.slots.get(("cell", id(thing), name))
        if slot is not None and slot.written:
            return self.read_slot(slot)
        if isinstance(thing, bt.BrokerBase):
            return self.broker_attribute(thing, name)
        if self.is_line(thing) and name in LINE_INTERNALS:
            raise self.refuse(f"uses {name} of a line")
        if thing is self.strategy and name in INTERNALS:
            raise self.refuse(f"uses {name}, which belongs to Backtrader")
        if isinstance(thing, (type, types.ModuleType)):
            if not hasattr(thing, name):
                raise self.refuse(f"AttributeError: {name}")
            return Static(getattr(thing, name))
        entry = class_entry(type(thing), name)
        if isinstance(entry, property) and entry.fget is not None and not self.is_line(thing):
            return self.inline(entry.fget, [owner], {})
        return self.instance_attribute(owner, name, entry)

    def instance_attribute(self, owner: Static, name: str, entry: Any) -> Value:
        """An attribute of an instance, read from the strategy at hand."""
        thing = owner.value
        hook = class_entry(type(thing), "__getattr__")
        if hook is not None and not getattr(hook, "__module__", "backtrader").startswith("backtrader"):
            raise self.refuse(f"uses {name} of a {type(thing).__name__}, whose attributes are computed")
        if isinstance(thing, bt.Position):
            return self.position_attribute(self.position_value(thing), name)
        try:
            value = getattr(thing, name)
        except AttributeError as error:
            if isinstance(thing, str):
                return Method(owner, name)
            raise self.refuse(f"AttributeError: {error}") from error
        if isinstance(entry, staticmethod):
            return Static(value)
        if isinstance(value, types.MethodType) and value.__self__ is thing:
            return Method(owner, name, value.__func__)
        if callable(value) and isinstance(entry, (types.MethodDescriptorType, types.WrapperDescriptorType)):
            return Method(owner, name)
        return self.lifted(
            value,
            ("cell", id(thing), name),
            in_instance=name in getattr(thing, "__dict__", {}) or _is_params(thing),
        )

    def lifted(self, value: Any, cell: Hashable, *, in_instance: bool) -> Value:
        """A value of the strategy at hand: numbers become arguments of the kernel."""
        if isinstance(value, bt.Position):
            return self.position_value(value)
        if isinstance(value, Traced) or (
            in_instance and isinstance(value, (int, float)) and not isinstance(value, bool)
        ):
            return self.scalar_argument(value, cell)
        if isinstance(value, (list, tuple, dict, set, collections.deque)):
            return Static(value, cell)
        return Static(value, cell)

    def scalar_argument(self, value: Any, cell: Hashable) -> Number:
        """A number of the strategy that stays what it is for the whole run."""
        kind = INT if isinstance(value, int) else FLOAT
        found = self.scalars.get(cell)
        if found is None:
            prefix = "j" if kind == INT else "f"
            number = sum(1 for other in self.scalars.values() if other[1] == kind)
            found = self.scalars[cell] = (f"{prefix}{number}", kind, value)
        plain = value.value if type(value) is Traced else value
        if kind == FLOAT and type(plain) is not float:
            self.out.uses_numpy()
        return Number(found[0], kind, known=value, exact=type(plain) in (int, float))

    def position_value(self, position: Any) -> Position:
        """A position object of the broker."""
        for data, held in self.broker.positions.items():
            if held is position:
                return Position(self.datas.index(data))
        raise self.refuse("uses a position of no data")

    def super_attribute(self, thing: Super, name: str) -> Value:
        """`super().name`."""
        first = thing.instance
        kind = type(first.value) if isinstance(first, Static) else self.class_of(first)
        if kind is None:
            raise self.refuse("uses super() outside a method")
        mro = kind.__mro__
        for cls in mro[mro.index(thing.owner) + 1 :]:
            if name in vars(cls):
                entry = vars(cls)[name]
                if isinstance(entry, property):
                    return self.inline(entry.fget, [first], {})
                if isinstance(entry, types.FunctionType):
                    return Method(first, f"super.{name}", entry)
                if name == "__init__":
                    break
                if not isinstance(first, Static):
                    raise self.refuse(f"uses super().{name}")
                return Static(getattr(super(thing.owner, first.value), name))
        if name == "__init__":
            return Static(lambda: None)
        raise self.refuse(f"AttributeError: super().{name}")

    def has_attribute(self, owner: Value, name: str) -> bool:
        """hasattr(), as far as it does not change in the run."""
        if isinstance(owner, Static):
            slot = self.out.slots.get(("cell", id(owner.value), name))
            if slot is not None and slot.written and slot.missing:
                raise self.refuse(f"asks whether {name} is there, which changes in the run")
            return hasattr(owner.value, name) or (slot is not None and slot.written)
        if isinstance(owner, Record):
            return name in owner.values or hasattr(owner.cls, name)
        if isinstance(owner, Number) and is_heap(owner.type):
            shape = self.out.shape_in(owner.type)
            slot = shape.fields.get(name)
            if owner.none != "False" or (slot is not None and slot.missing):
                raise self.refuse(f"asks whether {name} is there, which changes in the run")
            return slot is not None or hasattr(shape.cls, name)
        raise self.refuse(f"asks for attributes of {describe(owner)}")

    def number_attribute(self, owner: Number, name: str) -> Value:
        """Attributes of a number: of orders, dates, datas."""
        if owner.type == ORDER:
            return self.order_attribute(owner, name)
        if is_heap(owner.type):
            if self.out.shape_in(owner.type).kind == LIST:
                return Method(owner, name)
            return self.field_value(owner, name)
        if is_enum(owner.type):
            return self.member_attribute(owner, name)
        if owner.type in (DATETIME, DATE, TIME, TIMEDELTA):
            present = self.present(owner)
            if name == "tzinfo" and owner.type in (DATETIME, TIME):
                return NONE
            if name in ("year", "month", "day", "hour", "minute", "second", "microsecond", "days", "seconds"):
                return self.attribute_of_moment(present, name)
            return Method(present, name)
        if owner.type == STR:
            return Method(owner, name)
        if owner.type == DATA:
            return self.data_attribute(owner, name)
        if owner.type == FLOAT and name in ("is_integer",):
            return Method(owner, name)
        raise self.refuse(f"uses {name} of a {owner.type}")

    def member_attribute(self, owner: Number, name: str) -> Value:
        """An attribute of a member of an enumeration."""
        if name in ("value", "name", "_value_", "_name_"):
            return self.enum_value(Number(self.present(owner).code, owner.type), name.strip("_"))
        cls = self.out.enum_in(owner.type)
        entry = class_entry(cls, name)
        if isinstance(entry, (property, types.FunctionType)):
            return self.class_attribute(owner, cls, name)
        raise self.refuse(f"uses {name} of a {cls.__name__}")

    def value_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of a value of the run."""
        owner, name = method.owner, method.name
        if isinstance(owner, Vector):
            return self.vector_method(method, arguments, keywords)
        if isinstance(owner, Number) and is_heap(owner.type):
            return self.heap_method(owner, name, arguments, keywords)
        if isinstance(owner, Number) and owner.type == ORDER:
            if name == "addinfo" and not arguments:
                return self.add_info(owner, keywords)
            return self.order_method(owner, name, arguments)
        if isinstance(owner, Number) and owner.type in (DATETIME, DATE, TIME, TIMEDELTA):
            if name == "replace":
                raise self.refuse(f"calls replace() of a {owner.type}")
            return self.attribute_of_moment(owner, f"{name}()")
        if isinstance(owner, Info):
            return self.info_get(owner, arguments)
        if isinstance(owner, Text) or (isinstance(owner, Number) and owner.type == STR):
            if name in ("append", "startswith", "endswith"):
                raise self.refuse(f"calls {name}() of a string made in the run")
            return Text()
        if isinstance(owner, Mapping):
            return self.mapping_method(owner, name, arguments, keywords)
        if isinstance(owner, Sequence):
            return self.sequence_method(owner, name, arguments, keywords)
        if isinstance(owner, Items) and name in ("index", "count"):
            raise self.refuse(f"calls {name}() of a list")
        if isinstance(owner, Items) and name in ("append", "extend", "pop", "remove", "insert", "clear"):
            if owner.site in (None, "list"):
                raise self.refuse(f"calls {name}() of a list made in the same call")
            self.want_object(owner.site)
            return NONE
        if isinstance(owner, Trade):
            return Text() if name == "getdataname" else self.refuse_call(name, "a trade")
        if isinstance(owner, Number) and name == "is_integer":
            return Number(f"({owner.code} == np.floor({owner.code}))", BOOL)
        raise self.refuse(f"calls {name}() of {describe(owner)}")

    def refuse_call(self, name: str, what: str) -> Value:
        """Refuse a method."""
        raise self.refuse(f"calls {name}() of {what}")


def _is_params(thing: Any) -> bool:
    return isinstance(thing, bt.metabase.AutoInfoClass)
