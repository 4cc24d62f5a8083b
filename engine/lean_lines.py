"""Lines that read one shared bar number each, instead of each being moved on every bar.

Backtrader keeps an index in every line and adds one to all of them on every bar. Here lines that move together
hold the same one-element list, the cursor: moving it moves them all. Arrays, values and errors stay Backtrader's.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot
from backtrader.lineseries import LineSeries, LineSeriesStub

from engine.refusal import Refused

Cursor = list[int]
"""One number: the index of the current bar in the arrays of the lines that share it; -1 before the first."""

_classes: dict[type, type | None] = {}
_series_classes: dict[type, type | None] = {}


def share(line: LineBuffer, cursor: Cursor) -> bool:
    """Let a line read its place from `cursor`; False when its class has its own idea of a place."""
    kind = shared_class(type(line))
    if kind is None or line.mode != LineBuffer.UnBounded:
        return False
    line._cursor = cursor
    line.__class__ = kind
    return True


def release(lines: Iterable[LineBuffer]) -> None:
    """Make shared lines Backtrader's own again, at the place where they are."""
    for line in lines:
        at = line._cursor[0]
        line.__class__ = type(line).stock
        line._idx, line.lencount = at, at + 1
        del line._cursor


def shorten(series: Any) -> bool:
    """Let an indicator or data whose lines are shared be read directly; False when its class reads its own way."""
    kind = type(series)
    if kind not in _series_classes:
        own = any(getattr(kind, name) is not getattr(LineSeries, name) for name in _SERIES_METHODS)
        _series_classes[kind] = None if own else _derive(kind, _SERIES_METHODS, _SERIES_OPERATIONS)
    derived = _series_classes[kind]
    if derived is None:
        return False
    series._first = series.lines.lines[0]
    series.__class__ = derived
    return True


def restore(series: Iterable[Any]) -> None:
    """Undo `shorten`."""
    for each in series:
        each.__class__ = type(each).stock
        del each._first


def shared_class(kind: type) -> type | None:
    """The class a line of this class gets while it shares a cursor, or None when it overrides what would change."""
    if kind not in _classes:
        own = any(getattr(kind, name, None) is not getattr(LineBuffer, name, None) for name in _METHODS)
        _classes[kind] = None if own else _derive(kind, _METHODS, _LINE_OPERATIONS)
    return _classes[kind]


