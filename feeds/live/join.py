"""Where history ends and the stream begins: each bar once, in order of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from core.types import Bar


class Row(NamedTuple):
    """A complete bar as an exchange tells it. start: milliseconds since 1970 at which it opens."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Joiner:
    """Hands out bars of `step` from the one that starts at `since` on, in milliseconds.

    Markets without closing hours: a bar that does not follow on the last one means that some are missing.
    """

    def __init__(self, symbol: str, step: timedelta, since: int) -> None:
        self.symbol = symbol
        self._step = step
        self._length = int(step.total_seconds() * 1000)
        self.expected = -(-since // self._length) * self._length

    def take(self, rows: Iterable[Row]) -> list[Bar]:
        """Those that continue what was handed out; what is known is dropped, and what comes after a gap."""
        taken = []
        for row in rows:
            if row.start == self.expected:
                taken.append(self._bar(row))
                self.expected += self._length
        return taken

    def skip_to(self, start: int) -> timedelta:
        """Give up the bars before `start`, which nobody has; returns how much time that is."""
        lost = max(start - self.expected, 0)
        self.expected += lost
        return timedelta(milliseconds=lost)

    def leaves_a_gap(self, row: Row) -> bool:
        """Whether bars before this one have not been handed out."""
        return row.start > self.expected

    def _bar(self, row: Row) -> Bar:
        time = datetime.fromtimestamp(row.start / 1000, UTC) + self._step
        return Bar(self.symbol, time, row.open, row.high, row.low, row.close, row.volume)
