"""Time: always aware, always UTC; the wall clock, or a simulated one that a replay moves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The machine's time in UTC."""
        return datetime.now(UTC)


class SimulatedClock:
    """Stands where the replay last set it; never goes backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = as_utc(start)

    def now(self) -> datetime:
        """The time last set."""
        return self._now

    def advance_to(self, time: datetime) -> None:
        """Move to `time`; a time in the past leaves the clock where it is."""
        self._now = max(self._now, as_utc(time))


def as_utc(time: datetime) -> datetime:
    """The same instant in UTC; a naive datetime is taken to be UTC already."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
