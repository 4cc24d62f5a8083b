"""Functions with source: written out where they are called."""

from __future__ import annotations

import ast
import inspect
import os
from functools import cache
from typing import Any

from engine.compiled.builtin_calls import BuiltinCalls
from engine.compiled.frames import DEPTH_LIMIT, Context, Frame, Never, parsed
from engine.compiled.values import NONE, Arguments, Closure, Items, Keywords, Mapping, Static, Text, Value

LIBRARIES = (f"{os.sep}site-packages{os.sep}", os.path.dirname(os.__file__) + os.sep)
"""Folders whose functions are not written out: they may do anything."""

_signature = cache(inspect.signature)


@cache
def _suspends(node: ast.AST) -> bool:
    return any(isinstance(part, (ast.Yield, ast.YieldFrom, ast.Await)) for part in ast.walk(node))


class Inline(BuiltinCalls):
    """Writes calls out in place."""

    endless: set[tuple[str, int]]

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
        if _suspends(node):
            raise self.refuse(f"{function.__name__} is a generator")
        signature = _signature(function)
        try:
            bound = signature.bind(*arguments, **keywords)
        except TypeError as error:
            raise self.refuse(f"TypeError: {function.__name__}: {error}") from error
        values: dict[str, Value] = {}
        for name, parameter in signature.parameters.items():
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
        place = (frame.file, body[0].lineno)
        if len(self.frames) > DEPTH_LIMIT or place in self.endless:
            if (
                self.lenient
            ):  # it goes on after a refusal: with two calls in it, two to the power of the limit
                self.endless.add(place)
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
