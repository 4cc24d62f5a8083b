"""Dates and times for kernels to call, as Backtrader's `num2date` and `date2num` have them."""

from __future__ import annotations

import math

import numpy as np

from engine.compiled.runtime import Flags, compiled
from indicators.sums import exact_sum

DAY = 86_400_000_000


@compiled
def civil(ordinal: int) -> tuple[int, int, int]:
    """Year, month and day of a day's ordinal (days since 0001-01-01, which is 1)."""
    z = ordinal + 305
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    day = doy - (153 * mp + 2) // 5 + 1
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (1 if month <= 2 else 0)
    return year, month, day


@compiled
def day_number(moment: int) -> float:
    """Backtrader's `date2num` of microseconds since ordinal 0."""
    day = moment // DAY
    rest = moment - day * DAY
    parts = np.empty(5)
    parts[0] = float(day)
    parts[1] = (rest // 3_600_000_000) / 24.0
    parts[2] = ((rest // 60_000_000) % 60) / 1440.0
    parts[3] = ((rest // 1_000_000) % 60) / 86400.0
    parts[4] = (rest % 1_000_000) / 86_400_000_000.0
    return exact_sum(parts, 0, 5, np.empty(6))[0]  # type: ignore[no-any-return]


@compiled
def valid_until(moment: int, delta: int) -> float:
    """When an order with a timedelta `valid` ends: zero means the end of the day."""
    if delta == 0:
        return day_number((moment // DAY) * DAY + DAY - 1_000_000 + 9_999)
    return day_number(moment + delta)


@compiled
def moment_of(day: float, error: Flags) -> int:
    """Backtrader's `num2date`, as microseconds since ordinal 0."""
    if not math.isfinite(day) or day < 1.0 or day > 3_652_059.0:
        error[0] = 1
        return 0
    whole = math.floor(day)
    rest = 24.0 * (day - whole)
    hours = math.floor(rest)
    rest = 60.0 * (rest - hours)
    minutes = math.floor(rest)
    rest = 60.0 * (rest - minutes)
    seconds = math.floor(rest)
    micros = int(1e6 * (rest - seconds))
    if micros < 10:
        micros = 0
    if micros > 999990:
        micros = 1_000_000
    found = (int(whole) * 24 + int(hours)) * 60 + int(minutes)
    return (found * 60 + int(seconds)) * 1_000_000 + micros
