"""Which bars of resampled datas come when: Backtrader's own doing, and told from the times where it can be."""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
from backtrader import date2num, num2date
from backtrader.feed import DataClone
from backtrader.resamplerfilter import Resampler

from engine import lean_edges
from engine.lean_edges import Ending

if TYPE_CHECKING:
    from numpy.typing import NDArray

Row = tuple[float, ...]
"""A bar: a value a line."""
PERIODS: dict[int, Callable[[Any], int]] = {
    bt.TimeFrame.Weeks: lambda date: date.isocalendar()[0] * 100 + date.isocalendar()[1],
    bt.TimeFrame.Months: lambda date: date.year * 100 + date.month,
    bt.TimeFrame.Years: lambda date: date.year,
}
"""The number by which Backtrader tells one week, month or year from another."""
NOT_MIDNIGHT = 0.9999
"""Part of a day after which rounding could take a time to the next day."""

RESAMPLING_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What Backtrader's resamplers raise on bars they cannot take, such as those at infinite times."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The bars of a run, and at each of its steps where each data is.

    times: (steps,) of the data that leads. rows: per data all its bars. at, held: (steps, datas), the current bar of
    a data, and how many bars its lines hold. error: what stops the run after the last step.
    """

    times: list[float]
    rows: list[list[Row]]
    at: NDArray[np.int64]
    held: NDArray[np.int64]
    error: Exception | None = None


Told = dict[int, tuple[int, dict[int, Ending]]]
"""By the number of each resampled data, that of the data it is made of, and its bars as `endings_of` says."""


def deliver_ahead(cerebro: bt.Cerebro, datas: list[Any]) -> Delivery:
    """All bars before the run. datas: in the order in which they move; their lines hold all bars then."""
    told = tell_bars(datas)
    return deliver_recorded(cerebro, datas) if told is None else deliver_told(datas, told)


def tell_bars(datas: list[Any]) -> Told | None:
    """The bars of resampled datas, told from the times of the others; None where only Backtrader can tell."""
    told: Told = {}
    given = {id(data): n for n, data in enumerate(datas) if type(data) is not DataClone}
    if not given or not all(plain_times(datas[n]) for n in given.values()):
        return None
    for number, data in enumerate(datas):
        if id(data) in given:
            continue
        base = given.get(id(data.data), number)
        endings = endings_of(datas[base], data)
        if base > number or endings is None or (len(given) > 1 and not follows(datas[base], data)):
            return None
        told[number] = base, endings
    return told


def deliver_told(datas: list[Any], told: Told) -> Delivery:
    """All bars, of which those of the resampled datas are told.

    Backtrader has the next bar of every data ready, and the bars made of it delivered, before the step it comes at.
    """
    columns = {n: columns_of(data) for n, data in enumerate(datas) if n not in told}
    stamps = {n: np.array(each["datetime"]) for n, each in columns.items()}
    times = np.unique(np.concatenate(list(stamps.values())))
    last = len(times)
    if any(len(stamps[base]) in endings for base, endings in told.values()):
        times = np.append(times, times[-1])
    rows: list[list[Row]] = []
    at = np.empty((len(times), len(datas)), dtype=np.int64)
    held = np.empty_like(at)
    for number, data in enumerate(datas):
        names = data.getlinealiases()
        if number in told:
            base, endings = told[number]
            rows.append([bar_of(columns[base], names, ending) for ending in endings.values()])
            ready = np.append(0, np.searchsorted(times, stamps[base], side="right"))
            ready[-1] = last
            at[:, number] = np.searchsorted(ready[list(endings)], np.arange(len(times)), side="right") - 1
            held[:, number] = at[:, number] + 1
        else:
            rows.append(list(zip(*(columns[number][name] for name in names), strict=True)))
            at[:, number] = np.searchsorted(stamps[number], times, side="right") - 1
            held[:, number] = np.minimum(np.searchsorted(stamps[number], times) + 1, len(stamps[number]))
            data._idx = data.known_bars
        _put(data, rows[-1])
    return Delivery(times.tolist(), rows, at, held)


def _put(data: Any, rows: list[Row]) -> None:
    """Give a data all its bars."""
    for number, line in enumerate(data.lines.lines):
        line.array = array("d", [row[number] for row in rows])
        line._idx, line.lencount = len(rows) - 1, len(rows)


def deliver_recorded(cerebro: bt.Cerebro, datas: list[Any]) -> Delivery:
    """All bars as Backtrader delivers them."""
    times: list[float] = []
    at: list[list[int]] = []
    held: list[list[int]] = []
    first = [data.lines[0] for data in datas]
    error = None
    try:
        for time in deliver_as_stock(cerebro, datas):
            times.append(time)
            at.append([line._idx for line in first])
            held.append([len(line.array) for line in first])
    except RESAMPLING_ERRORS as raised:  # it comes at its step
        error = raised
    rows = [list(zip(*(line.array for line in data.lines.lines), strict=True)) for data in datas]
    shape = len(times), len(datas)
    places, ends = (np.array(each, dtype=np.int64).reshape(shape) for each in (at, held))
    return Delivery(times, rows, places, ends, error)


def follows(base: Any, clone: Any) -> bool:
    """Whether a data is made of whole weeks, months or years of another."""
    return is_resampled_from(base, clone) and clone._filters[0][0].p.timeframe in PERIODS


def is_resampled_from(base: Any, clone: Any) -> bool:
    """Whether a data is made of the bars of another, by nothing but a resampler without a calendar."""
    if type(clone) is not DataClone or clone.data is not base or len(clone._filters) != 1:
        return False
    filtered = clone._filters[0][0]
    return type(filtered) is Resampler and not filtered.componly and clone._calendar is None


def plain_times(base: Any) -> bool:
    """Whether a data's times increase, in UTC, and none is at the last second of its day."""
    times = getattr(base, "_columns", {}).get("datetime")
    if times is None or base._tz is not None or base._tzinput or base._filters or base.buflen():
        return False
    finite = all(np.isfinite(base._columns[name]).all() for name in ("open", "high", "low", "close"))
    return bool(finite and (np.diff(times) > 0).all() and (times % 1.0 < NOT_MIDNIGHT).all())


