"""Expressions: computed now where everything is known, else written as an expression of the kernel."""

from __future__ import annotations

import ast
from collections.abc import Hashable
from typing import Any

from engine.compiled.comprehensions import Comprehensions
from engine.compiled.traced import Traced
from engine.compiled.values import (
    UNKNOWN,
    Closure,
    Entry,
    Items,
    Mapping,
    Number,
    Static,
    Text,
    Undefined,
    Value,
    describe,
)


class Expressions(Comprehensions):
    """Evaluates expressions to values."""

    def evaluate(self, node: ast.expr) -> Value:
        """The value of an expression; its side effects are written out on the way."""
        value = self.evaluate_open(node)
        return self.settled(value) if isinstance(value, Entry) else value

    def evaluate_open(self, node: ast.expr) -> Value:
        """The same for who knows what an `Entry` is."""
        method = getattr(self, f"at_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.refuse(f"uses {type(node).__name__.lower()}", node)
        value: Value = method(node)
        return value

    def at_constant(self, node: ast.Constant) -> Value:
        """A literal."""
        return Static(node.value)

    def at_name(self, node: ast.Name) -> Value:
        """A name of the call, of the calls around it, of the module, or built in."""
        frame = self.frame
        while frame is not None:
            if node.id in frame.env:
                value = frame.env[node.id]
                if isinstance(value, Undefined):
                    raise self.refuse(value.reason, node)
                return value
            if frame.outer is None:
                break
            frame = frame.outer
        if node.id in frame.scope:
            return Static(frame.scope[node.id])
        builtins = frame.scope.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        if node.id in builtins:
            return Static(builtins[node.id])
        raise self.refuse(f"{node.id} is not set on every way here", node)

    def at_joinedstr(self, node: ast.JoinedStr) -> Value:
        """An f-string: text, whose parts have to be printable."""
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                formatted = part.format_spec is not None
                value = (self.evaluate if formatted else self.evaluate_open)(part.value)
                parts.append(value)
                self.printable(value, formatted=formatted)
        if all(
            isinstance(value, Static) and isinstance(value.value, (str, int, type(None))) for value in parts
        ) and not any(
            isinstance(part, ast.FormattedValue) and (part.format_spec or part.conversion > 0)
            for part in node.values
        ):
            texts = iter(parts)
            return Static(
                "".join(
                    str(next(texts).value) if isinstance(p, ast.FormattedValue) else ast.literal_eval(p)
                    for p in node.values
                )
            )
        return Text()

    def printable(self, value: Value, *, formatted: bool) -> None:
        """Printing a None with a number's format raises; everything else prints."""
        if formatted and isinstance(value, Number) and value.none not in (None, "False"):
            self.out.line(f"if {value.none}: fault(error)")

    def at_tuple(self, node: ast.Tuple) -> Value:
        """A tuple display."""
        values: list[Value] = []
        for part in node.elts:
            if isinstance(part, ast.Starred):
                known = self.elements(self.evaluate(part.value))
                if known is None:
                    raise self.refuse("unpacks something of unknown length", node)
                values.extend(known)
            else:
                values.append(self.evaluate(part))
        return Items(tuple(values))

    def at_set(self, node: ast.Set) -> Value:
        """A set display."""
        return Items(tuple(self.evaluate(part) for part in node.elts), "list")

    def at_list(self, node: ast.List) -> Value:
        """A list display; an object where it outlives the call."""
        site = self.place_of(node)
        parts = [
            (
                isinstance(part, ast.Starred),
                self.evaluate(part.value if isinstance(part, ast.Starred) else part),
            )
            for part in node.elts
        ]
        unknown = [value for starred, value in parts if starred and self.elements(value) is None]
        if unknown:
            self.want_object(site)
        if site in self.heap_sites:
            made = self.new_list(site, [])
            for starred, value in parts:
                if starred:
                    self.extend(made, value)
                else:
                    self.push(made, value)
            return made
        values: list[Value] = []
        for starred, value in parts:
            values.extend((self.elements(value) or []) if starred else [value])
        return Items(tuple(values), site)

    def place_of(self, node: ast.expr) -> tuple[Hashable, ...]:
        """Where an expression stands, the same in every pass."""
        return (*self.frame.path, *self.path, node.lineno, node.col_offset)

    def at_dict(self, node: ast.Dict) -> Value:
        """A dict display with keys known now."""
        found = Mapping({}, self.here())
        for key, part in zip(node.keys, node.values, strict=True):
            if key is None:
                inner = self.evaluate(part)
                found.values.update(self.known_mapping(inner))
                continue
            found.values[self.known(self.evaluate(key), "a key")] = self.evaluate(part)
        return found

    def known_mapping(self, value: Value) -> dict[Any, Value]:
        """The entries of a dict known now."""
        if isinstance(value, Mapping):
            return value.values
        if isinstance(value, Static) and isinstance(value.value, dict):
            return {key: self.item(value, Static(key)) for key in value.value}
        raise self.refuse(f"unpacks {describe(value)}")

    def known(self, value: Value, what: str) -> Any:
        """The Python object, which has to be known now."""
        if isinstance(value, Static):
            return value.value
        if isinstance(value, Number) and value.known is not UNKNOWN:
            return value.known.concrete() if type(value.known) is Traced else value.known
        if isinstance(value, Items):
            return tuple(self.known(part, what) for part in value.values)
        raise self.refuse(f"{what} is computed in the run")

    def at_lambda(self, node: ast.Lambda) -> Value:
        """A function of one expression."""
        return Closure(node, self.frame)

    def at_namedexpr(self, node: ast.NamedExpr) -> Value:
        """`(name := value)`."""
        self.bind(node.target.id, self.evaluate(node.value))
        return self.frame.env[node.target.id]

    def at_attribute(self, node: ast.Attribute) -> Value:
        """`owner.name`."""
        return self.attribute(self.evaluate(node.value), node.attr)

    def at_subscript(self, node: ast.Subscript) -> Value:
        """`owner[index]`."""
        owner = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            parts = [
                None if part is None else self.evaluate(part)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return self.item(owner, parts)
        return self.item(owner, self.evaluate(node.slice))

    def at_call(self, node: ast.Call) -> Value:
        """A call."""
        return self.call(node)
