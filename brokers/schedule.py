"""Values that hold from a time on, or fall due at one: funding rates, spreads."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Schedule:
    """Numbers by time, oldest first. times: aware, UTC, rising."""

    times: tuple[datetime, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, series: Any, what: str) -> Schedule:
        """From a Series, or a dict, of numbers by time; times without a zone are UTC.

        what: how an error names it. Raises ConfigError for times that repeat, and for what is not a finite number.
        """
        pairs = sorted((moment(time, what), _number(value, what)) for time, value in series.items())
        times = tuple(time for time, _ in pairs)
        if len(set(times)) < len(times):
            raise ConfigError(f"{what} has a time twice", hint="give one value for each time")
        return cls(times, tuple(value for _, value in pairs))

    def between(self, after: datetime, until: datetime) -> list[tuple[datetime, float]]:
        """What falls due later than `after`, up to and with `until`."""
        first, last = bisect_right(self.times, after), bisect_right(self.times, until)
        return list(zip(self.times[first:last], self.values[first:last], strict=True))

    def at(self, time: datetime) -> float:
        """The value that holds at `time`: the last one given by then, or the first of all before it."""
        return self.values[max(bisect_right(self.times, time) - 1, 0)] if self.values else 0.0


@dataclass(frozen=True, slots=True)
class Every:
    """One number that falls due every so many hours, counted from midnight UTC of 1970-01-01."""

    value: float
    hours: float

    def between(self, after: datetime, until: datetime) -> list[tuple[datetime, float]]:
        """What falls due later than `after`, up to and with `until`."""
        length = self.hours * 3600.0
        first = math.floor(after.timestamp() / length) + 1
        last = math.floor(until.timestamp() / length)
        return [
            (datetime.fromtimestamp(number * length, UTC), self.value) for number in range(first, last + 1)
        ]


def by_symbol(given: Any) -> bool:
    """Whether it is a dict by symbol, rather than one of times."""
    return isinstance(given, Mapping) and all(isinstance(key, str) for key in given)


def moment(time: Any, what: str) -> datetime:
    """A time as an aware one in UTC. Raises ConfigError for what is none."""
    found = time.to_pydatetime() if hasattr(time, "to_pydatetime") else time
    if not isinstance(found, datetime):
        raise ConfigError(
            f"{what} has {time!r} where a time belongs", hint="give datetimes, or a DatetimeIndex"
        )
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _number(value: Any, what: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ConfigError(f"{what} has {value!r} among its values", hint="fill or drop what is missing")
    return number
