"""How far apart bars stand, and which breaks between them are missing data.

A break is where the next bar comes later than one step. Whether that is lost data or a closed market is
decided by these rules, from the bars alone:

* 24/7 data (bars on every weekday, at every time of day): every break is a gap.
* Daily bars of a market with closed weekdays: a missing weekday cannot be told from a holiday, so a break
  of up to 4 weekdays (September 2001, the longest of a large exchange in our time), or of up to the limit
  when that is larger, is a closure and nothing is invented for it. Longer is a gap.
* Intraday bars: a weekday is closed when under a quarter of its dates have bars; a time of day (in half
  hours, or in steps when longer) is closed when under a quarter of at least two open dates have bars then.
  A break that holds a closed weekday or a closed time of day is a closure (weekend, night, lunch, early
  close, holiday), unless more than 4 whole open dates are missing. In a market with closed weekdays a
  break of 12 hours or more is a holiday. Friday to Sunday is a weekend where no Saturday has bars. Any
  other break is a gap.
* Sources that send no bar when nothing was traded: where over a tenth of the intervals are longer than one
  step, a run of empty bars that chance explains (expected less than once in a hundred such histories) is
  not lost data; it stays as it is when longer than the limit.
* Bars that follow no regular step (ticks, volume bars) are not checked, and that is noted.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import DataError

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONTH = int(30.436875 * DAY)
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "M": MONTH}

CLOSURE_DAYS = 4
HOLIDAY = 12 * HOUR
OPEN_SHARE = 0.25
SPARSE_SHARE = 0.10
CHANCE = 0.01
REGULAR_SHARE = 0.9
BUCKETS = tuple(int(h * HOUR) for h in (0.5, 1, 2, 3, 4, 6, 8, 12, 24))


@dataclass(frozen=True, slots=True)
class Break:
    """A stretch without bars. `after` and `before` are positions of its neighbours; `bars` are missing.

    quiet: a closure only because the source sends no bar when nothing was traded.
    """

    after: int
    before: int
    bars: int
    closure: bool
    quiet: bool = False


def nanoseconds(index: pd.DatetimeIndex) -> Int64:
    """The times as nanoseconds since 1970, whatever unit they are kept in."""
    return np.asarray((index if index.unit == "ns" else index.as_unit("ns")).asi8)


def parse_timeframe(text: str) -> int:
    """Nanoseconds of a timeframe such as `1m`, `4h`, `1d`, `1w`, `1M`. Raises DataError for anything else."""
    match = re.fullmatch(r"([1-9]\d*)([smhdwM])", text)
    if not match:
        raise DataError(f"unknown timeframe {text!r}", hint="write it as 1m, 5m, 1h, 4h, 1d, 1w or 1M")
    return int(match[1]) * UNITS[match[2]]


def name_timeframe(step: int) -> str:
    """The short name of a step in nanoseconds: `1m`, `1d`; empty when it has none."""
    if step >= 28 * DAY:
        return f"{max(1, round(step / MONTH))}M"
    for unit in ("w", "d", "h", "m", "s"):
        if step and step % UNITS[unit] == 0:
            return f"{step // UNITS[unit]}{unit}"
    return ""


def infer_step(times: Int64) -> int:
    """The commonest distance between bars in nanoseconds; 0 when there is none to speak of.

    times: (n,) nanoseconds since 1970, strictly increasing.
    """
    if len(times) < 2:
        return 0
    between = times[1:] - times[:-1]
    step = int(between[0]) if (between == between[0]).all() else _commonest(between)
    if step >= 28 * DAY:
        return max(1, round(step / MONTH)) * MONTH
    if (times[-1] - times[0]) == step * len(between) and between.max() == step:
        return step
    regular = np.count_nonzero(between % step == 0) / len(between)
    return step if regular >= REGULAR_SHARE else 0


def _commonest(between: Int64) -> int:
    """The commonest distance, the shortest of several as common; seen at once where it is the shortest of all."""
    shortest = int(between.min())
    if 2 * np.count_nonzero(between == shortest) > len(between):
        return shortest
    distances, counts = np.unique(between, return_counts=True)
    return int(distances[np.argmax(counts)])


def find_breaks(index: pd.DatetimeIndex, step: int, limit: int) -> list[Break]:
    """All breaks longer than one step, each judged a closure or a gap (rules: this module's docstring).

    index: strictly increasing, UTC. step: nanoseconds. limit: the longest gap, in bars, that will be filled.
    """
    times = nanoseconds(index)
    if step <= 0 or len(times) < 2:
        return []
    if step >= 28 * DAY:
        return _monthly(index, max(1, round(step / MONTH)), limit)
    if (times[1:] - times[:-1] == step).all():
        return []
    if step == DAY:
        return _daily(times, limit)
    if step < DAY:
        return _intraday(times, step, limit)
    return [Break(i, i + 1, m, closure=False) for i, m in _multiples(times, step)]


def _multiples(times: Int64, step: int) -> list[tuple[int, int]]:
    """Position before each break and the number of bars missing there."""
    missing = np.rint(np.diff(times) / step).astype(np.int64) - 1
    return [(int(i), int(missing[i])) for i in np.flatnonzero(missing > 0)]


def _monthly(index: pd.DatetimeIndex, months: int, limit: int) -> list[Break]:
    number = np.asarray(index.year * 12 + index.month, dtype=np.int64)
    missing = np.rint(np.diff(number) / months).astype(np.int64) - 1
    found = np.flatnonzero(missing > 0)
    return [Break(int(i), int(i) + 1, int(missing[i]), closure=bool(missing[i] <= limit)) for i in found]


def _daily(times: Int64, limit: int) -> list[Break]:
    # The first bar's time of day becomes noon, so that no clock change moves a bar to the next date.
    days = (times - times[0] % DAY + DAY // 2) // DAY
    is_open = ~_closed_weekdays(_distinct(days), int(days[0]), int(days[-1]))
    dates = days.astype("datetime64[D]")
    missing = np.busday_count(dates[:-1] + 1, dates[1:], weekmask=is_open.tolist())
    seven_days = bool(is_open.all())
    found = np.flatnonzero(missing > 0)
    return [
        Break(i, i + 1, m, closure=not seven_days and m <= max(limit, CLOSURE_DAYS))
        for i, m in zip(found.tolist(), missing[found].tolist(), strict=True)
    ]


def _distinct(rising: Int64) -> Int64:
    """Each value once. rising: (n,) sorted, n > 0."""
    return rising[np.concatenate(([True], rising[1:] != rising[:-1]))]


def _closed_weekdays(days: Int64, first: int, last: int) -> Flags:
    """Which weekdays (Monday first) the market does not trade on. days: distinct days since 1970 with bars.

    One date is not enough to call a weekday closed, except for a weekend of which both days are empty.
    """
    possible = np.bincount((np.arange(first, last + 1) + 3) % 7, minlength=7)
    present = np.bincount((days + 3) % 7, minlength=7)
    closed = (present < OPEN_SHARE * possible) & (possible >= 2)
    if possible[5] and possible[6] and not present[5] and not present[6]:
        closed[5:] = True
    return np.asarray(closed, dtype=np.bool_)


def _intraday(times: Int64, step: int, limit: int) -> list[Break]:
    breaks = _multiples(times, step)
    width = next(w for w in BUCKETS if w >= step)
    long_enough = [i for i, missing in breaks if missing * step >= width]
    closures: set[int] = set()
    if long_enough:
        first, last = int(times[0] // DAY), int(times[-1] // DAY)
        closed_day = _closed_weekdays(_distinct(times // DAY), first, last)
        closed_slot = _closed_slots(times, step, width, closed_day)
        for i in long_enough:
            lost = (int(times[i]) + step, int(times[i + 1]))
            closed = _is_closure(lost, width, closed_day, closed_slot) or _is_weekend(times, i)
            if closed or _second_session(times, i, step):
                closures.add(i)
    gaps = len(breaks) - len(closures)
    tolerated = max(limit, chance_limit(gaps, len(times) - 1))
    found = []
    for i, missing in breaks:
        quiet = i not in closures and limit < missing <= tolerated
        found.append(Break(i, i + 1, missing, closure=quiet or i in closures, quiet=quiet))
    return found


def _closed_slots(times: Int64, step: int, width: int, closed_day: Flags) -> Flags:
    """Which times of day, in slots of `width` nanoseconds, regularly have no bars."""
    per_day = DAY // width
    days = np.arange(times[0] // DAY, times[-1] // DAY + 1)
    days = days[~closed_day[(days + 3) % 7]]
    starts = days[:, None] * DAY + np.arange(per_day)[None, :] * width
    possible = ((starts >= times[0]) & (starts + width <= times[-1] + step)).sum(axis=0)
    buckets = _distinct(times // width)
    buckets = buckets[~closed_day[(buckets // per_day + 3) % 7]]
    present = np.bincount(buckets % per_day, minlength=per_day)
    return np.asarray((possible >= 2) & (present < OPEN_SHARE * possible), dtype=np.bool_)


def _is_closure(lost: tuple[int, int], width: int, closed_day: Flags, closed_slot: Flags) -> bool:
    per_day = DAY // width
    buckets = np.arange(-(-lost[0] // width), lost[1] // width)
    weekday = (buckets // per_day + 3) % 7
    shut = closed_day[weekday] | closed_slot[buckets % per_day]
    holiday = bool(closed_day.any()) and lost[1] - lost[0] >= HOLIDAY
    whole_days = np.arange(-(-lost[0] // DAY), lost[1] // DAY)
    open_days = int((~closed_day[(whole_days + 3) % 7]).sum())
    return (bool(shut.any()) or holiday) and open_days <= CLOSURE_DAYS


def _is_weekend(times: Int64, position: int) -> bool:
    """True for Friday to Sunday in data without a bar on a Saturday: how currencies trade, in UTC.

    A file with a single weekend in it is too short to learn that from.
    """
    days = (times // DAY + 3) % 7
    left, came_back = int(times[position]), int(times[position + 1])
    friday_to_sunday = days[position] == 4 and days[position + 1] == 6 and came_back - left < 3 * DAY
    return bool(friday_to_sunday and not (days == 5).any())


def _second_session(times: Int64, position: int, step: int) -> bool:
    """True for the night in a file of two sessions, too short to learn the hours from.

    The bars then go on at the time of day at which they began, after a break of several hours.
    """
    start, resumed, before = int(times[0]), int(times[position + 1]), int(times[position])
    short_file = int(times[-1]) - start < 2 * DAY + 12 * HOUR
    return short_file and (resumed - start) % DAY == 0 and resumed - before - step >= 4 * HOUR


def chance_limit(gaps: int, intervals: int) -> int:
    """The longest run of empty bars that chance explains where bars without trades are left out.

    0 unless over a tenth of the intervals are longer than one step. The longest gap itself is no evidence,
    hence `gaps - 1`. Runs are geometric: n intervals hold a run of k or more about n * share ** k times.
    """
    share = (gaps - 1) / intervals if intervals else 0.0
    if share <= SPARSE_SHARE or share >= 1:
        return 0
    return math.floor(math.log(CHANCE / intervals) / math.log(share))
