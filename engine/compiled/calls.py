"""Calls: written out in place where there is source, computed where the function is known."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import enum
import inspect
import logging
import math
import types
import zoneinfo
from typing import Any

import backtrader as bt
import numpy as np

from engine.compiled.builtin_calls import _BUILT_IN
from engine.compiled.emit import Tree
from engine.compiled.inline import Inline
from engine.compiled.known_functions import FLOAT_FUNCTIONS, LOGGING, PURE, SILENT, TESTS, WHOLE_FUNCTIONS
from engine.compiled.values import (
    BOOL,
    DATETIME,
    FLOAT,
    INT,
    NONE,
    TIMEDELTA,
    Arguments,
    Closure,
    Either,
    Entry,
    Items,
    Keywords,
    Method,
    Number,
    Record,
    Static,
    Value,
    Vector,
    describe,
)
from engine.compiled.vectors import LISTS


class Super:
    """What `super()` gives: attributes of the classes after `owner`, for `instance`."""

    def __init__(self, owner: type, instance: Any) -> None:
        """owner: the class whose code says `super()`; instance: the value of its first parameter."""
        self.owner, self.instance = owner, instance


class Calls(Inline):
    """Calls of functions, methods and classes."""

    def call(self, node: ast.Call) -> Value:
        """The value of a call."""
        if isinstance(node.func, ast.Name) and node.func.id == "super" and "super" not in self.frame.env:
            return self.super_of(node)
        function = self.evaluate(node.func)
        if self.is_silent(function):
            for part in [*node.args, *(keyword.value for keyword in node.keywords)]:
                self.discard(self.evaluate_open(part.value if isinstance(part, ast.Starred) else part))
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
        if isinstance(function, np.ufunc) and any(isinstance(v, (Vector, *LISTS)) for v in arguments):
            return self.call_numpy(function.__name__, arguments, keywords)
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

    def discard(self, value: Value) -> None:
        """A value nobody uses; what computing it could raise still counts."""
        if isinstance(value, Entry):
            value = value.value
        if isinstance(value, Number) and "error" in value.code:
            self.out.line(f"checked({value.code}, False, error)")
