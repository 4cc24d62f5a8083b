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
    """Hands out bars of `step` from the one that starts at `since` (milliseconds since 1970) on, stamped at their close.

    expected: where the next bar starts, unless the market is closed then.
    """

    def __init__(self, symbol: str, step: timedelta, since: int) -> None:
        self.symbol = symbol
        self.step = step
        self._length = int(step.total_seconds() * 1000)
        self.expected = -(-since // self._length) * self._length

    def follow(self, rows: Iterable[Row]) -> list[Bar]:
        """Of a stream: those that continue what was handed out. What is known is dropped, and what leaves a gap."""
        return [self._hand_out(row) for row in rows if row.start == self.expected]

    def fill(self, rows: Iterable[Row]) -> list[Bar]:
        """Of history, which is whole: all that are not known yet. Where it has no bar there was none."""
        return [self._hand_out(row) for row in rows if row.start >= self.expected]

    def leaves_a_gap(self, row: Row) -> bool:
        """Whether bars before this one may be missing."""
        return row.start > self.expected

    def have_a_gap(self, rows: Iterable[Row]) -> bool:
        """Whether bars may be missing before any of these, which a stream has told one after another."""
        expected = self.expected
        for row in rows:
            if row.start > expected:
                return True
            if row.start == expected:
                expected += self._length
        return False

    def _hand_out(self, row: Row) -> Bar:
        self.expected = row.start + self._length
        time = datetime.fromtimestamp(row.start / 1000, UTC) + self.step
        return Bar(self.symbol, time, row.open, row.high, row.low, row.close, row.volume)
