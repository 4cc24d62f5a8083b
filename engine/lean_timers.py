"""Timers in a lean run: Backtrader's own code, with quicker conversions between days and their numbers."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

import backtrader as bt
from backtrader.feed import AbstractDataBase
from backtrader.timer import Timer


def number_to_date(number: float, tz: Any = None, naive: bool = True) -> datetime.datetime:
    """`bt.num2date`."""
    if tz is None and number % 1.0 == 0.0:
        return datetime.datetime.fromordinal(int(number))
    return bt.num2date(number, tz=tz, naive=naive)  # type: ignore[no-any-return]


def date_to_number(moment: Any, tz: Any = None) -> float:
    """`bt.date2num`."""
    if tz is None and type(moment) is datetime.datetime and not moment.tzinfo:
        day = datetime.datetime.fromordinal(ordinal := moment.toordinal())
        if moment == day:
            return float(ordinal)
    return bt.date2num(moment, tz)  # type: ignore[no-any-return]


def _quicker(method: Any) -> FunctionType:
    conversions = {"num2date": number_to_date, "date2num": date_to_number}
    return FunctionType(method.__code__, {**method.__globals__, **conversions}, method.__name__)


_CHECK, _NEXT_END = _quicker(Timer.check), _quicker(AbstractDataBase._getnexteos)


@contextmanager
def quick_timers(timers: Iterable[Any], datas: Iterable[Any]) -> Iterator[None]:
    """Let timers, and what they ask datas for, run so."""
    quickened: list[tuple[Any, str]] = []
    for timer in timers:
        if type(timer) is Timer:
            timer.check = MethodType(_CHECK, timer)
            quickened.append((timer, "check"))
    for data in datas if quickened else ():
        if type(data)._getnexteos is AbstractDataBase._getnexteos:
            data._getnexteos = MethodType(_NEXT_END, data)
            quickened.append((data, "_getnexteos"))
    try:
        yield
    finally:
        for owner, name in quickened:
            delattr(owner, name)
