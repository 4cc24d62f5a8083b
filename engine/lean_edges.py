"""Where bars of minutes and of days end, as Backtrader's `Resampler` decides it, told from the times alone."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt
from backtrader import date2num, num2date

Ending = tuple[int, int, float]
"""A resampled bar: its first bar, the one after its last, and its time."""
MINUTES_AN_HOUR = 60
HOURS_A_DAY = 24


def takes(resampler: Any) -> bool:
    """Whether the bars of a resampler can be told from the times: minutes or days, all else as it is by default."""
    p = resampler.p
    return (
        p.timeframe in (bt.TimeFrame.Minutes, bt.TimeFrame.Days)
        and p.bar2edge
        and p.adjbartime
        and p.rightedge is True
        and p.takelate
        and not p.boundoff
    )


def endings(base: Any, times: list[float], timeframe: int, compression: int) -> dict[int, Ending] | None:
    """Bars of minutes or days, by the number of the bar of `base` they are delivered on, len(times) for the last.

    None where a bar would be late, or be put off to a later bar of `base`.
    """
    return _Resampling(base, times, timeframe, compression).run()


class _Resampling:
    """`Resampler.__call__`, for bars that come one by one and whose times increase."""

    def __init__(self, base: Any, times: list[float], timeframe: int, compression: int):
        self.base, self.times, self.compression = base, times, compression
        self.within_days = timeframe == bt.TimeFrame.Minutes
        moments = [num2date(time) for time in times]
        self.points = [_minute(moment) for moment in moments]
        self.whole = [not moment.second and not moment.microsecond for moment in moments]
        self.session: tuple[datetime.datetime, float] | None = None
        self.last_session = 0.0
        self.days_over = 0

    def run(self) -> dict[int, Ending] | None:
        found: dict[int, Ending] = {}
        first: int | None = None
        delivered = float("-inf")
        for bar, time in enumerate(self.times):
            if self.within_days and time <= delivered:
                return None
            session = self._set_session(time)
            if time == session or self._on_edge(bar):
                if time == session:
                    self._end_session(session)
                found[bar] = bar if first is None else first, bar + 1, time
                first, delivered = None, time
            elif first is not None and self._is_over(bar, session):
                delivered = self._stamp(bar - 1)
                if delivered > time:
                    return None
                found[bar] = first, bar, delivered
                first = bar
            else:
                first = bar if first is None else first
                if time == self._set_session(time):
                    return None
        if first is not None:
            found[len(self.times)] = first, len(self.times), self._last_stamp()
        return found

    def _set_session(self, time: float) -> float:
        """`Resampler._eosset`: the end of the session, of the bar on which it was last asked for."""
        if self.session is None:
            self.session = session_end(self.base, time)
        return self.session[1]

    def _end_session(self, end: float) -> None:
        self.session, self.last_session = None, end

    def _on_edge(self, bar: int) -> bool:
        return self.within_days and self.whole[bar] and self.points[bar] % self.compression == 0

    def _is_over(self, bar: int, session: float) -> bool:
        """`Resampler._checkbarover`."""
        over = False
        if self.times[bar - 1] <= session < self.times[bar]:
            self._end_session(session)
            over = True
        if self.within_days:
            before, now = self.points[bar - 1] // self.compression, self.points[bar] // self.compression
            return over or now > before
        self.days_over += over
        return over and self.days_over % self.compression == 0

    def _stamp(self, bar: int) -> float:
        """`Resampler._adjusttime` of a bar that is over."""
        edge = self.last_session if self.session is None else self._right_edge(bar)
        return max(edge, self.times[bar])

    def _last_stamp(self) -> float:
        """`Resampler._adjusttime` of the bar that the end leaves open."""
        if self.session is None:
            return self.last_session
        if self.within_days:
            return self._right_edge(len(self.times) - 1)
        end = self.session[0]
        moment = num2date(self.times[-1])
        return float(date2num(datetime.datetime.combine(moment.date(), end.time())))

    def _right_edge(self, bar: int) -> float:
        point = (self.points[bar] // self.compression + 1) * self.compression
        hour, minute = divmod(point, MINUTES_AN_HOUR)
        days, hour = divmod(hour, HOURS_A_DAY)
        moment = num2date(self.times[bar]).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return float(date2num(moment + datetime.timedelta(days=days)))


def _minute(moment: datetime.datetime) -> int:
    return moment.hour * MINUTES_AN_HOUR + moment.minute


def session_end(base: Any, time: float) -> tuple[datetime.datetime, float]:
    """`AbstractDataBase._getnexteos` on the bar of this time, without a calendar and in UTC."""
    moment = num2date(time)
    end = num2date(date2num(datetime.datetime.combine(moment, base.p.sessionend)))
    while moment > end:
        end += datetime.timedelta(days=1)
    return end, float(date2num(end))
