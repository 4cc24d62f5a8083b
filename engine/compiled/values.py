"""What the translator knows of a value while it walks a strategy's methods.

A value is either known now (`Static`: an object of the strategy as it stands after `__init__`), or computed by the
kernel (`Number`: an expression in its source), or a structure with such values inside.
"""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FLOAT, INT, BOOL, STR, ORDER = "float", "int", "bool", "str", "order"
DATETIME, DATE, TIME, TIMEDELTA, DATA = "datetime", "date", "time", "timedelta", "data"
"""Types of numbers in a kernel. STR is the number of a string, ORDER a handle (-1: None), DATETIME, TIME and TIMEDELTA
whole microseconds, DATE a day's ordinal, DATA the number of a data."""

HEAP, ENUM = "heap ", "enum "
"""How types of objects the kernel keeps, and of members of enumerations, begin; a number follows."""

NUMERIC = frozenset({FLOAT, INT, BOOL})
COMPENSATES = sys.version_info >= (3, 12)
"""Whether `sum` keeps what rounding loses (Neumaier 1974). It does so between floats alone: a whole number among them
is added as it is, and a number of numpy's ends it."""
UNKNOWN: Any = object()


@dataclass(frozen=True, slots=True)
class Static:
    """A Python object known while translating; cell: the attribute or entry it was read from."""

    value: Any
    cell: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """An expression of the kernel.

    none: an expression that is true where the value is None; None when it never is. snap: for an order, the
    expression of the notification it is a clone of, None for the live order. known: the value this stands for in the
    strategy at hand, when it never changes within a run. exact: whether a FLOAT is a float in Python too, an INT an
    int, for certain: nothing of the other kind, and no number of numpy's.
    """

    code: str
    type: str
    none: str | None = None
    snap: str | None = None
    known: Any = field(default=UNKNOWN, compare=False)
    exact: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A string made in the run; it may be printed, nothing else."""


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple or list with these values. site: where a list was made, "list" where that is unknown, None for a tuple."""

    values: tuple[Any, ...]
    site: Any = field(default=None, compare=False)


@dataclass(slots=True, eq=False)
class Mapping:
    """A dictionary made and used within one call, with keys known now. where: the block it was made in."""

    values: dict[Any, Any]
    where: Any = None


@dataclass(slots=True, eq=False)
class Record:
    """An instance of a plain class made and used within one call. where: the block it was made in."""

    cls: type
    values: dict[str, Any]
    where: Any = None


@dataclass(frozen=True, slots=True)
class Trade:
    """What `notify_trade` gets: `trades[code]`."""

    code: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list the kernel keeps: `array[:count]` of `type`; known by the slot it lives in."""

    array: str
    count: str
    type: str
    slot: Any = None

    @property
    def exact(self) -> bool:
        """As of a Number, for each element."""
        return self.type == FLOAT and self.slot is not None and not self.slot.inexact


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive values of a line or list: `array[start:stop]`; exact: as of a Number, for each of them."""

    array: str
    start: str
    stop: str
    type: str = FLOAT
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Vector:
    """A numpy array of the run, in a variable of its own. type: of its elements."""

    code: str
    type: str = FLOAT


@dataclass(frozen=True, slots=True)
class Position:
    """The position in a data, as it stands now."""

    data: int


@dataclass(frozen=True, slots=True)
class Info:
    """`order.info`, or one of its entries."""

    order: Number


@dataclass(frozen=True, slots=True)
class Entry:
    """`order.info.name` where an order may have been given none: Backtrader then makes an empty dict.

    value: what it is where it was given, None elsewhere. missing: an expression, true where it was not given.
    """

    name: str
    value: Number | Static
    missing: str


@dataclass(frozen=True, slots=True)
class Method:
    """A function bound to its first argument; both may be anything."""

    owner: Any
    name: str
    function: Any = None


@dataclass(frozen=True, slots=True)
class Either:
    """One of two functions, by a condition of the run."""

    condition: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Closure:
    """A lambda or inner function with the names around it."""

    node: Any
    frame: Any


@dataclass(frozen=True, slots=True)
class Undefined:
    """A name that has no one value here; reading it is refused with this reason."""

    reason: str


Value = Any
"""Any of the above."""
Compute = Callable[..., Value]
Arguments = list[Value]
Keywords = dict[str, Value]
NONE = Static(None)


def is_handle(kind: str | None) -> bool:
    """Whether -1 stands for None in this type: an order, or an object the kernel keeps."""
    return kind is not None and (kind == ORDER or kind.startswith(HEAP))


def is_heap(kind: str | None) -> bool:
    """Whether values of this type are objects the kernel keeps."""
    return kind is not None and kind.startswith(HEAP)


def is_enum(kind: str | None) -> bool:
    """Whether values of this type are members of an enumeration."""
    return kind is not None and kind.startswith(ENUM)


def literal(value: float) -> str:
    """A number as source text, to the last bit."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(int(value)) if value >= 0 else f"({int(value)})"
    value = float(value)
    if math.isnan(value):
        return "np.nan"
    if math.isinf(value):
        return "np.inf" if value > 0 else "(-np.inf)"
    return repr(value) if value >= 0 and not math.copysign(1.0, value) < 0 else f"({value!r})"


def join(first: str, second: str) -> str | None:
    """The type of a variable that holds both; None when there is none."""
    if first == second:
        return first
    kinds = {first, second}
    if kinds <= NUMERIC:
        return FLOAT if FLOAT in kinds else INT
    return None


def describe(value: Value) -> str:
    """A value in a few words, for a refusal."""
    if isinstance(value, Static):
        return f"a {type(value.value).__name__}"
    if isinstance(value, Number):
        return f"a {value.type}"
    if isinstance(value, Method):
        return f"the method {value.name}"
    names = {
        Items: "a tuple",
        Mapping: "a dict",
        Sequence: "a list",
        Window: "values of a line",
        Vector: "an array",
        Text: "a string",
        Record: "an object",
    }
    return names.get(type(value), type(value).__name__.lower())


def plain_member(value: Static) -> Static:
    """The string or number that a member of an enumeration of those is."""
    thing = value.value
    if isinstance(thing, enum.Enum) and isinstance(thing, (str, int)):
        return Static(thing.value)
    return value
