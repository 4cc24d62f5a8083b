"""Where the ticks of an axis go, and what stands at them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from reports.figures import signed

HOUR, DAY = 3_600, 86_400
WITHIN_DAYS = (60, 300, 900, 1_800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY)
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
MONTH = 30.44 * DAY
Tick = tuple[float, str]


def value_ticks(low: float, high: float, most: int, unit: str) -> list[Tick]:
    """At most about `most` round values between the two. unit: "percent", "money" or "ratio"."""
    step = round_step((high - low) / max(1, most))
    if not step > 0:
        return []
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    scale, sign = _scale(max(abs(low), abs(high)), unit)
    decimals = max(0, -math.floor(math.log10(step / scale) + 1e-9))
    values = [(first + place) * step for place in range(count)]
    return [(value, signed(f"{value / scale:,.{decimals}f}{sign}")) for value in values]


def round_step(size: float) -> float:
    """The next of 1, 2 and 5 times a power of ten; 0 for what is no size."""
    if not (math.isfinite(size) and size > 0):
        return 0.0
    power = 10.0 ** math.floor(math.log10(size))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= size * (1 - 1e-9))


def time_ticks(first: float, last: float, most: int) -> list[Tick]:
    """At most about `most` moments on the calendar. first, last: seconds since 1970, UTC."""
    span = last - first
    if not span > 0:
        return [(first, _moment(first, DAY))]
    step = next((step for step in WITHIN_DAYS if span / step <= most), None)
    if step is not None:
        begin = math.ceil(first / step) * step
        return [(at, _moment(at, step)) for at in range(int(begin), int(last) + 1, step)]
    months = next((months for months in MONTHS if span / (months * MONTH) <= most), MONTHS[-1])
    return list(_calendar(first, last, months))


def _calendar(first: float, last: float, months: int) -> Iterator[Tick]:
    begin = datetime.fromtimestamp(first, UTC)
    number = -(-(begin.year * 12 + begin.month - 1) // months) * months
    while True:
        year, month = divmod(number, 12)
        if year > datetime.max.year:
            return
        at = datetime(year, month + 1, 1, tzinfo=UTC)
        if at.timestamp() > last:
            return
        if at.timestamp() >= first:
            yield at.timestamp(), f"{at:%Y}" if months >= 12 else f"{at:%b %Y}"
        number += months


def _moment(at: float, step: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%d %b}" if step >= DAY else f"{moment:%d %b %H:%M}"


def _scale(largest: float, unit: str) -> tuple[float, str]:
    """What the numbers of an axis are divided by, and the sign behind them."""
    if unit == "percent":
        return 0.01, "%"
    return next(((size, sign) for size, sign in ((1e9, "B"), (1e6, "M")) if largest >= 2 * size), (1.0, ""))


__all__ = ["Tick", "round_step", "time_ticks", "value_ticks"]
