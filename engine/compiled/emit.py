"""Where the translator writes: a tree of statements, and the variables that live in it."""

from __future__ import annotations

import enum
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.compiled.values import (
    BOOL,
    COMPENSATES,
    ENUM,
    FLOAT,
    HEAP,
    INT,
    Number,
    Static,
    is_handle,
    is_heap,
    join,
    literal,
)
from engine.refusal import Refused

Tree = list[Any]
"""Lines and (header, Tree) blocks, in order; a Tree inside a Tree is a place to write later."""

ATOM = re.compile(r"-?[A-Za-z_]\w*|\(?-?[\d.]+(e[+-]?\d+)?\)?|True|False")
LONGEST = 6000
"""Statements of the longest kernel that is worth compiling."""
DEFAULTS = {FLOAT: "0.0", BOOL: "False"}


def lines_of(tree: Tree, depth: int) -> Iterator[str]:
    """The tree as indented source lines; a block without statements gets `pass`."""
    for node in tree:
        if isinstance(node, str):
            yield "    " * depth + node
        elif isinstance(node, tuple):
            header, body = node
            inner = list(lines_of(body, depth + 1))
            if not inner and (header == "else:" or header.startswith("if not k")):
                continue
            yield "    " * depth + header
            yield from inner or ["    " * (depth + 1) + "pass"]
        else:
            yield from lines_of(node, depth)


@dataclass(slots=True)
class Slot:
    """A variable of the kernel whose type is the join of everything ever stored in it.

    none, missing: whether it may hold None, or nothing yet (an attribute before its first assignment); each then has
    a flag variable. snap: whether an order in it may be a notification's clone. inexact: whether a FLOAT in it, or in
    its list, may be no float in Python; noted where `sum` cares.
    """

    name: str
    type: str | None = None
    none: bool = False
    missing: bool = False
    snap: bool = False
    element: str | None = None
    written: bool = False
    inexact: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def number(self) -> Number:
        """Its value as an expression."""
        if self.type is None:
            return Number("0", INT, none="True")
        none = f"{self.name}_none" if self.none and not is_handle(self.type) else None
        snap = f"{self.name}_snap" if self.snap else None
        exact = self.type == FLOAT and not self.inexact
        return Number(self.name, self.type, none=none, snap=snap, exact=exact)


RECORD, TUPLE, LIST = "record", "tuple", "list"
ELEMENT = "element"
"""Kinds of shapes, and the one field of a list."""


@dataclass(slots=True)
class Shape:
    """What objects of one type look like in the kernel's heap.

    cls: of a record. fields: a slot each, in the order of their words; of a list the slot of its elements. size: of a
    tuple. joined: the shape this turned out to be the same as.
    """

    number: int
    kind: str
    cls: Any = None
    size: int = 0
    fields: dict[Any, Slot] = field(default_factory=dict)
    joined: Shape | None = None

    @property
    def type(self) -> str:
        """The type of a handle of it."""
        return f"{HEAP}{self.number}"


