"""A lean run bar by bar, where Backtrader computes indicators as the bars come: resampled datas.

The strategy's indicators are moved by Backtrader's own `_next` over arrays that grow, so that all they can see is
what they see there. What the datas deliver is Backtrader's own doing too, but for whole weeks, months or years of
one data, whose bars follow from its times.
"""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable, Iterator
from typing import Any

import backtrader as bt
import numpy as np
from backtrader import date2num, num2date
from backtrader.feed import DataClone
from backtrader.resamplerfilter import Resampler
from backtrader.trade import Trade

from engine.lean_account import Notice
from engine.lean_broker import LeanBroker
from engine.lean_lines import Cursor, name_lines, release, restore
from engine.lean_loop import LeanLoop
from engine.lean_strategy import quicken, slow_down

COLUMNS = ("open", "high", "low", "close", "volume", "openinterest", "datetime")
PERIODS: dict[int, Callable[[Any], int]] = {
    bt.TimeFrame.Weeks: lambda date: date.isocalendar()[0] * 100 + date.isocalendar()[1],
    bt.TimeFrame.Months: lambda date: date.year * 100 + date.month,
    bt.TimeFrame.Years: lambda date: date.year,
}
"""The number by which Backtrader tells one week, month or year from another."""
NOT_MIDNIGHT = 0.9999
"""Part of a day after which rounding could take a time to the next day."""


class BarByBarLoop(LeanLoop):
    """Takes the place of `Cerebro._runnext`."""

    def run(self) -> None:
        """Run all bars, then hand the account's curve to the recorder."""
        plain = self._account_is_plain()
        self.now: Cursor = [-1]  # the strategy's bar
        self._share(list(self.strategy.lines.lines), self.now)
        quick = quicken(self.strategy)
        try:
            self._run_bars(plain)
            self._hand_over_account(plain)
        finally:
            if quick:
                slow_down(self.strategy)
            restore(self.shortened)
            release(self.shared)
            if isinstance(self.broker, LeanBroker):
                self.broker.release()

    def _read_times(self) -> None:
        self.times: list[float] = []
        self.seen: list[tuple[int, ...]] = []
        self.lagging = []
        self.lengths = [0] * len(self.strategy.datas)
        self.at: dict[int, Cursor] = {id(data): [-1] for data in self.datas}

    def _closes_are_finite(self) -> bool:
        frames = [data.p.dataname for data in self.datas if not isinstance(data, DataClone)]
        return all(np.isfinite(frame["close"].to_numpy(dtype=np.float64)).all() for frame in frames)

    def _run_bars(self, plain: bool) -> None:
        cerebro, strategy, on_bar = self.cerebro, self.strategy, self.on_bar
        watched, account = self._watched(), self._adopt_if_possible(plain)
        indicators = strategy.getindicators()
        for series in (*self.datas, *(each for each in indicators if not isinstance(each, bt.LineBuffer))):
            name_lines(series)
        stock_notify = watched or not self.adoptable
        nothing: tuple[list[Notice], list[Trade]] = [], []
        steps = self._deliver()
        moved = [(self.at[id(data)], data.lines[0]) for data in self.datas] if not self.shortened else []
        for step, time in enumerate(steps):
            for cursor, line in moved:
                cursor[0] = line._idx
            if self._acts_early(time, strategy._next_open):
                return
            account[0] = step
            told = nothing
            if not self.adoptable:
                cerebro._brokernotify()
            elif self._match(watched) and not watched:
                told = self._take()
            if cerebro._event_stop:
                return
            if cerebro._timers:
                cerebro._check_timers([strategy], time, cheat=False)
            now = self._move_strategy()
            for indicator in indicators:
                indicator._next()
            self._tell_all(told, now, stock_notify, plain)
            new = not self.times or self.times[-1] != now
            self.times.append(now)
            self.seen.append(tuple([cursor[0] for cursor in self.at.values()]))
            self.done = step + 1
            if on_bar is not None and new:
                on_bar(self.done)
            strategy._minperstatus = phase = max(map(operator.sub, strategy._minperiods, self.lengths))
            self._decide(phase)
            if watched:
                strategy._next_analyzers(phase)
                strategy._next_observers(phase)
            if stock_notify:
                strategy.clear()
            if cerebro._event_stop:
                return

    def _move_strategy(self) -> float:
        """`Strategy._clk_update`; returns the strategy's time."""
        places = [(self.at[id(data)][0], data) for data in self.strategy.datas]
        lengths = [at + 1 for at, _ in places]
        if any(map(operator.gt, lengths, self.lengths)):
            self.now[0] += 1
            for line in self.strategy.lines.lines:
                line.array.append(np.nan)
        self.lengths = lengths
        time: float = max([data.lines.datetime.array[at] for at, data in places if at >= 0])
        self.strategy.lines.datetime.array[self.now[0]] = time
        return time

    def _places(self, data: Any) -> Any:
        number = next(k for k, other in enumerate(self.datas) if other is data)
        return np.array([places[number] for places in self.seen])

    def _deliver(self) -> Iterator[float]:
        base, *clones = self.datas
        if self.adoptable and all(follows(base, clone) for clone in clones) and plain_times(base):
            for data in self.datas:
                self._share(data.lines.lines, self.at[id(data)])
                self._shorten(data)
            return deliver_periods(base, clones)
        return deliver_as_stock(self.cerebro, self.datas)


