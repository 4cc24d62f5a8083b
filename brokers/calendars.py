"""Exchange calendars: which code there is, and which days and minutes are of a session."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import ConfigError, OrderRejected

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

MARGIN = timedelta(weeks=4)


def check_calendar(code: str) -> None:
    """ConfigError with the nearest code when there is no such exchange calendar; making one takes far longer."""
    import exchange_calendars

    from core.errors import nearest

    names = exchange_calendars.get_calendar_names()
    if code not in names:
        near = nearest(code.upper(), names)
        hint = f"did you mean {near}?" if near else "XNYS is New York, 24/7 never closes"
        raise ConfigError(f"unknown trading calendar {code!r}", hint=hint)


@lru_cache(maxsize=8)
def calendar(code: str) -> ExchangeCalendar:
    """The exchange calendar called `code`; ConfigError with the nearest code when there is none."""
    import exchange_calendars

    check_calendar(code)
    return exchange_calendars.get_calendar(code)


@lru_cache(maxsize=8)
def sessions_around(code: str, decade: int) -> ExchangeCalendar | None:
    """The calendar over ten years and four weeks on either side; None where it is not defined.

    By default a calendar reaches twenty years back, and replayed markets may be older.
    """
    import exchange_calendars
    import pandas as pd

    kind = type(calendar(code))
    start = pd.Timestamp(year=decade, month=1, day=1) - MARGIN
    end = pd.Timestamp(year=decade + 10, month=1, day=1) + MARGIN
    earliest, latest = kind.bound_min(), kind.bound_max()
    start = start if earliest is None else max(start, earliest)
    end = end if latest is None else min(end, latest)
    return exchange_calendars.get_calendar(code, start=start, end=end) if start < end else None


def local_day(code: str, time: datetime, *, intraday: bool) -> date:
    """The exchange's day at `time`; bars of a day or more are stamped with their day in UTC."""
    return time.astimezone(calendar(code).tz).date() if intraday else time.date()


def business_days(code: str, day: date, count: int) -> list[date]:
    """The last `count` sessions up to `day`, oldest first. Raises OrderRejected where the calendar does not reach."""
    import pandas as pd

    found = sessions_around(code, day.year // 10 * 10)
    last = 0 if found is None else int(found.sessions.searchsorted(pd.Timestamp(day), side="right"))
    if found is None or last < count:
        raise OrderRejected(f"nobody knows the sessions of {code} before {day}", rule="trading_hours")
    return [each.date() for each in found.sessions[last - count : last]]


def opens_in(code: str, time: datetime) -> timedelta:
    """How long until the calendar's next trading minute; nothing while it is open, or where nobody knows."""
    sessions = sessions_around(code, time.year // 10 * 10)
    minute = time.replace(second=0, microsecond=0)
    if sessions is None or not sessions.first_minute <= minute <= sessions.last_minute:
        return timedelta()
    if sessions.is_open_on_minute(minute, ignore_breaks=False):
        return timedelta()
    opening: datetime = sessions.next_minute(minute).to_pydatetime()
    return opening - minute
