"""Comprehensions: lists and dicts made of one expression."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.comparisons import Comparisons
from engine.compiled.emit import Tree
from engine.compiled.frames import NEVER
from engine.compiled.values import (
    BOOL,
    DATA,
    NONE,
    UNKNOWN,
    Items,
    Mapping,
    Method,
    Number,
    Static,
    Value,
    describe,
)


class Comprehensions(Comparisons):
    """Evaluates comprehensions."""

    place_of: Callable[[ast.expr], tuple[Hashable, ...]]
    known: Callable[[Value, str], Any]

    def at_listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        """A list whose parts can be written out one by one, or are kept by a condition of the run."""
        if len(node.generators) == 1:
            iterable = self.evaluate(node.generators[0].iter)
            if self.elements(iterable) is None and not self.is_known_range(iterable):
                return self.computed_list(node, iterable)
        effects = self.effects
        parts = self.comprehension(node.generators, lambda: self.evaluate(node.elt))
        if isinstance(node, ast.GeneratorExp) and self.effects != effects:
            raise self.refuse("changes something in a generator, which may stop early", node)
        return self.kept(parts, self.place_of(node))

    def is_known_range(self, value: Value) -> bool:
        """Whether a value is a range whose bounds are known now."""
        if not (isinstance(value, Method) and value.name == "range" and isinstance(value.owner, tuple)):
            return False
        return all(isinstance(bound, Static) or bound.known is not UNKNOWN for bound in value.owner)

    def computed_list(self, node: Any, iterable: Value) -> Value:
        """A list made by a loop of the kernel."""
        head = node.generators[0]
        outer = len(self.active)
        loop = self.counting(iterable, node)
        if loop is None or getattr(iterable, "type", None) == DATA:
            raise self.refuse(f"makes a list from {describe(iterable)}", node)
        header, setup, item = loop
        for line in setup:
            self.out.line(line)
        key = self.place_of(node)
        sequence: Any = (
            self.new_list(key, [])
            if key in self.heap_sites
            else self.new_sequence(("computed", *key), "computed", Items((), key))
        )
        before = dict(self.frame.env)
        effects = self.effects

        def turn() -> Value:
            self.assign(head.target, item())
            for test in head.ifs:
                condition = self.condition(test)
                code = str(bool(condition.value)) if isinstance(condition, Static) else condition.code
                self.out.tree = self.out.block(f"if {code}:")
            if isinstance(sequence, Number):
                self.push(sequence, self.evaluate(node.elt))
            else:
                self.append(sequence, self.evaluate(node.elt))
            return NONE

        self.attempt(self.out.block(header), turn)
        if isinstance(node, ast.GeneratorExp) and self.effects != effects:
            raise self.refuse("changes something in a generator, which may stop early", node)
        del self.active[outer:]
        self.frame.env = before
        return sequence if isinstance(sequence, Number) else self.new_type(sequence)

    at_generatorexp = at_setcomp = at_listcomp

    def at_dictcomp(self, node: ast.DictComp) -> Value:
        """A dict with keys known now."""
        found = Mapping({}, self.here())

        def add() -> Value:
            found.values[self.known(self.evaluate(node.key), "a key")] = self.evaluate(node.value)
            return NONE

        self.comprehension(node.generators, add)
        return found

    def comprehension(
        self, generators: list[ast.comprehension], element: Callable[[], Value]
    ) -> list[tuple[Value, Value]]:
        """Values and whether each is kept, for every known turn."""
        head, *rest = generators
        iterable = self.evaluate(head.iter)
        if isinstance(iterable, Method) and iterable.name == "range" and isinstance(iterable.owner, tuple):
            bounds = [int(self.known(bound, "a range")) for bound in iterable.owner]
            iterable = Static(range(*bounds))
        known = self.elements(iterable)
        if known is None or len(known) > 400:
            raise self.refuse(f"makes a list from {describe(iterable)}")
        found: list[tuple[Value, Value]] = []
        before = dict(self.frame.env)
        for number, value in enumerate(known):
            self.path.append(("turn", number, head.target.lineno, head.target.col_offset))
            self.assign(head.target, value)
            wanted: Value = Static(True)
            for test in head.ifs:
                condition = self.condition(test)
                if isinstance(condition, Number):
                    condition = Number(self.out.temporary(condition.code), BOOL)
                if isinstance(wanted, Static):
                    wanted = condition if wanted.value else wanted
                elif isinstance(condition, Number):
                    wanted = Number(f"({wanted.code} and {condition.code})", BOOL)
                elif not condition.value:
                    wanted = condition
            if isinstance(wanted, Number) or wanted.value:
                if rest and isinstance(wanted, Number):
                    raise self.refuse("filters a list by something computed in the run")
                if rest:
                    inner = self.comprehension(rest, element)
                elif isinstance(wanted, Number):
                    tree: Tree = []
                    part = self.attempt(tree, lambda: self.held(element()))
                    if any(line != [] for line in tree):
                        self.out.tree.append((f"if {wanted.code}:", tree))
                    inner = [] if part is NEVER else [(part, Static(True))]
                else:
                    inner = [(self.held(element()), Static(True))]
                found.extend((part, wanted if isinstance(wanted, Number) else also) for part, also in inner)
            self.path.pop()
        self.frame.env = before
        return found