class Emitter:
    """The statements written so far and the slots; slots outlive a pass, statements do not.

    A pass over the strategy may find that a slot holds more than the passes before knew: then `changed` is set, and
    another pass is needed. numpy: whether numbers of numpy's may be among those of the run.
    """

    def __init__(self) -> None:
        self.slots: dict[Hashable, Slot] = {}
        self.strings: dict[str, int] = {}
        self.shapes: list[Shape] = []
        self.shape_of: dict[Hashable, Shape] = {}
        self.enums: list[Any] = []
        self.changed = False
        self.tree: Tree = []
        self.temporaries = 0
        self.written = 0
        self.numpy = False

    def begin(self) -> None:
        """Start a pass."""
        self.changed, self.tree, self.temporaries, self.written = False, [], 0, 0

    def line(self, text: str) -> None:
        """Write one statement."""
        self.written += 1
        if self.written > LONGEST:
            raise Refused(
                f"would be a kernel of more than {LONGEST:,} lines, which takes too long to compile"
            )
        self.tree.append(text)

    def block(self, header: str) -> Tree:
        """Write a compound statement; returns its body, to be filled with `into`."""
        body: Tree = []
        self.tree.append((header, body))
        return body

    def place(self) -> Tree:
        """A place here that can be written to later."""
        body: Tree = []
        self.tree.append(body)
        return body

    def temporary(self, code: str) -> str:
        """A new variable with this value."""
        self.temporaries += 1
        name = f"y{self.temporaries}"
        self.line(f"{name} = {code}")
        return name

    def string(self, text: str) -> int:
        """The number of a string."""
        return self.strings.setdefault(text, len(self.strings) + 1)

    # -- shapes

    def shape(self, key: Hashable, kind: str, cls: Any = None, size: int = 0) -> Shape:
        """The shape of this key, made when it is asked for first."""
        found = self.shape_of.get(key)
        if found is None:
            found = Shape(len(self.shapes), kind, cls, size)
            self.shapes.append(found)
            self.shape_of[key] = found
            self.changed = True
        return self.root(found)

    def root(self, shape: Shape) -> Shape:
        """The shape that stands for all those it was joined with."""
        while shape.joined is not None:
            shape = shape.joined
        return shape

    def shape_in(self, kind: str) -> Shape:
        """The shape of a type."""
        return self.root(self.shapes[int(kind[len(HEAP) :])])

    def field(self, shape: Shape, name: Any) -> Slot:
        """The slot of a field: what its words may hold."""
        found = shape.fields.get(name)
        if found is None:
            found = shape.fields[name] = Slot(str(name))
            self.changed = True
        return found

    def join(self, first: str, second: str) -> str | None:
        """The type of what holds both; lists and tuples become one shape."""
        if not (is_heap(first) and is_heap(second)):
            return join(first, second)
        one, two = self.shape_in(first), self.shape_in(second)
        if one is two:
            return one.type
        if RECORD in (one.kind, two.kind):
            return None
        self.changed = True
        if one.kind != two.kind or one.size != two.size:
            self.as_list(one)
            self.as_list(two)
        two.joined = one
        for name, slot in two.fields.items():
            self.absorb(self.field(one, name), slot)
        return one.type

    def as_list(self, shape: Shape) -> None:
        """From now on a tuple is kept as a list: its length is known only in the run."""
        if shape.kind == LIST:
            return
        shape.kind, slots, shape.fields = LIST, shape.fields, {}
        for slot in slots.values():
            self.absorb(self.field(shape, ELEMENT), slot)

    def absorb(self, slot: Slot, other: Slot) -> None:
        """Let a slot hold all that another does."""
        if other.type is not None:
            self.widen(slot, Number("0", other.type, exact=other.number().exact))
        for name in ("none", "missing", "snap"):
            if getattr(other, name) and not getattr(slot, name):
                setattr(slot, name, True)
        slot.extra["same"] = False
        if other.extra.get("text"):
            slot.extra["text"] = True

    def enum(self, cls: Any) -> str:
        """The type of an enumeration's members."""
        if cls not in self.enums:
            self.enums.append(cls)
        return f"{ENUM}{self.enums.index(cls)}"

    def enum_in(self, kind: str) -> Any:
        """The enumeration of a type."""
        return self.enums[int(kind[len(ENUM) :])]

    # -- slots

    def slot(self, key: Hashable, hint: str) -> Slot:
        """The slot of this key, made when it is asked for first."""
        found = self.slots.get(key)
        if found is None:
            name = re.sub(r"\W", "_", hint)
            found = self.slots[key] = Slot(f"s{len(self.slots)}_{name}")
            self.changed = True
        return found

    def widen(self, slot: Slot, value: Number | Static) -> None:
        """Let the slot hold this value too."""
        if isinstance(value, Static) and value.value is None:
            if not slot.none:
                slot.none = self.changed = True
            return
        number = self.number(value)
        joined = number.type if slot.type is None else self.join(slot.type, number.type)
        if joined is None:
            raise Refused(f"one name holds a {slot.type} and a {number.type}")
        for name, wanted in (("type", joined), ("none", slot.none or number.none is not None)):
            if getattr(slot, name) != wanted:
                setattr(slot, name, wanted)
                self.changed = True
        if number.snap is not None and not slot.snap:
            slot.snap = self.changed = True
        self.note_exactness(slot, number, joined)

    def note_exactness(self, slot: Slot, number: Number, kind: str) -> None:
        """Remember that a slot of floats gets a number that may be none in Python."""
        sure = number.exact and number.type == FLOAT
        if COMPENSATES and kind == FLOAT and not sure and not slot.inexact:
            slot.inexact = self.changed = True

    def uses_numpy(self) -> None:
        """From now on any number may be one of numpy's, except where it is known to be a float."""
        if COMPENSATES and not self.numpy:
            self.numpy = self.changed = True

    def assign(self, slot: Slot, value: Number | Static, tree: Tree | None = None) -> None:
        """Store a value; None sets the flag only."""
        self.widen(slot, value)
        out = self.tree if tree is None else tree
        is_none = isinstance(value, Static) and value.value is None
        if slot.type is not None and not (is_none and not is_handle(slot.type)):
            code, none = self.coerced(value, slot.type)
            if code != slot.name:
                out.append(f"{slot.name} = {code}")
        else:
            none = "True"
        if slot.type is None:
            return
        if slot.none and not is_handle(slot.type):
            flag = "True" if is_none else (none or "False")
            if flag != f"{slot.name}_none":
                out.append(f"{slot.name}_none = {flag}")
        if slot.snap:
            snap = "-1" if is_none or isinstance(value, Static) else (value.snap or "-1")
            if snap != f"{slot.name}_snap":
                out.append(f"{slot.name}_snap = {snap}")

    def number(self, value: Number | Static) -> Number:
        """A static number or string as an expression."""
        if isinstance(value, Number):
            return value
        thing = value.value
        if isinstance(thing, enum.Enum):
            return Number(str(list(type(thing)).index(thing)), self.enum(type(thing)))
        if isinstance(thing, bool):
            return Number(literal(thing), BOOL)
        if isinstance(thing, int):
            return Number(literal(thing), INT, exact=type(thing) is int)
        if isinstance(thing, float):
            if type(thing) is not float:
                self.uses_numpy()
            return Number(literal(thing), FLOAT, exact=type(thing) is float)
        if isinstance(thing, str):
            return Number(str(self.string(thing)), "str")
        raise Refused(f"a {type(thing).__name__} cannot change while the strategy runs")

    def coerced(self, value: Number | Static, kind: str) -> tuple[str, str | None]:
        """The expression of a value as this type, and of whether it is None."""
        if isinstance(value, Static) and value.value is None:
            return default_of(kind), "True"
        number = self.number(value)
        code = number.code
        if kind == FLOAT and number.type in (INT, BOOL):
            code = _as_float(code, boolean=number.type == BOOL)
        elif kind == INT and number.type == BOOL:
            code = f"(1 if {code} else 0)"
        return code, number.none

    def default(self, slot: Slot) -> list[str]:
        """Statements that give the slot's variables a first value of the right type."""
        if slot.type is None:
            return []
        found = [f"{slot.name} = {default_of(slot.type)}"]
        if slot.none and not is_handle(slot.type):
            found.append(f"{slot.name}_none = True")
        if slot.snap:
            found.append(f"{slot.name}_snap = -1")
        return found


def default_of(kind: str) -> str:
    """A first value of this type."""
    return "-1" if is_handle(kind) else DEFAULTS.get(kind, "0")


def _as_float(code: str, *, boolean: bool) -> str:
    """A whole number's or a truth's expression as a float."""
    if boolean:
        return f"(1.0 if {code} else 0.0)"
    if code.lstrip("(-").rstrip(")").isdigit():
        return f"{code[:-1]}.0)" if code.endswith(")") else f"{code}.0"
    return f"float({code})"


def is_atom(code: str) -> bool:
    """Whether an expression is a name or a literal, so that repeating it costs nothing."""
    return ATOM.fullmatch(code) is not None
