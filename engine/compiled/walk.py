"""Blocks, branches and names: where statements are written, and what a name stands for there."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.compiled.emit import Emitter, Slot, Tree, is_atom
from engine.compiled.frames import Context, Frame, Jump, Never
from engine.compiled.values import Entry, Items, Number, Sequence, Static, Text, Undefined, Value
from engine.refusal import Refused


class Walk:
    """Walks statements; the other parts of the translator supply `evaluate`, `truth` and `call`."""

    out: Emitter
    frames: list[Frame]
    contexts: list[Context]
    path: list[Hashable]
    dead: bool
    problems: list[tuple[str, int, str]]
    lenient: bool
    evaluate: Callable[[ast.expr], Value]
    evaluate_open: Callable[[ast.expr], Value]
    settled: Callable[[Entry], Value]
    truth: Callable[[Value], Value]
    condition: Callable[[ast.expr], Value]
    store_attribute: Callable[[Value, str, Value], None]
    do_raise: Callable[[Any], None]

    store_item: Callable[[Value, Value, Value], None]
    delete_item: Callable[[Value, Value], None]
    elements: Callable[[Value], list[Value] | None]
    binary: Callable[[type, Value, Value], Value]
    check_storable: Callable[[Value], None]
    lines: dict[int, int]
    blocks: list[int]
    active: list[Slot]  # lists that loops under way go over
    is_object: Callable[[Value], bool]
    boxable: Callable[[Value], bool]
    boxed: Callable[[Value], Number | Static]
    boxed_returns: set[Hashable]
    effects: int
    new_sequence: Callable[[Hashable, str, Items], Value]
    discard: Callable[[Value], None]
    scalar: Callable[[Value], Number | Static | None]
    for_data: Callable[[str, Callable[[Value], None]], None]
    counting: Callable[[Value, ast.AST], tuple[str, list[str], Callable[[], Value]] | None]

    @property
    def frame(self) -> Frame:
        """The call being walked."""
        return self.frames[-1]

    def refuse(self, reason: str, node: Any = None) -> Refused:
        """A refusal at `node`, or at the line of the user's code that led here."""
        for frame in reversed(self.frames):
            if frame.own:
                line = self.lines.get(id(frame), getattr(node, "lineno", None))
                return Refused(reason, file=frame.file, line=line)
        return Refused(reason)

    def walk(self, body: list[ast.stmt]) -> None:
        """One statement after the other, until one jumps."""
        for node in body:
            if self.dead:
                return
            self.lines[id(self.frame)] = node.lineno
            method = getattr(self, f"do_{type(node).__name__.lower()}", None)
            try:
                if method is None:
                    raise self.refuse(f"uses {type(node).__name__.lower()}", node)
                method(node)
            except Never:
                self.do_raise(node)
            except Refused as refused:
                if refused.file is None:
                    refused = self.refuse(refused.reason, node)
                if not self.lenient or not self.frame.own:
                    raise refused from None
                self.problems.append((refused.file or "", refused.line or 0, refused.reason))

    @contextmanager
    def writing(self, tree: Tree) -> Iterator[None]:
        """Write into `tree` for a while."""
        before, self.out.tree = self.out.tree, tree
        self.blocks.append(self.unique())
        try:
            yield
        finally:
            self.blocks.pop()
            self.out.tree = before

    def here(self) -> tuple[Hashable, ...]:
        """The block being written: what is done in it is done whenever what was made in it was made."""
        leaving = next(
            (number for number, frame in enumerate(self.frames) if frame.context is not None),
            len(self.frames),
        )
        return (*self.blocks, *(id(frame) for frame in self.frames[leaving:]))

    def check_place(self, where: Any) -> None:
        """A dict or object made in a call may only be changed where it was made: not under a condition of the run."""
        if where != self.here():
            raise self.refuse("changes a dict or object under a condition of the run")

    def branch(self, body: Callable[[], None], tree: Tree) -> tuple[dict[str, Value], Tree, bool]:
        """Walk one branch with its own names; returns them, a place at its end, and whether it jumped away."""
        before = self.frame.env
        self.frame.env = dict(before)
        self.dead = False
        with self.writing(tree):
            body()
            place = self.out.place()
        env, dead = self.frame.env, self.dead
        self.frame.env, self.dead = before, False
        return env, place, dead

    def merge(self, ends: list[Jump]) -> dict[str, Value]:
        """The names after several ways came together."""
        if not ends:
            return {}
        names = {name: None for end in ends for name in end.env}
        return {name: self.merged(name, [end.env.get(name) for end in ends], ends) for name in names}

    def merged(self, name: str, values: list[Value], ends: list[Jump]) -> Value:
        """One value for a name that has one in each of `ends`."""
        first = values[0]
        if all(value is first or (value == first and type(value) is type(first)) for value in values[1:]):
            return first
        if any(value is None or isinstance(value, Undefined) for value in values):
            return Undefined(f"{name} is not set on every way here")
        if any(map(self.is_object, values)) and all(map(self.boxable, values)):
            return self.merged_objects(name, values, ends)
        if all(isinstance(value, Items) and len(value.values) == len(first.values) for value in values):
            parts = zip(*(value.values for value in values), strict=True)
            return Items(tuple(self.merged(f"{name}_{i}", list(part), ends) for i, part in enumerate(parts)))
        if all(
            isinstance(value, Text) or (isinstance(value, Static) and isinstance(value.value, str))
            for value in values
        ) and any(isinstance(value, Text) for value in values):
            return Text()
        if all(isinstance(value, (Items, Sequence)) for value in values):
            self.want_sequence(name)
            return Undefined(f"{name} is a list of changing length")
        if not all(isinstance(value, (Number, Static)) for value in values):
            return Undefined(f"{name} is not the same thing on every way here")
        slot = self.local_slot(name)
        try:
            for value in values:
                self.out.widen(slot, value)
            for value, end in zip(values, ends, strict=True):
                self.out.assign(slot, value, end.place)
        except Refused as refused:
            return Undefined(f"{name}: {refused.reason}")
        return slot.number()

    def merged_objects(self, name: str, values: list[Value], ends: list[Jump]) -> Value:
        """One variable for objects of the run."""
        slot = self.local_slot(name)
        try:
            for value, end in zip(values, ends, strict=True):
                with self.writing(end.place):
                    self.out.assign(slot, self.boxed(value))
        except Refused as refused:
            return Undefined(f"{name}: {refused.reason}")
        return slot.number()

    def want_sequence(self, name: str) -> None:
        """From the next pass on, an empty list given to this name is one the kernel keeps."""
        key = ("list", self.frame.path, name)
        if key not in self.out.slots:
            self.out.slot(key, name)

    def local_slot(self, name: str) -> Slot:
        """The variable of a local name of this call."""
        return self.out.slot(("local", self.frame.path, name), name)

    def frozen(self, value: Value, name: str) -> Value:
        """The value as it stands now, safe from what is assigned later."""
        if isinstance(value, Number):
            if value.known is not None and is_atom(value.code) and not value.code.startswith("s"):
                return value
            slot = self.local_slot(name)
            self.out.assign(slot, value)
            number = slot.number()
            return Number(number.code, number.type, number.none, number.snap, exact=number.exact)
        if isinstance(value, Items):
            return Items(
                tuple(self.frozen(part, f"{name}_{i}") for i, part in enumerate(value.values)), value.site
            )
        if isinstance(value, Entry):
            return Entry(value.name, self.held(value.value), self.out.temporary(value.missing))
        return value

    def bind(self, name: str, value: Value) -> None:
        """Give a local name a value."""
        self.lookup_nonlocal(name)
        if isinstance(value, Items) and ("list", self.frame.path, name) in self.out.slots:
            site = value.site or ("local", self.frame.path, name)
            self.frame.env[name] = self.new_sequence(
                ("local", self.frame.path, name), name, Items(value.values, site)
            )
            return
        self.frame.env[name] = self.frozen(value, name)

    def lookup_nonlocal(self, name: str) -> None:
        """Names of outer calls cannot be assigned from inner ones."""

    def assign(self, target: ast.expr, value: Value) -> None:
        """An assignment to whatever stands on its left."""
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Attribute):
            self.store_attribute(self.evaluate(target.value), target.attr, value)
        elif isinstance(target, ast.Subscript):
            owner = self.evaluate(target.value)
            self.store_item(owner, self.evaluate(target.slice), value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, Static) and value.value is None:
                raise Never("unpacks None")
            parts = self.elements(value)
            if parts is None or len(parts) != len(target.elts):
                raise self.refuse("unpacks something of unknown length", target)
            held = [self.held(part) for part in parts]
            for one, part in zip(target.elts, held, strict=True):
                self.assign(one, part)
        else:
            raise self.refuse("assigns to something unusual", target)

    def held(self, value: Value) -> Value:
        """The value in a variable of its own."""
        if not isinstance(value, Number) or (is_atom(value.code) and value.code[0] not in "s-"):
            return value
        none = None if value.none is None else self.out.temporary(value.none)
        snap = None if value.snap is None else self.out.temporary(value.snap)
        return Number(self.out.temporary(value.code), value.type, none, snap, exact=value.exact)

    def unique(self) -> int:
        """A new number."""
        self.out.temporaries += 1
        return self.out.temporaries