def deliver_periods(base: Any, clones: list[Any]) -> Iterator[float]:
    """Move one data, and datas made of its weeks, months or years, as `Cerebro._runnext` would; yields its time."""
    times, datas = columns_of(base)["datetime"], [base, *clones]
    delivery = deliver_told(datas, {n: (0, periods_of(times, clone)) for n, clone in enumerate(clones, 1)})
    for time, places in zip(delivery.times, delivery.at.tolist(), strict=True):
        for data, place in zip(datas, places, strict=True):
            for line in data.lines.lines:
                line._idx, line.lencount = place, place + 1
        yield time


def endings_of(base: Any, clone: Any) -> dict[int, Ending] | None:
    """The bars a data is made of another's, by the number of the other's bar they are delivered on.

    The one that is not over at the end is delivered on the bar after the last. None where only Backtrader can tell.
    """
    if not is_resampled_from(base, clone):
        return None
    resampler, times = clone._filters[0][0], columns_of(base)["datetime"]
    if resampler.p.timeframe in PERIODS:
        return periods_of(times, clone)
    if lean_edges.takes(resampler):
        return lean_edges.endings(base, times, resampler.p.timeframe, resampler.p.compression)
    return None


def periods_of(times: list[float], clone: Any) -> dict[int, Ending]:
    """Weeks, months or years of bars at these times."""
    resampler = clone._filters[0][0]
    number_of, compression = PERIODS[resampler.p.timeframe], resampler.p.compression
    found: dict[int, Ending] = {}
    numbers = [number_of(num2date(time)) for time in times]
    start = over = 0
    for bar in range(1, len(times)):
        if numbers[bar] > numbers[bar - 1]:
            over += 1
            if over % compression == 0:
                found[bar] = start, bar, times[bar - 1]
                start = bar
    if times:
        found[len(times)] = start, len(times), times[-1]
    return found


def columns_of(base: Any) -> dict[str, list[float]]:
    """The values of a data's lines, before any of its bars has come."""
    columns = {name: base._columns.get(name) for name in base.getlinealiases()}
    missing = [float("nan")] * base.known_bars
    return {name: missing if column is None else column.tolist() for name, column in columns.items()}


def bar_of(columns: dict[str, list[float]], names: Sequence[str], ending: Ending) -> Row:
    """`_Bar.bupdate` with one bar after another."""
    first, end, time = ending
    volume = 0.0
    for value in columns["volume"][first:end]:
        volume += value
    values = {
        "open": columns["open"][first],
        "high": max(columns["high"][first:end]),
        "low": min(columns["low"][first:end]),
        "close": columns["close"][end - 1],
        "volume": volume,
        "openinterest": columns["openinterest"][end - 1],
        "datetime": time,
    }
    return tuple([values[name] for name in names])


def deliver_as_stock(cerebro: bt.Cerebro, datas: list[Any]) -> Iterator[float]:
    """The part of `Cerebro._runnext` that moves the datas, for datas of history; yields the leading time."""
    first = datas[0]
    resampled = [number for number, data in enumerate(datas) if data.resampling and not data.replaying]
    leading = range(len(datas)) if len(resampled) in (0, len(datas)) else None
    dt0 = date2num(datetime.datetime.max) - 2
    more = True
    while more:
        moved = [data.next(ticks=False) for data in datas]
        more = any(moved)
        if more:
            times = [data.datetime[0] if got else None for data, got in zip(datas, moved, strict=True)]
            leaders = leading if leading is not None else [n for n in range(len(datas)) if n not in resampled]
            dt0 = min(time for n in leaders if (time := times[n]) is not None)
            master = datas[times.index(dt0)]
            cerebro._dtmaster, cerebro._udtmaster = master.num2date(dt0), num2date(dt0)
            for number, data in enumerate(datas):
                if not moved[number]:
                    data._check(forcedata=master)
                    if data.next(datamaster=master, ticks=False):
                        times[number] = data.datetime[0]
            for data, time in zip(datas, times, strict=True):
                if time is not None:
                    if time > dt0:
                        data.rewind()
                    elif not data.replaying:
                        data._tick_fill(force=True)
            yield dt0
        else:
            late = first._last()
            for data in datas[1:]:
                late += data._last(datamaster=first)
            if late:
                yield dt0
