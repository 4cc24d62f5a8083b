"""History handed over bar by bar, as fast as it can be taken or at a multiple of real time."""

from __future__ import annotations

import time as wall
from collections.abc import Callable
from datetime import datetime

import pandas as pd

from core.types import Bar
from feeds.source import BarSource


class Pacer:
    """Says when a bar is due. speed: seconds of market time a second; None is as fast as it can.

    While `hurry()` is true nothing waits; the pace starts with the first bar after that.
    """

    def __init__(
        self,
        speed: float | None = None,
        *,
        hurry: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = wall.monotonic,
    ) -> None:
        self._speed = speed
        self._hurry = hurry
        self._monotonic = monotonic
        self._anchor: tuple[datetime, float] | None = None

    def seconds_until(self, time: datetime) -> float:
        """Seconds until a bar stamped `time` is due; 0 when it is."""
        if self._speed is None or self._hurry():
            return 0.0
        if self._anchor is None:
            self._anchor = (time, self._monotonic())
        market, started = self._anchor
        due = started + (time - market).total_seconds() / self._speed
        return max(0.0, due - self._monotonic())


class Replay(BarSource):
    """The bars of one validated frame, one at a time."""

    def __init__(self, symbol: str, frame: pd.DataFrame, *, pacer: Pacer | None = None) -> None:
        self.symbol = symbol
        self._times: list[datetime] = list(pd.DatetimeIndex(frame.index).to_pydatetime())
        columns = ("open", "high", "low", "close", "volume")
        self._rows = list(zip(*(frame[name].tolist() for name in columns), strict=True))
        self._pacer = pacer or Pacer()
        self._next = 0

    @property
    def ended(self) -> bool:
        """Whether every bar was handed over."""
        return self._next >= len(self._times)

    @property
    def known_bars(self) -> int:
        """How many bars there are in all."""
        return len(self._times)

    def seconds_to_next(self) -> float:
        """Seconds until the next bar is due; 0 when it is, or when there is none."""
        return 0.0 if self.ended else self._pacer.seconds_until(self._times[self._next])

    def next(self) -> Bar | None:
        """The next bar if it is due."""
        if self.ended or self.seconds_to_next() > 0:
            return None
        position = self._next
        self._next += 1
        return Bar(self.symbol, self._times[position], *self._rows[position])
