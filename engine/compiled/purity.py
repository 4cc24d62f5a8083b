"""Whether making a strategy depends on nothing but its parameters and the structure of its datas.

Two proofs together. `witness_of` reads the bytecode of all that the classes can reach and takes down every global,
class attribute, default and closure cell they use; whatever could change unseen (a list, an object, an unknown module)
ends it, and `Witness.holds` tells later whether all of it is still the same. `watched` looks on while the strategy is
made and notes whatever the code of its author calls that could tell it more: values of its bars, the clock, files,
random numbers.
"""

from __future__ import annotations

import dataclasses
import dis
import enum
import gc
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time, timedelta, tzinfo
from typing import Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineBuffer

MODULES = frozenset({"backtrader", "math", "cmath", "operator", "itertools", "functools", "collections", "datetime", "enum", "typing", "numbers", "abc", "dataclasses", "__future__", "numpy"})  # fmt: skip
"""Modules that code may refer to; what it calls there is looked at when it is called."""
TRUSTED = frozenset(
    {"backtrader", "engine", "numpy", "pandas", "pyarrow", "pytz", "dateutil", "numba", "llvmlite"}
)
"""Whose code may run between the author's own; it reads nothing but what it is given and its own state."""
CALLED = frozenset({"backtrader", "collections", "enum", "functools", "typing", "numbers", "abc", "operator"})
"""What the author's code may call in Python."""
HOUSE = frozenset({"core.types", "core.space", "core.errors", "zoneinfo"})
"""Modules of plain values."""
BANNED = frozenset({"array", "buflen", "dataname", "_dataname", "known_bars", "_columns", "random", "_idx", "lencount", "useislice", "__dict__", "__globals__", "_load", "preload", "f_globals"})  # fmt: skip
"""Attributes that lead to the bars themselves, to chance, or around what is noted here."""
BUILTINS = frozenset({"abs", "all", "any", "bool", "callable", "chr", "dict", "divmod", "enumerate", "filter", "float", "frozenset", "getattr", "hasattr", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set", "setattr", "slice", "sorted", "str", "sum", "super", "tuple", "type", "zip", "NotImplemented", "Ellipsis", "__debug__", "__name__", "staticmethod", "classmethod"})  # fmt: skip
CALLABLE = BUILTINS - {"print"}
CONTAINERS = (list, dict, set, frozenset, tuple, str, int, float, date, time, timedelta, range)
CLOCKS = frozenset({"now", "today", "utcnow", "fromtimestamp", "utcfromtimestamp", "astimezone", "timestamp"})
LIBRARIES = ("math", "_operator", "itertools", "_functools", "_collections")
FIXED = (type(None), bool, int, float, complex, str, bytes, date, time, timedelta, tzinfo, type(Ellipsis))
HOOKS = frozenset({"__getattr__", "__getattribute__", "__setattr__", "__delattr__"})
BY_BACKTRADER = frozenset({"params", "lines", "plotinfo", "plotlines", "plotlabel", "_lines", "__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__qualname__", "__orig_bases__", "__parameters__", "__type_params__", "__static_attributes__", "__firstlineno__"})  # fmt: skip
"""Attributes of classes that are noted, not looked into."""
READS = frozenset(
    function.__code__
    for name in (
        "__getitem__",
        "get",
        "getzero",
        "getzeroval",
        "date",
        "datetime",
        "time",
        "dt",
        "tm",
        "tm_raw",
        "tm2datetime",
        "tm2dtime",
        "tm_lt",
        "tm_le",
        "tm_eq",
        "tm_gt",
        "tm_ge",
        "plot",
        "plotrange",
    )
    if isinstance(function := getattr(LineBuffer, name, None), types.FunctionType)
)
ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR"})
NAMING = ATTRIBUTES | {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "STORE_NAME", "DELETE_NAME"} | {"LOAD_FROM_DICT_OR_GLOBALS", "IMPORT_NAME", "IMPORT_FROM"}  # fmt: skip
"""Instructions with a name, from Python 3.11 to 3.13; another one makes code unreadable."""
_MISSING: Any = object()
MOST = 3000


class _Impure(Exception):
    """Something that could make two strategies with the same parameters differ."""


@dataclass(slots=True)
class Witness:
    """What the code of some classes uses from outside, as it was. codes: all code objects they can reach."""

    entries: list[tuple[Any, Any, Any]] = field(default_factory=list)
    sizes: list[tuple[Any, int]] = field(default_factory=list)
    cells: list[tuple[Any, Any]] = field(default_factory=list)
    functions: list[tuple[Any, Any, Any, Any]] = field(default_factory=list)
    bases: list[tuple[type, Any]] = field(default_factory=list)
    lists: list[tuple[list[Any], tuple[Any, ...]]] = field(default_factory=list)
    codes: set[types.CodeType] = field(default_factory=set)

    def holds(self) -> bool:
        """Whether all is still the same."""
        return (
            all(space.get(name, _MISSING) is value for space, name, value in self.entries)
            and all(len(space) == size for space, size in self.sizes)
            and all(cell.cell_contents is value for cell, value in self.cells)
            and all(
                f.__code__ is code and f.__defaults__ is defaults and f.__kwdefaults__ is named
                for f, code, defaults, named in self.functions
            )
            and all(cls.__mro__ is mro for cls, mro in self.bases)
            and all(
                len(parts) == len(values) and all(a is b for a, b in zip(values, parts, strict=True))
                for values, parts in self.lists
            )
        )


def witness_of(*roots: type) -> Witness | None:
    """The witness of some classes; None when they use what could change unseen."""
    reader = _Reader()
    try:
        for root in roots:
            reader.visit(root)
    except (_Impure, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return None
    return reader.witness


class _Reader:
    """Follows names from class to function to class."""

    def __init__(self) -> None:
        self.witness = Witness()
        self._seen: dict[int, Any] = {}

    def visit(self, value: Any) -> None:
        """Take down what a value consists of; raises _Impure where it can change."""
        kind = type(value)
        if kind in FIXED or isinstance(value, tzinfo) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if len(self._seen) > MOST:
            raise _Impure
        if kind in (tuple, frozenset):
            for part in value:
                self.visit(part)
        elif isinstance(value, types.ModuleType):
            if not _from(value.__name__, MODULES):
                raise _Impure
        elif isinstance(value, type):
            self._class(value)
        elif kind is types.FunctionType:
            if not _from(value.__module__, MODULES):
                self._function(value)
        elif kind is types.MemberDescriptorType:
            return
        elif kind in (staticmethod, classmethod):
            self.visit(value.__func__)
        elif kind is property:
            for part in (value.fget, value.fset, value.fdel):
                self.visit(part)
        elif kind is types.BuiltinFunctionType:
            allowed = value.__name__ in BUILTINS if value.__module__ == "builtins" else False
            if not allowed and value.__module__ not in LIBRARIES:
                raise _Impure
        elif isinstance(value, enum.Enum):
            self.visit(kind)
        elif kind is dict:
            self.witness.sizes.append((value, len(value)))
            for name, part in value.items():
                self.visit(name)
                self.witness.entries.append((value, name, part))
                self.visit(part)
        elif kind is list:
            self.witness.lists.append((value, tuple(value)))
            for part in value:
                self.visit(part)
        elif dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:
            # Its methods are not read: a strategy that calls one while it is made is seen doing so.
            for entry in dataclasses.fields(value):
                self.visit(getattr(value, entry.name))
        else:
            raise _Impure

    def _class(self, cls: type) -> None:
        if cls.__module__ == "builtins":
            if cls.__name__ not in BUILTINS and not issubclass(cls, BaseException):
                raise _Impure
            return
        if _from(cls.__module__, MODULES):
            return
        meta = type(cls)
        if not (meta is type or _from(meta.__module__, MODULES)):
            raise _Impure
        self.witness.bases.append((cls, cls.__mro__))
        members = issubclass(cls, enum.Enum)
        for base in cls.__mro__:
            if base.__module__ == "builtins" or _from(base.__module__, MODULES):
                continue
            space = vars(base)
            self.witness.sizes.append((space, len(space)))
            for name, value in list(space.items()):
                self.witness.entries.append((space, name, value))
                if name.startswith("__dataclass_") or _generated(value):
                    self._dataclass(base, value)
                    continue
                if name in HOOKS and not members:
                    raise _Impure
                if name in BY_BACKTRADER or (members and name.startswith("_") and name.endswith("_")):
                    continue
                if members and (isinstance(value, base) or type(value).__module__ in ("enum", "types")):
                    continue
                self.visit(value)

    def _dataclass(self, cls: type, value: Any) -> None:
        """What `dataclass` writes into a class: it stores what it is given, and defaults."""
        if not dataclasses.is_dataclass(cls):
            raise _Impure
        for entry in dataclasses.fields(cls):
            if entry.default_factory is not dataclasses.MISSING:
                self.visit(entry.default_factory)
            if entry.default is not dataclasses.MISSING:
                self.visit(entry.default)
        if isinstance(value, types.FunctionType):
            self.witness.codes.add(value.__code__)

    def _function(self, function: Any) -> None:
        code, space = function.__code__, function.__globals__
        self.witness.functions.append((function, code, function.__defaults__, function.__kwdefaults__))
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.visit(value)
        for cell in function.__closure__ or ():
            self.witness.cells.append((cell, cell.cell_contents))
            self.visit(cell.cell_contents)
        self._code(code, space)

    def _code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        self.witness.codes.add(code)
        steps = list(dis.get_instructions(code))
        for number, step in enumerate(steps):
            name = step.argval
            if step.opcode in dis.hasname and step.opname not in NAMING:
                raise _Impure  # an instruction this reader does not know
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                following = steps[number + 1] if number + 1 < len(steps) else step
                read = following.opname in ("LOAD_ATTR", "LOAD_METHOD")
                self._global(name, space, following.argval if read else None)
            elif step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME", "IMPORT_STAR") or (
                step.opname in ATTRIBUTES
                and name in BANNED
                and not (number and name == "array" and _is_numpy(steps[number - 1], space))
            ):
                raise _Impure
        for part in code.co_consts:
            if isinstance(part, types.CodeType):
                self._code(part, space)
            elif isinstance(part, str) and part in BANNED:
                raise _Impure  # the name of an attribute, perhaps

    def _global(self, name: str, space: dict[str, Any], attribute: str | None = None) -> None:
        """A global; of a module that is none of `MODULES` the one attribute that is read."""
        value = space.get(name, _MISSING)
        self.witness.entries.append((space, name, value))
        if value is _MISSING:
            builtins = space.get("__builtins__", {})
            builtins = builtins if isinstance(builtins, dict) else vars(builtins)
            value = builtins.get(name, _MISSING)
            self.witness.entries.append((builtins, name, value))
        if isinstance(value, types.ModuleType) and not _from(value.__name__, MODULES) and attribute:
            space = vars(value)
            self.witness.entries.append((space, attribute, space[attribute]))
            value = space[attribute]
        if value is not _MISSING:
            self.visit(value)


def _is_numpy(step: dis.Instruction, space: dict[str, Any]) -> bool:
    """Whether an instruction reads numpy, whose `array` is no line's."""
    return step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and space.get(step.argval) is np


def _from(module: str | None, tops: frozenset[str]) -> bool:
    return (module or "").partition(".")[0] in tops or module in HOUSE


def _generated(value: Any) -> bool:
    """Whether a function has no source, as those that `dataclass` writes."""
    function = getattr(value, "__wrapped__", value)
    return isinstance(function, types.FunctionType) and function.__code__.co_filename == "<string>"


@dataclass(slots=True)
class Watch:
    """problem: the first thing the author's code did that could make its outcome another; "" when there is none."""

    problem: str = ""


@contextmanager
def watched(witness: Witness) -> Iterator[Watch]:
    """Look on while strategies are made in this thread; impossible, and said so, under another profiler.

    The garbage collector rests meanwhile: what it calls (finalizers, `gc.callbacks`) would seem to be called by the
    author's code.
    """
    watch = Watch()
    if sys.getprofile() is not None:
        watch.problem = "another profiler is at work"
        yield watch
        return
    collects = gc.isenabled()
    gc.disable()
    sys.setprofile(_onlooker(witness.codes, watch))
    try:
        yield watch
    finally:
        sys.setprofile(None)
        if collects:
            gc.enable()


def _onlooker(codes: set[types.CodeType], watch: Watch) -> Callable[[Any, str, Any], None]:
    standard = sys.stdlib_module_names

    def below(frame: Any) -> bool:
        while frame is not None:
            if frame.f_code in codes:
                return True
            frame = frame.f_back
        return False

    def look(frame: Any, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            if code in codes:
                return
            module = frame.f_globals.get("__name__", "")
            top = module.partition(".")[0]
            caller = frame.f_back
            if code in READS and below(caller):
                watch.problem = watch.problem or "reads its bars while it is made"
            elif caller is not None and caller.f_code in codes:
                if not _from(module, CALLED) and module != "engine.compiled.traced":
                    watch.problem = watch.problem or f"calls {module}.{code.co_qualname}"
            elif top not in TRUSTED and top not in standard and below(caller):
                watch.problem = watch.problem or f"runs {module}.{code.co_qualname}"
        elif event == "c_call" and code in codes and not _harmless(argument):
            watch.problem = watch.problem or f"calls {getattr(argument, '__qualname__', argument)}"

    return look


def _harmless(function: Any) -> bool:
    """Whether a function of C tells nothing but what follows from its arguments."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if name in CLOCKS:
        return False
    if isinstance(owner, types.ModuleType):
        top = owner.__name__
        return name in CALLABLE if top == "builtins" else top in LIBRARIES
    if isinstance(owner, type):
        return owner.__module__ in ("builtins", "datetime", "collections") and name != "__subclasses__"
    if name in ("__init__", "__setattr__", "__eq__", "__ne__", "__hash__") and owner is not None:
        return name != "__hash__"
    if isinstance(owner, (*CONTAINERS, bt.metabase.AutoInfoClass)):
        return True
    return owner is None and getattr(function, "__objclass__", None) in CONTAINERS


__all__ = ["Watch", "Witness", "watched", "witness_of"]