def follows(base: Any, clone: Any) -> bool:
    """Whether a data is made of whole weeks, months or years of another."""
    if type(clone) is not DataClone or clone.data is not base or len(clone._filters) != 1:
        return False
    filtered = clone._filters[0][0]
    return (
        type(filtered) is Resampler
        and filtered.p.timeframe in PERIODS
        and not filtered.componly
        and clone._calendar is None
    )


def plain_times(base: Any) -> bool:
    """Whether a data's times increase, in UTC, and none is at the last second of its day."""
    times = getattr(base, "_columns", {}).get("datetime")
    if times is None or base._tz is not None or base._tzinput or base._filters or base.buflen():
        return False
    finite = all(np.isfinite(base._columns[name]).all() for name in ("open", "high", "low", "close"))
    return bool(finite and (np.diff(times) > 0).all() and (times % 1.0 < NOT_MIDNIGHT).all())


def deliver_periods(base: Any, clones: list[Any]) -> Iterator[float]:
    """Move one data, and datas made of its weeks, months or years, as `Cerebro._runnext` would; yields its time."""
    columns = [base._columns.get(name) for name in base.getlinealiases()]
    count = base.known_bars
    lists = [[float("nan")] * count if column is None else column.tolist() for column in columns]
    rows = list(zip(*lists, strict=True))
    put = putter(base)
    waiting = [(putter(clone), periods_of(base, clone)) for clone in clones]
    for bar, row in enumerate(rows):
        put(row)
        for put_period, finished in waiting:
            if bar in finished:
                put_period(finished[bar])
        yield row[-1]
    base._idx = count
    for put_period, finished in waiting:
        if count in finished:
            put_period(finished[count])
    if any(count in finished for _, finished in waiting):
        yield rows[-1][-1]


def putter(data: Any) -> Callable[[tuple[float, ...]], None]:
    """What adds a bar to a data and moves it there."""
    lines = data.lines.lines
    appends = [line.array.append for line in lines]
    cursor = getattr(lines[0], "_cursor", None)

    def put(row: tuple[float, ...]) -> None:
        for append, value in zip(appends, row, strict=True):
            append(value)
        if cursor is not None:
            cursor[0] += 1
            return
        for line in lines:
            line._idx += 1
            line.lencount += 1

    return put


def periods_of(base: Any, clone: Any) -> dict[int, tuple[float, ...]]:
    """Bars of the weeks, months or years of a data, by the number of its bar they are delivered on.

    The one that is not over at the end is delivered on the bar after the last.
    """
    resampler = clone._filters[0][0]
    number_of, compression = PERIODS[resampler.p.timeframe], resampler.p.compression
    columns = {name: base._columns.get(name) for name in COLUMNS}
    times = columns["datetime"].tolist()
    names = base.getlinealiases()
    found: dict[int, tuple[float, ...]] = {}
    numbers = [number_of(num2date(time)) for time in times]
    start = over = 0

    def bar_of(first: int, end: int) -> tuple[float, ...]:
        volume = 0.0
        for value in (columns["volume"] if columns["volume"] is not None else [np.nan] * len(times))[
            first:end
        ]:
            volume += value
        values = {
            "open": columns["open"][first],
            "high": columns["high"][first:end].max(),
            "low": columns["low"][first:end].min(),
            "close": columns["close"][end - 1],
            "volume": volume,
            "openinterest": np.nan if columns["openinterest"] is None else columns["openinterest"][end - 1],
            "datetime": times[end - 1],
        }
        return tuple(float(values[name]) for name in names)

    for bar in range(1, len(times)):
        if numbers[bar] > numbers[bar - 1]:
            over += 1
            if over % compression == 0:
                found[bar] = bar_of(start, bar)
                start = bar
    if times:
        found[len(times)] = bar_of(start, len(times))
    return found


def deliver_as_stock(cerebro: bt.Cerebro, datas: list[Any]) -> Iterator[float]:
    """The part of `Cerebro._runnext` that moves the datas, for datas of history; yields the leading time."""
    first = datas[0]
    resampled = [number for number, data in enumerate(datas) if data.resampling and not data.replaying]
    leading = range(len(datas)) if len(resampled) in (0, len(datas)) else None
    dt0 = date2num(datetime.datetime.max) - 2
    more = True
    while more:
        moved = [data.next(ticks=False) for data in datas]
        more = any(moved)
        if more:
            times = [data.datetime[0] if got else None for data, got in zip(datas, moved, strict=True)]
            leaders = leading if leading is not None else [n for n in range(len(datas)) if n not in resampled]
            dt0 = min(time for n in leaders if (time := times[n]) is not None)
            master = datas[times.index(dt0)]
            cerebro._dtmaster, cerebro._udtmaster = master.num2date(dt0), num2date(dt0)
            for number, data in enumerate(datas):
                if not moved[number]:
                    data._check(forcedata=master)
                    if data.next(datamaster=master, ticks=False):
                        times[number] = data.datetime[0]
            for data, time in zip(datas, times, strict=True):
                if time is not None:
                    if time > dt0:
                        data.rewind()
                    elif not data.replaying:
                        data._tick_fill(force=True)
            yield dt0
        else:
            late = first._last()
            for data in datas[1:]:
                late += data._last(datamaster=first)
            if late:
                yield dt0
