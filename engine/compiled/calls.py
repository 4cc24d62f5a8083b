"""Calls: written out in place where there is source, computed where the function is known."""

from __future__ import annotations

import ast
import builtins
import collections
import dataclasses
import datetime
import enum
import inspect
import logging
import math
import os
import sys
import types
import zoneinfo
from collections.abc import Callable, Hashable
from typing import Any

import backtrader as bt
import numpy as np

from engine.compiled.emit import LIST, Tree
from engine.compiled.expressions import NONE
from engine.compiled.sums import Sums
from engine.compiled.values import (
    BOOL,
    DATETIME,
    FLOAT,
    INT,
    NUMERIC,
    ORDER,
    STR,
    TIMEDELTA,
    Closure,
    Either,
    Items,
    Mapping,
    Method,
    Number,
    Record,
    Sequence,
    Static,
    Text,
    Value,
    Window,
    is_enum,
    is_handle,
    is_heap,
)
from engine.compiled.walk import DEPTH_LIMIT, Context, Frame, Never, describe, parsed

LIBRARIES = (f"{os.sep}site-packages{os.sep}", os.path.dirname(os.__file__) + os.sep)
"""Folders whose functions are not written out: they may do anything."""
Arguments = list[Value]
Keywords = dict[str, Value]

PURE = frozenset(
    {
        *(
            len,
            range,
            str,
            repr,
            int,
            float,
            bool,
            abs,
            min,
            max,
            sum,
            round,
            frozenset,
            sorted,
        ),
        *(
            reversed,
            enumerate,
            zip,
            any,
            all,
            type,
            isinstance,
            issubclass,
            hasattr,
            callable,
            divmod,
            pow,
            map,
            ord,
            chr,
        ),
        *(getattr(math, name) for name in dir(math) if not name.startswith("_")),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.datetime.strptime),
        *(collections.OrderedDict, collections.defaultdict, collections.deque),
        *(datetime.datetime.combine, datetime.date.fromisoformat, datetime.datetime.fromisoformat),
    }
    - {math.pi, math.e, math.inf, math.nan, math.tau}
)
"""Functions that may be called now when every argument is known."""
FLOAT_FUNCTIONS = {
    math.sqrt: "square_root({0}, error)",
    math.log: "logarithm({0}, error)",
    math.exp: "exponential({0}, error)",
    math.fabs: "abs({0})",
    math.sin: "math.sin({0})",
    math.cos: "math.cos({0})",
    math.tan: "math.tan({0})",
    math.atan: "math.atan({0})",
    math.tanh: "math.tanh({0})",
    math.log10: "(logarithm({0}, error) * 0.0 + math.log10({0}))",
    np.sqrt: "np.sqrt({0})",
    np.log: "np.log({0})",
    np.exp: "np.exp({0})",
    np.sin: "math.sin({0})",
    np.cos: "math.cos({0})",
}
WHOLE_FUNCTIONS = {
    math.floor: "floor({0}, error)",
    math.ceil: "ceil({0}, error)",
    math.trunc: "whole({0}, error)",
}
TESTS = {
    math.isnan: "np.isnan({0})",
    math.isfinite: "np.isfinite({0})",
    math.isinf: "np.isinf({0})",
    np.isnan: "np.isnan({0})",
    np.isfinite: "np.isfinite({0})",
    np.isinf: "np.isinf({0})",
}
SILENT = frozenset({print, sys.stdout.write, sys.stderr.write})
"""Functions without effect on the run: left out."""
LOGGING = frozenset(
    {
        logging.debug,
        logging.info,
        logging.warning,
        logging.error,
        logging.critical,
        logging.log,
        logging.exception,
    }
)
KINDS: dict[str, Any] = {
    FLOAT: float,
    INT: int,
    BOOL: bool,
    STR: str,
    DATETIME: datetime.datetime,
    TIMEDELTA: datetime.timedelta,
    "date": datetime.date,
    "time": datetime.time,
}


class Super:
    """What `super()` gives: attributes of the classes after `owner`, for `instance`."""

    def __init__(self, owner: type, instance: Any) -> None:
        """owner: the class whose code says `super()`; instance: the value of its first parameter."""
        self.owner, self.instance = owner, instance