def _derive(kind: type, methods: dict[str, Any], operations: dict[str, Any]) -> type:
    """A subclass that looks the same from outside; operators the class has of its own stay."""
    kept = {name: f for name, f in operations.items() if getattr(kind, name) is getattr(LineRoot, name)}
    body = {
        **methods,
        **kept,
        "stock": kind,
        "__hash__": kind.__hash__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    # Not by the metaclass: it would derive parameters and enter the class in Backtrader's registries again.
    return type.__new__(type(kind), kind.__name__, (kind,), body)


def name_lines(series: Any) -> None:
    """Make a series' lines plain attributes of it, which Backtrader looks up by a failing attribute each time."""
    values = vars(series)
    for number, alias in enumerate(series.lines.getlinealiases()):
        if isinstance(alias, str) and alias not in values and not hasattr(type(series), alias):
            values[alias] = series.lines.lines[number]


def codes_of(cls: type) -> list[Any]:
    """Code objects of an author's own classes, without those within them; and None among them."""
    found: list[Any] = []
    for kind in cls.__mro__:
        if kind.__module__.partition(".")[0] in ("backtrader", "builtins"):
            continue
        for member in vars(kind).values():
            functions = member, getattr(member, "__func__", None), getattr(member, "fget", None)
            found += [getattr(function, "__code__", None) for function in functions]
    return found


def codes_in(codes: Iterable[Any]) -> Iterator[CodeType]:
    """Code objects, and those within them."""
    todo = list(codes)
    while todo:
        code = todo.pop()
        if isinstance(code, CodeType):
            yield code
            todo.extend(code.co_consts)


def names_in(codes: Iterable[Any]) -> set[str]:
    """Names of attributes and globals in code objects, and in those within them."""
    return {name for code in codes_in(codes) for name in code.co_names}


def names_used(cls: type) -> set[str]:
    """Names of attributes and globals in the code of an author's own classes."""
    return names_in(codes_of(cls))


def clock_of(indicator: Any) -> Any:
    """What an indicator follows: a data, a line, another indicator or the strategy."""
    clock = indicator._clock
    while isinstance(clock, LineSeriesStub):
        clock = clock.lines[0]
    return clock


def _getitem(self: Any, ago: int) -> float:
    return self.array[self._cursor[0] + ago]  # type: ignore[no-any-return]


def _setitem(self: Any, ago: int, value: float) -> None:
    self.array[self._cursor[0] + ago] = value
    for binding in self.bindings:
        binding[ago] = value


def _set(self: Any, value: float, ago: int = 0) -> None:
    _setitem(self, ago, value)


def _len(self: Any) -> int:
    return self._cursor[0] + 1  # type: ignore[no-any-return]


def _get(self: Any, ago: int = 0, size: int = 1) -> Any:
    last = self._cursor[0] + ago
    return self.array[last - size + 1 : last + 1]


def _idx(self: Any) -> int:
    return self._cursor[0]  # type: ignore[no-any-return]


def _moved(self: Any, *_: Any, **__: Any) -> None:
    raise Refused("moves a line by hand (home, forward, advance, rewind)")


def _datetime(self: Any, ago: int = 0, tz: Any = None, naive: bool = True) -> datetime.datetime:
    number = self.array[self._cursor[0] + ago]
    tz = tz or self._tz
    if tz is None and number % 1.0 == 0.0:
        return datetime.datetime.fromordinal(int(number))
    return bt.num2date(number, tz=tz, naive=naive)  # type: ignore[no-any-return]


def _date(self: Any, ago: int = 0, tz: Any = None, naive: bool = True) -> datetime.date:
    number = self.array[self._cursor[0] + ago]
    tz = tz or self._tz
    if tz is None and number % 1.0 == 0.0:
        return datetime.date.fromordinal(int(number))
    return bt.num2date(number, tz=tz, naive=naive).date()  # type: ignore[no-any-return]


def _operations(value: str) -> dict[str, Any]:
    """Backtrader's operators for something whose current value is the expression `value`, as direct as can be."""
    made: dict[str, Any] = {"LineRoot": LineRoot}
    source = []
    for name, sign in _BINARY.items():
        for method, formula in ((name, f"{value} {sign} other"), (f"r{name}", f"other {sign} {value}")):
            if hasattr(LineRoot, f"__{method}__"):
                source.append(
                    f"def _{method}(self, other):\n"
                    f"    if self._opstage == 1:\n"
                    f"        return LineRoot.__{method}__(self, other)\n"
                    f"    if isinstance(other, LineRoot):\n"
                    f"        other = other[0]\n"
                    f"    return {formula}\n"
                )
    for name, formula in {"neg": f"-{value}", "abs": f"abs({value})", "bool": f"bool({value})"}.items():
        source.append(
            f"def _{name}(self):\n    return LineRoot.__{name}__(self) if self._opstage == 1 else {formula}\n"
        )
    exec(compile("".join(source), "<operators>", "exec"), made)
    return {f"_{name}__": made[name] for name in made if hasattr(LineRoot, f"_{name}__")}


_BINARY = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "floordiv": "//",
    "truediv": "/",
    "pow": "**",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
_LINE_OPERATIONS = _operations("self.array[self._cursor[0]]")
_SERIES_OPERATIONS = _operations("self._first.array[self._first._cursor[0]]")


def _series_getitem(self: Any, ago: int) -> float:
    return self._first.array[self._first._cursor[0] + ago]  # type: ignore[no-any-return]


def _series_len(self: Any) -> int:
    return self._first._cursor[0] + 1  # type: ignore[no-any-return]


_SERIES_METHODS = {"__getitem__": _series_getitem, "__len__": _series_len}
_METHODS: dict[str, Any] = {
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "__len__": _len,
    "set": _set,
    "get": _get,
    "get_idx": _idx,
    "set_idx": _moved,
    "idx": property(_idx, _moved),
    "_idx": property(_idx, _moved),
    "lencount": property(_len, _moved),
    "datetime": _datetime,
    "date": _date,
    "home": _moved,
    "forward": _moved,
    "advance": _moved,
    "rewind": _moved,
    "backwards": _moved,
    "reset": _moved,
}
