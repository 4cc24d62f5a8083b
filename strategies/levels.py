"""Price levels from completed trading sessions: pure, over plain times and prices.

A session is a day in the market's own time zone, so it begins an hour earlier or later in UTC when clocks
change there. The session under way never enters a level.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import StrategyError


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """Says which session an instant belongs to.

    zone: IANA name. rolls_at: local time at which the next session begins; a session that begins the evening
    before (rolls_at from noon on, as in futures) bears the date of the day it leads into.
    """

    zone: str = "UTC"
    rolls_at: time = time(0, 0)

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise StrategyError(
                f"unknown time zone {self.zone!r}", hint="use an IANA name such as America/New_York"
            ) from error

    def session(self, moment: datetime) -> date:
        """The date of the session that contains `moment`; a naive time is taken to be UTC."""
        if self.zone == "UTC" and self.rolls_at == time(0, 0) and moment.tzinfo is None:
            return moment.date()
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        local = aware.astimezone(ZoneInfo(self.zone))
        begun = local.time() >= self.rolls_at
        if self.rolls_at >= time(12, 0):
            return local.date() + timedelta(days=1) if begun else local.date()
        return local.date() if begun else local.date() - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels as known during a session, all from sessions before it.

    resistance, support: highest high and lowest low of the sessions looked back on.
    """

    previous_day_high: float
    previous_day_low: float
    previous_day_close: float
    resistance: float
    support: float

    @property
    def pivot(self) -> float:
        """The middle of the previous day: mean of its high, low and close."""
        return (self.previous_day_high + self.previous_day_low + self.previous_day_close) / 3


class SessionLevels:
    """Takes bars in order; keeps the levels of the last `lookback` completed sessions."""

    def __init__(self, calendar: SessionCalendar, lookback: int) -> None:
        if lookback < 1:
            raise StrategyError(f"lookback={lookback} sessions", hint="look back on at least one session")
        self._calendar = calendar
        self._lookback = lookback
        self._highs: deque[float] = deque()
        self._lows: deque[float] = deque()
        self._last_close = math.nan
        self._day: date | None = None
        self._high = self._low = self._close = math.nan

    def add(self, moment: datetime, high: float, low: float, close: float) -> None:
        """Take one bar; the first bar of a new session completes the one before."""
        day = self._calendar.session(moment)
        if day == self._day:
            self._high = max(self._high, high)
            self._low = min(self._low, low)
        else:
            if self._day is not None:
                self._highs.append(self._high)
                self._lows.append(self._low)
                if len(self._highs) > self._lookback:
                    self._highs.popleft()
                    self._lows.popleft()
                self._last_close = self._close
            self._day = day
            self._high = high
            self._low = low
        self._close = close

    def levels(self) -> Levels | None:
        """The levels in force on the last bar added, None before `lookback` sessions are complete."""
        if len(self._highs) < self._lookback:
            return None
        return Levels(
            previous_day_high=self._highs[-1],
            previous_day_low=self._lows[-1],
            previous_day_close=self._last_close,
            resistance=max(self._highs),
            support=min(self._lows),
        )
