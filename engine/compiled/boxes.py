"""Which values become objects of the run, and which classes have instances there."""

from __future__ import annotations

import enum
import inspect
import sys
import types
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.calls import Calls
from engine.compiled.emit import ELEMENT, LIST, Tree
from engine.compiled.values import DATA, Items, Number, Record, Sequence, Static, Value, describe, is_heap


class Boxes(Calls):
    """Tells what a variable of the kernel can hold."""

    new_tuple: Callable[[Items], Number]
    new_object: Callable[[type, dict[str, Value]], Number]
    constant: Callable[[Any], Number]

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

    def is_record(self, thing: Any) -> bool:
        """Whether an object known now can be kept as one of the run."""
        cls = type(thing)
        if isinstance(thing, (type, types.ModuleType, enum.Enum)) or not self.is_record_class(cls):
            return False
        return is_frozen(cls) or self.belongs(thing)

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
            if any(name in own and not is_generated(own[name]) for name in ("__setattr__", "__delattr__")):
                return False
            if any(hasattr(entry, "__set__") and not _ordinary(entry) for entry in own.values()):
                return False
        return cls.__module__ not in sys.stdlib_module_names


def is_frozen(cls: Any) -> bool:
    """Whether instances of a class cannot be changed."""
    parameters = getattr(cls, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def is_generated(function: Any) -> bool:
    """Whether `dataclass` wrote a method."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _ordinary(entry: Any) -> bool:
    """Whether a descriptor is a property, a slot or part of every class."""
    return isinstance(entry, (property, types.MemberDescriptorType, types.GetSetDescriptorType))