class Calls(Sums):
    """Calls of functions, methods and classes."""

    walked: dict[Any, None]
    dropped: list[tuple[str, int, str]]
    market_call: Callable[[Any, str, Arguments, Keywords], Value | None]
    value_method: Callable[[Method, Arguments, Keywords], Value]
    static_method: Callable[[Method, Arguments, Keywords], Value]
    has_attribute: Callable[[Value, str], bool]
    order_class: Any

    def call(self, node: ast.Call) -> Value:
        """The value of a call."""
        if isinstance(node.func, ast.Name) and node.func.id == "super" and "super" not in self.frame.env:
            return self.super_of(node)
        function = self.evaluate(node.func)
        if self.is_silent(function):
            for part in [*node.args, *(keyword.value for keyword in node.keywords)]:
                self.discard(self.evaluate(part.value if isinstance(part, ast.Starred) else part))
            self.drop(node)
            return NONE
        arguments, keywords = self.arguments(node)
        return self.invoke(function, arguments, keywords)

    def drop(self, node: ast.AST) -> None:
        """Note a call that is left out."""
        frame = self.frame
        if frame.own and getattr(node, "lineno", None):
            entry = (frame.file, node.lineno, ast.unparse(node))  # type: ignore[attr-defined]
            if entry not in self.dropped:
                self.dropped.append(entry)

    def is_silent(self, function: Value) -> bool:
        """Whether a function only prints or logs."""
        if isinstance(function, Static):
            try:
                return function.value in SILENT or function.value in LOGGING
            except TypeError:
                return False
        return (
            isinstance(function, Method)
            and isinstance(function.owner, Static)
            and isinstance(function.owner.value, (logging.Logger, logging.LoggerAdapter))
        )

    def super_of(self, node: ast.Call) -> Value:
        """`super()` and `super(Class, self)`."""
        if node.args:
            owner, instance = (self.evaluate(part) for part in node.args)
            return Static(Super(owner.value, instance))
        if self.frame.owner is None:
            raise self.refuse("uses super() outside a method", node)
        return Static(Super(self.frame.owner, self.frame.first))

    def arguments(self, node: ast.Call) -> tuple[Arguments, Keywords]:
        """The values of a call's arguments."""
        found: Arguments = []
        for part in node.args:
            if isinstance(part, ast.Starred):
                known = self.elements(self.evaluate(part.value))
                if known is None:
                    raise self.refuse("unpacks something of unknown length", node)
                found.extend(known)
            else:
                found.append(self.evaluate(part))
        keywords: Keywords = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None:
                keywords.update({str(key): entry for key, entry in self.known_mapping(value).items()})
            else:
                keywords[keyword.arg] = value
        return found, keywords

    def invoke(self, function: Value, arguments: Arguments, keywords: Keywords) -> Value:
        """Call a value."""
        if isinstance(function, Closure):
            return self.inline_closure(function, arguments, keywords)
        if isinstance(function, Either):
            return self.invoke_either(function, arguments, keywords)
        if isinstance(function, Method):
            return self.invoke_method(function, arguments, keywords)
        if not isinstance(function, Static):
            raise self.refuse(f"calls {describe(function)}")
        return self.invoke_static(function.value, arguments, keywords)

    def invoke_either(self, function: Either, arguments: Arguments, keywords: Keywords) -> Value:
        """Call one of two functions."""
        trees: list[Tree] = [[], []]
        found = []
        for tree, part in zip(trees, (function.first, function.second), strict=True):
            with self.writing(tree):
                found.append(self.invoke(part, arguments, keywords))
        first, second = found
        return self.choose(
            Number(function.condition, BOOL), (lambda: first, trees[0]), (lambda: second, trees[1])
        )

    def invoke_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """Call a bound method."""
        if isinstance(method.owner, Static):
            found = self.market_call(method.owner.value, method.name, arguments, keywords)
            if found is not None:
                return found
            if method.function is not None:
                return self.inline(method.function, [method.owner, *arguments], keywords)
            return self.static_method(method, arguments, keywords)
        if isinstance(method.function, types.FunctionType):
            return self.inline(method.function, [method.owner, *arguments], keywords)
        return self.value_method(method, arguments, keywords)

    def invoke_static(self, function: Any, arguments: Arguments, keywords: Keywords) -> Value:
        """Call a function or class known now."""
        special = self.special(function, arguments, keywords)
        if special is not None:
            return special
        if isinstance(function, types.MethodType):
            return self.inline(function.__func__, [Static(function.__self__), *arguments], keywords)
        if isinstance(function, types.FunctionType):
            return self.inline(function, arguments, keywords)
        if isinstance(function, type):
            return self.construct(function, arguments, keywords)
        raise self.refuse(
            f"calls {getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}".lstrip(
                "."
            )
        )

    def construct(self, cls: type, arguments: Arguments, keywords: Keywords) -> Value:
        """An instance of a plain dataclass, or of an enumeration by its value."""
        everything = [*arguments, *keywords.values()]
        if issubclass(cls, (enum.Enum, BaseException)) and all(
            isinstance(value, Static) for value in everything
        ):
            return Static(cls(*(value.value for value in arguments)))
        if issubclass(cls, datetime.timedelta):
            return self.make_timedelta(arguments, keywords)
        if issubclass(cls, (datetime.date, datetime.time)):
            return Static(
                cls(
                    *(self.known(v, "a date") for v in arguments),
                    **{k: self.known(v, "a date") for k, v in keywords.items()},
                )
            )
        if issubclass(cls, enum.Enum) and len(everything) == 1:
            return self.member_of(cls, everything[0])
        if cls is zoneinfo.ZoneInfo:
            return Static(cls(*(self.known(value, "a time zone") for value in arguments)))
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            bound = inspect.signature(cls).bind(*arguments, **keywords)
            bound.apply_defaults()
            return Record(
                cls,
                {
                    n: v if not isinstance(v, (int, float, str, type(None))) else Static(v)
                    for n, v in bound.arguments.items()
                },
            )
        return self.make(cls, arguments, keywords)

    make: Callable[[type, Arguments, Keywords], Value]
    member_of: Callable[[Any, Value], Value]
    replaced: Callable[[Arguments, Keywords], Value]
    class_of: Callable[[Value], type | None]
    count_of: Callable[[Number], str]
    words_of: Callable[[Number], tuple[str, str]]
    list_of: Callable[..., Number]

    def make_timedelta(self, arguments: Arguments, keywords: Keywords) -> Value:
        """timedelta() of whole numbers of the run."""
        units = {
            "days": 86_400_000_000,
            "seconds": 1_000_000,
            "microseconds": 1,
            "milliseconds": 1000,
            "minutes": 60_000_000,
            "hours": 3_600_000_000,
            "weeks": 604_800_000_000,
        }
        given = dict(zip(units, arguments, strict=False)) | keywords
        codes = [f"{self.whole_number(value)} * {units[name]}" for name, value in given.items()]
        return Number(f"({' + '.join(codes) or '0'})", TIMEDELTA)

    # -- written out in place

    def inline_closure(self, closure: Closure, arguments: Arguments, keywords: Keywords) -> Value:
        """A lambda or inner function."""
        if keywords:
            raise self.refuse("calls an inner function by keyword")
        node, outer = closure.node, closure.frame
        names = [argument.arg for argument in node.args.args]
        if len(names) != len(arguments):
            raise self.refuse("calls an inner function with defaults")
        body = (
            [ast.copy_location(ast.Return(node.body), node.body)]
            if isinstance(node, ast.Lambda)
            else node.body
        )
        frame = Frame(
            "inner",
            (*self.site(), "inner"),
            outer.file,
            {},
            outer.scope,
            owner=outer.owner,
            first=outer.first,
            outer=outer,
            own=outer.own,
        )
        return self.run_frame(frame, body, dict(zip(names, arguments, strict=True)))

    def inline(self, function: Any, arguments: Arguments, keywords: Keywords) -> Value:
        """A function with source: its body is written out here."""
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        node, file = parsed(function)
        if any(part in file for part in LIBRARIES) and not function.__module__.startswith("backtrader"):
            raise self.refuse(f"calls {function.__module__}.{function.__qualname__}")
        if any(isinstance(part, (ast.Yield, ast.YieldFrom, ast.Await)) for part in ast.walk(node)):
            raise self.refuse(f"{function.__name__} is a generator")
        try:
            bound = inspect.signature(function).bind(*arguments, **keywords)
        except TypeError as error:
            raise self.refuse(f"TypeError: {function.__name__}: {error}") from error
        values: dict[str, Value] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            given = bound.arguments.get(name)
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                values[name] = Items(tuple(given or ()))
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                values[name] = Mapping(dict(given or {}))
            else:
                values[name] = Static(parameter.default) if given is None else given
        first = next(iter(values.values()), None)
        scope = dict(function.__globals__)
        if function.__closure__:
            cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
            for name, cell in cells:
                try:
                    scope[name] = cell.cell_contents
                except ValueError:
                    continue
        owner = self.owner_of(function, first)
        own = not function.__module__.startswith("backtrader")
        if own:
            self.walked.setdefault(function)
        frame = Frame(
            function.__name__,
            (*self.site(), function.__qualname__),
            file,
            {},
            scope,
            owner=owner,
            first=first,
            own=own,
        )
        if isinstance(node, ast.Lambda):
            return self.run_frame(frame, [ast.copy_location(ast.Return(node.body), node.body)], values)
        return self.run_frame(frame, node.body, values)

    def owner_of(self, function: Any, first: Value) -> type | None:
        """The class a method stands in."""
        kind = type(first.value) if isinstance(first, Static) else self.class_of(first)
        for cls in () if kind is None else kind.__mro__:
            for entry in vars(cls).values():
                inner = getattr(entry, "fget", None) or getattr(entry, "__func__", None) or entry
                if inner is function:
                    return cls
        return None

    def run_frame(self, frame: Frame, body: list[ast.stmt], values: dict[str, Value]) -> Value:
        """Walk a body with its own names; the value it returns."""
        if len(self.frames) > DEPTH_LIMIT:
            raise self.refuse(f"{frame.name} calls itself, or calls go deeper than {DEPTH_LIMIT}")
        returns = [part for part in _statements(body) if isinstance(part, ast.Return)]
        simple = not returns or (len(returns) == 1 and body[-1] is returns[0])
        context = None if simple else Context("call", flag=f"r{self.unique()}")
        frame.context = context
        self.frames.append(frame)
        path, self.path = self.path, []
        try:
            for name, value in values.items():
                frame.env[name] = self.frozen(value, name)
            if context is None:
                self.walk(body)
                if self.dead and not frame.returns:
                    self.dead = False
                    raise Never(f"{frame.name} raises")
                self.dead = False
                return self.held_items(frame.returns[-1]) if frame.returns else NONE
            return self.run_with_exits(frame, context, body)
        finally:
            self.frames.pop()
            self.path = path

    def held_items(self, value: Value) -> Value:
        """The value as it stands at the end of the call."""
        if not isinstance(value, Items):
            return value
        return Items(tuple(self.held(part) for part in value.values), value.site)

    def run_with_exits(self, frame: Frame, context: Context, body: list[ast.stmt]) -> Value:
        """A call with several ways out: a loop that runs once, left by `break`."""
        start = self.out.place()
        self.contexts.append(context)
        with self.writing(self.out.block("while True:")):
            self.walk(body)
            if not self.dead:
                self.store_return(NONE)
                self.out.line("break")
        self.contexts.pop()
        self.dead = False
        if context.jumped:
            start.append(f"{context.flag} = False")
        return self.result_of(frame)

    def result_of(self, frame: Frame) -> Value:
        """The one value a call with several returns has."""
        returns = frame.returns
        if not returns:
            self.dead = True
            return NONE
        first = returns[0]
        if all(isinstance(value, Static) and value.value is None for value in returns):
            return NONE
        if any(isinstance(value, Text) for value in returns):
            return Text()
        items = [value for value in returns if isinstance(value, Items)]
        if items:
            sizes = {len(value.values) for value in items}
            plain = all(self.scalar(part) is not None for value in items for part in value.values)
            if len(items) != len(returns) or len(sizes) != 1 or not plain:
                return self.returned_object(frame)
            return Items(
                tuple(self.returned(frame, (*("return", frame.path), i)) for i in range(sizes.pop()))
            )
        if all(isinstance(value, Static) and value.value is first.value for value in returns) and isinstance(
            first, Static
        ):
            return first
        if any(self.scalar(value) is None for value in returns):
            return self.returned_object(frame)
        return self.returned(frame, ("return", frame.path))

    def returned_object(self, frame: Frame) -> Value:
        """One of several objects: handles from the next pass on; this one goes on with their type."""
        if not all(map(self.boxable, frame.returns)):
            raise self.refuse(f"{frame.name} returns one of several objects")
        self.boxed_returns.add(frame.path)
        self.out.changed = True
        slot = self.out.slot(("return", frame.path), frame.name)
        with self.writing([]):
            for value in frame.returns:
                self.out.widen(slot, self.boxed(value))
        return slot.number() if slot.type is not None else NONE

    def returned(self, frame: Frame, key: tuple[Any, ...]) -> Value:
        """A returned value, kept from the next call of the same function."""
        slot = self.out.slots[key]
        if slot.type is None:
            return NONE
        return slot.number()

    # -- functions with a meaning of their own

    def special(self, function: Any, arguments: Arguments, keywords: Keywords) -> Value | None:
        """Built-in functions and those of math and numpy; None for any other."""
        try:
            hash(function)
        except TypeError:
            return None
        everything = [*arguments, *keywords.values()]
        if function is dataclasses.replace:
            return self.replaced(arguments, keywords)
        if function in (isinstance, hasattr, getattr, len, setattr):
            return getattr(self, f"call_{function.__name__}")(arguments, keywords)
        if function in PURE and all(self.is_plain(value) for value in everything):
            return self.compute(function, arguments, keywords)
        if function is bt.num2date and len(arguments) == 1:
            return Number(f"moment_of({self.floating(arguments[0])}, error)", DATETIME)
        if (
            function is bt.date2num
            and len(arguments) == 1
            and isinstance(arguments[0], Number)
            and arguments[0].type in (DATETIME, "date")
        ):
            number = self.present(arguments[0])
            return Number(
                f"day_number({number.code})" if number.type == DATETIME else f"float({number.code})", FLOAT
            )
        handler = getattr(self, f"call_{function.__name__}", None) if function in _BUILT_IN else None
        if handler is not None:
            value: Value = handler(arguments, keywords)
            return value
        for table, kind in ((FLOAT_FUNCTIONS, FLOAT), (WHOLE_FUNCTIONS, INT), (TESTS, BOOL)):
            if function in table and len(arguments) == 1 and not keywords:
                numpys = isinstance(function, np.ufunc)
                if numpys:
                    self.out.uses_numpy()
                code = table[function].format(self.floating(arguments[0]))
                return Number(code, kind, exact=kind == FLOAT and not numpys)
        if function is math.nextafter and len(arguments) == 2 and not keywords:
            return Number(f"np.nextafter({', '.join(map(self.floating, arguments))})", FLOAT, exact=True)
        if function is math.pow:
            return Number(
                f"power({self.floating(arguments[0])}, {self.floating(arguments[1])}, error)",
                FLOAT,
                exact=True,
            )
        if getattr(function, "__module__", None) == "numpy" or function in (math.fsum,):
            return self.call_numpy(function.__name__, arguments, keywords)
        return None

    def is_plain(self, value: Value) -> bool:
        """Whether a value is known and no object of the market."""
        if isinstance(value, Items):
            return all(self.is_plain(part) for part in value.values)
        return isinstance(value, Static) and not self.is_line(value.value)

    def compute(self, function: Any, arguments: Arguments, keywords: Keywords) -> Value:
        """Call it now."""
        try:
            found = function(
                *(self.plain(a) for a in arguments), **{k: self.plain(v) for k, v in keywords.items()}
            )
            return Static(list(found) if isinstance(found, (enumerate, zip, reversed, map)) else found)
        except Exception as error:
            raise self.refuse(f"{type(error).__name__}: {error}") from error

    def plain(self, value: Value) -> Any:
        """The Python object of a known value."""
        return [self.plain(part) for part in value.values] if isinstance(value, Items) else value.value

    def call_len(self, arguments: Arguments, keywords: Keywords) -> Value:
        """len()."""
        (value,) = arguments
        if isinstance(value, Static):
            if value.value is None:
                raise Never("asks for the length of None")
            found = self.market_call(value.value, "__len__", [], {})
            if found is not None:
                return found
            if isinstance(value.value, dict) and self.entry_slots(value.value):
                raise self.refuse("asks for the length of a dict the run changes")
            return Static(len(value.value))
        if isinstance(value, (Items, Mapping)):
            return Static(len(value.values))
        if isinstance(value, Number) and is_heap(value.type):
            shape = self.out.shape_in(value.type)
            if shape.kind == LIST:
                return Number(self.count_of(value), INT)
            parts = self.elements(value)
            if parts is None:
                raise self.refuse(f"asks for the length of a {shape.cls.__name__}")
            return Static(len(parts))
        if isinstance(value, Sequence):
            return Number(value.count, INT)
        if isinstance(value, Window):
            return Number(f"({value.stop} - {value.start})", INT)
        raise self.refuse(f"asks for the length of {describe(value)}")

    def call_isinstance(self, arguments: Arguments, keywords: Keywords) -> Value:
        """isinstance()."""
        value, kinds = arguments
        classes = self.known(kinds, "a class")
        if isinstance(value, Static):
            return Static(isinstance(value.value, classes))
        if isinstance(value, Number):
            kind = self.kind_of(value)
            if kind is not None:
                found = issubclass(kind, classes)
                if value.none not in (None, "False") or (is_handle(value.type) and value.none is None):
                    test = f"({value.code} >= 0)" if is_handle(value.type) else f"(not {value.none})"
                    return Number(test, BOOL) if found else Static(issubclass(type(None), classes))
                return Static(found)
        if isinstance(value, Items):
            return Static(issubclass(list, classes) or issubclass(tuple, classes))
        if isinstance(value, Record):
            return Static(issubclass(value.cls, classes))
        if isinstance(value, (Sequence, Window)):
            return Static(issubclass(list, classes))
        if isinstance(value, Mapping):
            return Static(issubclass(dict, classes))
        raise self.refuse(f"asks for the class of {describe(value)}")

    def kind_of(self, value: Number) -> Any:
        """The Python class of a number's values; None where that is not known."""
        if value.type == ORDER:
            return self.order_class
        if is_enum(value.type):
            return self.out.enum_in(value.type)
        return self.class_of(value) or KINDS.get(value.type)

    def call_hasattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """hasattr()."""
        owner, name = arguments[0], self.known(arguments[1], "an attribute's name")
        if isinstance(owner, Static):
            slot = self.out.slots.get(("cell", id(owner.value), name))
            if slot is not None and slot.written and slot.missing:
                return Number(f"(not {slot.name}_missing)", BOOL)
        return Static(self.has_attribute(owner, name))

    def call_getattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """getattr(), with and without a default."""
        owner, name = arguments[0], self.known(arguments[1], "an attribute's name")
        if len(arguments) == 3 and not self.has_attribute(owner, name):
            return arguments[2]
        return self.attribute(owner, name)

    def call_setattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """setattr()."""
        self.store_attribute(arguments[0], self.known(arguments[1], "an attribute's name"), arguments[2])
        return NONE

    def call_abs(self, arguments: Arguments, keywords: Keywords) -> Value:
        """abs()."""
        number = self.present(arguments[0])
        if number.type not in NUMERIC and number.type != TIMEDELTA:
            raise self.refuse(f"takes the size of a {number.type}")
        kind = INT if number.type == BOOL else number.type
        return Number(f"abs({self.out.coerced(number, kind)[0]})", kind, exact=number.exact)

    def call_int(self, arguments: Arguments, keywords: Keywords) -> Value:
        """int()."""
        number = self.present(arguments[0])
        if number.type in (INT, BOOL):
            return Number(self.out.coerced(number, INT)[0], INT)
        return Number(f"whole({self.floating(number)}, error)", INT)

    def call_float(self, arguments: Arguments, keywords: Keywords) -> Value:
        """float()."""
        return Number(self.floating(arguments[0]), FLOAT, exact=True)

    def call_bool(self, arguments: Arguments, keywords: Keywords) -> Value:
        """bool()."""
        return self.truth(arguments[0])

    def call_str(self, arguments: Arguments, keywords: Keywords) -> Value:
        """str(): text to be printed, or the string itself."""
        value = arguments[0] if arguments else Static("")
        if len(arguments) == 1 and isinstance(value, Number):
            if is_enum(value.type) and issubclass(self.out.enum_in(value.type), enum.StrEnum):
                value = self.enum_value(value)
            if value.type == STR and value.none in (None, "False"):
                return value
            if value.type == STR:
                return Number(f"({self.out.string('None')} if {value.none} else {value.code})", STR)
        return Text()

    def call_repr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """repr() and format(): text to be printed."""
        return Text()

    call_format = call_repr

    def call_round(self, arguments: Arguments, keywords: Keywords) -> Value:
        """round(), with and without digits."""
        number = self.present(arguments[0])
        digits = arguments[1] if len(arguments) > 1 else keywords.get("ndigits", NONE)
        if number.type in (INT, BOOL):
            return Number(self.out.coerced(number, INT)[0], INT)
        if isinstance(digits, Static) and digits.value is None:
            return Number(f"nearest({number.code}, error)", INT)
        code = f"rounded({number.code}, {self.whole_number(digits)}, error)"
        return Number(code, FLOAT, exact=number.exact)

    def call_range(self, arguments: Arguments, keywords: Keywords) -> Value:
        """range() over numbers of the run."""
        codes = [self.whole_number(value) for value in arguments]
        return Method(tuple(arguments), "range", tuple(codes))

    def call_map(self, arguments: Arguments, keywords: Keywords) -> Value:
        """map() over things whose parts are at hand."""
        lists = [self.elements(value) for value in arguments[1:]]
        if any(parts is None for parts in lists):
            raise self.refuse("maps over something of unknown length")
        return Items(
            tuple(
                self.held(self.invoke(arguments[0], list(parts), {})) for parts in zip(*lists, strict=False)
            )
        )

    def call_filter(self, arguments: Arguments, keywords: Keywords) -> Value:
        """filter() over things whose parts are at hand."""
        parts = self.elements(arguments[1])
        if parts is None:
            raise self.refuse("filters something of unknown length")
        return self.kept(
            [(part, self.truth(self.invoke(arguments[0], [part], {}))) for part in parts],
            ("filter", *self.site()),
        )

    def kept(self, pairs: list[tuple[Value, Value]], site: Hashable) -> Value:
        """The values whose truth holds; an object where that list outlives the call."""
        known = all(isinstance(wanted, Static) for _, wanted in pairs)
        if known and site not in self.heap_sites:
            return Items(tuple(value for value, wanted in pairs if wanted.value), site)
        return self.filtered(pairs, site)

    filtered: Callable[[list[tuple[Value, Value]], Hashable], Value]
    sorted_datas: Callable[[list[Value], list[Value], bool], Value]

    def call_sorted(self, arguments: Arguments, keywords: Keywords) -> Value:
        """sorted() of datas by a number of the run."""
        parts = self.elements(arguments[0])
        key = keywords.get("key")
        backwards = bool(self.known(keywords.get("reverse", Static(False)), "sorted's reverse"))
        if (
            parts is None
            or key is None
            or not all(isinstance(part, Static) and self.is_data(part.value) for part in parts)
        ):
            raise self.refuse("sorts something other than datas by a key")
        return self.sorted_datas(parts, [self.invoke(key, [part], {}) for part in parts], backwards)

    def parts(self, arguments: Arguments) -> list[Value] | None:
        """The values min, max and sum go over, where they can be written out."""
        return arguments if len(arguments) > 1 else self.elements(arguments[0])

    def extreme(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """min() and max()."""
        if set(keywords) - {"default"}:
            raise self.refuse(f"{name}() with {', '.join(keywords)}")
        parts = self.parts(arguments)
        if parts is None:
            values, kind = self.array(arguments[0])
            function = "largest" if name == "max" else "smallest"
            if "default" in keywords:
                default = self.floating(keywords["default"])
                return Number(f"({function}({values}, error) if len({values}) else {default})", FLOAT)
            return Number(f"{function}({values}, error)", kind, exact=self.elements_exact(arguments[0]))
        if not parts:
            if "default" in keywords:
                return keywords["default"]
            raise self.refuse(f"{name}() of nothing")
        if all(self.is_plain(part) for part in parts):
            return self.compute(getattr(builtins, name), parts, {})
        numbers = [self.present(part) for part in parts]
        kinds = {number.type for number in numbers}
        if len(kinds) == 1 and not kinds <= NUMERIC:
            kind = kinds.pop()
        elif kinds <= NUMERIC:
            kind = FLOAT if FLOAT in kinds else INT
        else:
            raise self.refuse(f"{name}() over {', '.join(sorted(kinds))}")
        function = "larger" if name == "max" else "smaller"
        code = self.out.coerced(numbers[0], kind)[0]
        for number in numbers[1:]:
            code = f"{function}({code}, {self.out.coerced(number, kind)[0]})"
        return Number(code, kind, exact=all(number.exact and number.type == FLOAT for number in numbers))

    def call_min(self, arguments: Arguments, keywords: Keywords) -> Value:
        """min()."""
        return self.extreme("min", arguments, keywords)

    def call_max(self, arguments: Arguments, keywords: Keywords) -> Value:
        """max()."""
        return self.extreme("max", arguments, keywords)

    def call_any(self, arguments: Arguments, keywords: Keywords) -> Value:
        """any()."""
        return self.all_or_any(arguments, "or", stop=True)

    def call_all(self, arguments: Arguments, keywords: Keywords) -> Value:
        """all()."""
        return self.all_or_any(arguments, "and", stop=False)

    def all_or_any(self, arguments: Arguments, word: str, *, stop: bool) -> Value:
        """Every part's truth joined."""
        parts = self.elements(arguments[0])
        if parts is None:
            values, _ = self.array(arguments[0])
            return Number(f"np.{'any' if stop else 'all'}({values} != 0)", BOOL)
        tests = [self.truth(part) for part in parts]
        if any(isinstance(test, Static) and bool(test.value) is stop for test in tests):
            return Static(stop)
        codes = [test.code for test in tests if isinstance(test, Number)]
        return Number("(" + f" {word} ".join(codes) + ")", BOOL) if codes else Static(not stop)

    def call_list(self, arguments: Arguments, keywords: Keywords) -> Value:
        """list() and tuple() of something whose parts are at hand, or a copy of a list."""
        site = ("list()", *self.site())
        if not arguments:
            return self.kept([], site)
        if (
            isinstance(arguments[0], Number)
            and is_heap(arguments[0].type)
            and self.elements(arguments[0]) is None
        ):
            return self.list_of(site, arguments[0])
        parts = self.elements(arguments[0])
        if parts is not None:
            return self.kept([(part, Static(True)) for part in parts], site)
        if isinstance(arguments[0], Sequence):
            return self.copied(arguments[0])
        if isinstance(arguments[0], Window):
            return arguments[0]
        raise self.refuse(f"makes a list of {describe(arguments[0])}")

    copied: Callable[[Sequence], Value]
    call_set = call_list

    def call_tuple(self, arguments: Arguments, keywords: Keywords) -> Value:
        """tuple() of something whose parts are at hand."""
        parts = self.elements(arguments[0]) if arguments else []
        return self.call_list(arguments, keywords) if parts is None else Items(tuple(parts))

    def call_deque(self, arguments: Arguments, keywords: Keywords) -> Value:
        """collections.deque() made in the run."""
        raise self.refuse("makes a deque in the run")

    def call_dict(self, arguments: Arguments, keywords: Keywords) -> Value:
        """dict(), with entries or keywords."""
        found = Mapping({}, self.here())
        for value in arguments:
            found.values.update(self.known_mapping(value))
        found.values.update(keywords)
        return found

    def call_enumerate(self, arguments: Arguments, keywords: Keywords) -> Value:
        """enumerate() of something whose parts are at hand."""
        parts = self.elements(arguments[0])
        if parts is None:
            return Method(
                (arguments[0], arguments[1] if len(arguments) > 1 else keywords.get("start", Static(0))),
                "enumerate",
            )
        start = self.known(
            arguments[1] if len(arguments) > 1 else keywords.get("start", Static(0)), "enumerate's start"
        )
        return Items(tuple(Items((Static(start + i), part)) for i, part in enumerate(parts)))

    def call_zip(self, arguments: Arguments, keywords: Keywords) -> Value:
        """zip() of things whose parts are at hand."""
        lists = [self.elements(value) for value in arguments]
        if any(parts is None for parts in lists):
            strict = self.known(keywords.get("strict", Static(False)), "zip's strict")
            return Method((tuple(arguments), bool(strict)), "zip")
        return Items(tuple(Items(parts) for parts in zip(*lists, strict=False)))

    def call_reversed(self, arguments: Arguments, keywords: Keywords) -> Value:
        """reversed() of something whose parts are at hand."""
        parts = self.elements(arguments[0])
        if parts is None:
            raise self.refuse(f"reverses {describe(arguments[0])}")
        return Items(tuple(reversed(parts)))

    def array(self, value: Value) -> tuple[str, str]:
        """Values of the run as an array's expression, and their type."""
        if isinstance(value, Sequence):
            return f"{value.array}[:{value.count}]", value.type
        if isinstance(value, Window):
            return f"{value.array}[{value.start}:{value.stop}]", value.type
        if isinstance(value, Number) and is_heap(value.type) and self.elements(value) is None:
            code, kind = self.words_of(value)
            return self.out.temporary(code), kind
        parts = self.elements(value)
        if parts:
            codes = ", ".join(self.floating(part) for part in parts)
            return self.out.temporary(f"np.array([{codes}])"), FLOAT
        raise self.refuse(f"computes with {describe(value)}")

    def call_numpy(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """The reductions people use of numpy, in numpy's own order of summation."""
        self.out.uses_numpy()
        simple = {"mean": "mean", "sum": "pairwise", "average": "mean"}
        if name in ("array", "asarray") and len(arguments) == 1:
            return (
                self.call_list(arguments, {})
                if isinstance(arguments[0], (Sequence, Window))
                else Items(tuple(self.elements(arguments[0]) or ()))
            )
        if name in ("abs", "absolute", "fabs"):
            return self.call_abs(arguments, {})
        if name in ("maximum", "minimum", "sign", "clip", "where"):
            raise self.refuse(f"calls numpy.{name}")
        if keywords and set(keywords) != {"ddof"}:
            raise self.refuse(f"calls numpy.{name} with {', '.join(keywords)}")
        if name in simple and len(arguments) == 1:
            return Number(f"{simple[name]}({self.array(arguments[0])[0]})", FLOAT)
        if name in ("std", "var") and len(arguments) == 1:
            ddof = self.known(keywords.get("ddof", Static(0)), "ddof")
            return Number(
                f"{'deviation' if name == 'std' else 'variance'}({self.array(arguments[0])[0]}, {int(ddof)})",
                FLOAT,
            )
        if name in ("max", "amax", "min", "amin") and len(arguments) == 1:
            values = self.array(arguments[0])[0]
            return Number(f"checked(np.{name[-3:]}({values}), len({values}) == 0, error)", FLOAT)
        raise self.refuse(f"calls numpy.{name}")

    def discard(self, value: Value) -> None:
        """A value nobody uses; what computing it could raise still counts."""
        if isinstance(value, Number) and "error" in value.code:
            self.out.line(f"checked({value.code}, False, error)")


_BUILT_IN = frozenset(
    {abs, int, float, bool, str, repr, format, round, range, min, max, sum, any, all, list, tuple, set, dict}
    | {enumerate, zip, reversed, map, filter, sorted, collections.deque}
)


def _statements(body: list[ast.stmt]) -> list[ast.AST]:
    """Every statement of a body, without those of functions inside it."""
    found: list[ast.AST] = []
    for node in body:
        found.append(node)
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, ast.excepthandler)):
                found.extend(_statements([child]))  # type: ignore[list-item]
    return found
