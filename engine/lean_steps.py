"""Indicators with a `next` of their own, called bar by bar over lines that share one cursor.

Stands in for `Indicator.preonce_via_prenext`, `oncestart_via_nextstart` and `once_via_next`, which move every line
of every data and of every nested indicator on every bar.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
from backtrader.feed import AbstractDataBase
from backtrader.linebuffer import LineBuffer
from backtrader.lineiterator import LineIterator

from engine.lean_lines import Cursor, clock_of, name_lines, names_used, release, restore, share, shorten

STEPS = (
    ("preonce", bt.Indicator.preonce_via_prenext),
    ("oncestart", bt.Indicator.oncestart_via_nextstart),
    ("once", bt.Indicator.once_via_next),
)


def step_through(o: Any) -> bool:
    """Call `prenext`, `nextstart` and `next` of an indicator as Backtrader would, everything it moves being at home.

    False when what it moves does not move bar by bar together; nothing has been done then.
    """
    kind = type(o)
    if any(getattr(kind, name) is not stock or name in vars(o) for name, stock in STEPS):
        return False
    parts = _moved_together(o)
    if parts is None or any(name.startswith("tick_") for name in names_used(kind)):
        return False
    cursor: Cursor = [-1]
    shared: list[LineBuffer] = []
    shortened: list[Any] = []
    named: list[tuple[Any, set[str]]] = []
    try:
        for part in parts:
            for line in _lines(part):
                if not share(line, cursor):
                    return False
                shared.append(line)
        for part in parts:
            if not isinstance(part, LineBuffer):
                named.append((part, _name(part)))
                if shorten(part):
                    shortened.append(part)
        _call(o, cursor)
    finally:
        restore(shortened)
        release(shared)
        for part, names in named:
            for name in names:
                vars(part).pop(name, None)
    return True


def _call(o: Any, cursor: Cursor) -> None:
    period, end = o._minperiod, o.buflen()
    prenext, next_bar = o.prenext, o.next
    if type(o).prenext is LineIterator.prenext and "prenext" not in vars(o):
        cursor[0] = max(period - 2, -1)
    else:
        for bar in range(period - 1):
            cursor[0] = bar
            prenext()
    cursor[0] += 1
    o.nextstart()
    for bar in range(period, end):
        cursor[0] = bar
        next_bar()


def _moved_together(o: Any) -> list[Any] | None:
    """The datas, the nested indicators and the indicator itself, where each moves by one on every bar; else None."""
    parts: list[Any] = []
    moved: set[int] = set()
    for part in (*o.datas, *o._lineiterators[LineIterator.IndType], o):
        move = type(part).advance
        steady = move is AbstractDataBase.advance or move is LineBuffer.advance
        if not steady and not (move is bt.Indicator.advance and id(clock_of(part)) in moved):
            return None
        if id(part) in moved:
            return None
        parts.append(part)
        moved.update(id(each) for each in (part, *_lines(part)))
    return parts


def _lines(part: Any) -> list[LineBuffer]:
    return [part] if isinstance(part, LineBuffer) else part.lines.lines


def _name(series: Any) -> set[str]:
    before = set(vars(series))
    name_lines(series)
    return set(vars(series)) - before
