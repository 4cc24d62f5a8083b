"""The bars of a lean run: in stock's order, and only the steps that have an effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineBuffer
from backtrader.lineseries import LineSeries
from backtrader.trade import Trade

from engine.cerebro import RECORDER
from engine.lean_account import Notice
from engine.lean_broker import LeanBroker
from engine.lean_costs import is_plain
from engine.lean_lines import (
    Cursor,
    clock_of,
    name_lines,
    names_used,
    release,
    restore,
    share,
    shorten,
)
from engine.lean_recording import LeanRecorder, account_curve
from engine.lean_strategy import quicken, slow_down
from engine.lean_telling import LeanTelling
from engine.lean_timers import quick_timers
from engine.once import evaluate
from engine.refusal import Refused

INTERNALS = (
    "_once",
    "_oncepost",
    "_oncepost_open",
    "_getminperstatus",
    "_addnotification",
    "_next",
    "_next_analyzers",
    "_next_observers",
    "_clk_update",
    "clear",
    "forward",
    "reset",
)
"""Methods of `bt.Strategy` that the loop stands in for; a strategy that overrides one is refused."""


class LeanLoop(LeanTelling):
    """One strategy over datas that are loaded; takes the place of `Cerebro._runonce`."""

    def __init__(self, cerebro: bt.Cerebro, strategy: bt.Strategy, on_bar: Callable[[int], None] | None):
        for name in INTERNALS:
            if getattr(type(strategy), name) is not getattr(bt.Strategy, name):
                raise Refused(f"overrides Backtrader's own {name}")
        self.names = names_used(type(strategy))
        if any(name.startswith("tick_") for name in self.names):
            raise Refused("reads the ticks of a data")
        self.cerebro, self.strategy, self.on_bar = cerebro, strategy, on_bar
        self.broker = strategy.broker
        self.datas = sorted(strategy.datas, key=lambda data: (data._timeframe, data._compression))
        self._read_times()
        self.shared: list[LineBuffer] = []
        self.shortened: list[Any] = []
        self.done = 0
        self.recorder: LeanRecorder = strategy.analyzers.getbyname(RECORDER)
        self.values: list[tuple[float, float]] = []
        self.others = [a for a in strategy.analyzers if type(a) is not LeanRecorder]
        self.others += strategy._slave_analyzers

    def run(self) -> None:
        """Run all bars, then hand the account's curve to the recorder."""
        evaluate(self.strategy)
        self.strategy.reset()
        self._share_lines()
        plain = self._account_is_plain()
        quick = quicken(self.strategy)
        try:
            if plain and len(self.datas) == 1 and not self._watched() and not self._interrupted():
                self._run_one()
            else:
                with quick_timers([*self.cerebro._timers, *self.cerebro._timerscheat], self.datas):
                    self._run_any(plain)
            self._hand_over_account(plain)
        finally:
            if quick:
                slow_down(self.strategy)
            restore(self.shortened)
            release(self.shared)
            if isinstance(self.broker, LeanBroker):
                self.broker.release()

    def _read_times(self) -> None:
        self.times, self.places = timeline(self.datas)

    def _closes_are_finite(self) -> bool:
        return all(np.isfinite(np.frombuffer(data.lines.close.array)).all() for data in self.datas)

    def _terms(self) -> list[Any]:
        """What the account's value is computed with."""
        schemes = [self.broker.getcommissioninfo(data) for data in self.datas]
        return [self.broker.p.shortcash, *((each.p.mult, each.get_leverage()) for each in schemes)]

    def _places(self, data: Any) -> Any:
        """The bar of a data at every step."""
        return self.places[id(data)]

    def _interrupted(self) -> bool:
        """Whether a bar has more steps than matching, telling and deciding."""
        return bool(self._early() or self.cerebro._timers or self.lagging)

    def _account_is_plain(self) -> bool:
        """Whether the account's value follows from cash, positions and closes alone."""
        broker = self.broker
        alone = all(data._compensate is None for data in self.datas)
        self.adoptable = alone and not broker._userhist and not broker._fundhist
        schemes = [broker.getcommissioninfo(data) for data in self.datas]
        self.terms = self._terms()
        return self.adoptable and self._closes_are_finite() and all(map(is_plain, schemes))

    def _share_lines(self) -> None:
        """Give every line that Backtrader would move in the loop the cursor it moves with."""
        strategy = self.strategy
        self.now: Cursor = [-1]  # the strategy's bar
        self.at: dict[int, Cursor] = {}  # by data: its bar
        self.followers: dict[int, Cursor] = {}  # by data: the bar of the indicators that follow it
        self.lagging: list[tuple[Cursor, Cursor]] = []  # indicators that follow what moves after them
        clocks: dict[int, Cursor] = {}  # by data, line or indicator: the cursor its followers have
        self._share(list(strategy.lines.lines), self.now)
        for data in self.datas:
            name_lines(data)
            self.at[id(data)] = [-1]
            self._share(data.lines.lines, self.at[id(data)])
            self._shorten(data)
            follower = self.followers[id(data)] = [-1] if len(self.datas) > 1 else self.now
            clocks.update((id(part), follower) for part in (data, *data.lines.lines))
        later = {id(part) for each in strategy.getindicators() for part in (each, *lines_of(each))}
        for indicator in strategy.getindicators():
            cursor = clocks.get(id(clock_of(indicator)))
            if cursor is None:
                cursor = self._lag(clock_of(indicator), later)
            lines = lines_of(indicator)
            self._share(lines, cursor)
            if not isinstance(indicator, LineBuffer):
                name_lines(indicator)
                self._shorten(indicator)
            clocks.update((id(part), cursor) for part in (indicator, *lines))

    def _shorten(self, series: Any) -> None:
        if shorten(series):
            self.shortened.append(series)

    def _lag(self, clock: Any, later: set[int]) -> Cursor:
        """Cursor of an indicator whose clock moves after it, or, nested in another indicator, never."""
        if clock is not self.strategy and id(clock) not in later:
            return [-1]
        if clock is not self.strategy:
            raise Refused("an indicator follows one that is made after it")
        cursor = [-1]
        self.lagging.append((cursor, self.now))
        return cursor

    def _share(self, lines: list[LineBuffer], cursor: Cursor) -> None:
        for line in lines:
            if not share(line, cursor):
                raise Refused(f"{type(line).__name__} overrides how Backtrader's lines are read")
            self.shared.append(line)

    def _run_one(self) -> None:
        """One data and nothing but the strategy to call: the loop most strategies run in."""
        cerebro, strategy, on_bar = self.cerebro, self.strategy, self.on_bar
        (data,) = self.datas
        at, now = self.at[id(data)], self.now
        broker, take, tell = self._adopt(at, True), self._take, self._tell
        tell_account = self._tell_account if self.wants_account else None
        match, note = broker.next, broker.note
        submitted, pending, activated = broker.submitted, broker.pending, broker._toactivate
        waiting, added, touched = broker.notifs, broker._cash_addition, broker.touched
        clock = strategy.lines.datetime
        own_lines = [line.array for line in strategy.lines.lines if line is not clock]
        put_time = clock.array.append
        recorder = self.recorder
        first = strategy._minperiods[0] - 1
        for bar, time in enumerate(self.times):
            at[0] = bar
            told = False
            if pending or submitted or waiting or activated or added or touched:
                match()
                note()
                told = bool(waiting)
            put_time(time)
            for line in own_lines:
                line.append(np.nan)
            now[0] = bar
            if told:
                tell(*take(), time)
            if tell_account is not None:
                tell_account()
            self.done = bar + 1
            if on_bar is not None:
                on_bar(bar + 1)
            if bar > first:
                strategy.next()
            elif bar == first:
                recorder.decided = True
                strategy.nextstart()
            else:
                strategy.prenext()
            if cerebro._event_stop:
                return

    def _run_any(self, plain: bool) -> None:
        """Any number of datas, and whatever has to be called on every bar, in the order of `Cerebro._runonce`."""
        cerebro, strategy, on_bar = self.cerebro, self.strategy, self.on_bar
        watched, account = self._watched(), self._adopt_if_possible(plain)
        stock_notify, at_open = watched or not self.adoptable, cerebro.p.cheat_on_open
        always = stock_notify or not plain or self.wants_account
        recorder = self.recorder
        nothing: tuple[list[Notice], list[Trade]] = [], []
        own_lines = [line.array for line in strategy.lines.lines]
        put_time = strategy.lines.datetime.array.__setitem__
        steps = zip(
            self.times, self._moves(self.at), self._moves(self.followers), self._phases(), strict=True
        )
        for step, (time, moves, follows, phase) in enumerate(steps):
            for cursor, bar in moves:
                cursor[0] = bar
            if (cerebro._timerscheat or at_open) and self._acts_early(time, strategy._oncepost_open):
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
            for cursor, source in self.lagging:
                cursor[0] = source[0]
            for cursor, bar in follows:
                cursor[0] = bar
            for line in own_lines:
                line.append(np.nan)
            self.now[0] = step
            put_time(step, time)
            if told is not nothing or always:
                self._tell_all(told, time, stock_notify, plain)
            self.done = step + 1
            if on_bar is not None:
                on_bar(step + 1)
            strategy._minperstatus = phase
            if phase < 0:
                recorder.decided = True
                strategy.next()
            else:
                self._decide(phase)
            if watched:
                strategy._next_analyzers(phase, once=True)
                strategy._next_observers(phase, once=True)
            if stock_notify:
                strategy.clear()
            if cerebro._event_stop:
                return

    def _adopt_if_possible(self, plain: bool) -> Cursor:
        """The cursor of the bars the account is settled on."""
        account: Cursor = [-1]
        if self.adoptable:
            self._adopt(account, plain)
        return account

    def _acts_early(self, time: float, at_open: Callable[[], None]) -> bool:
        """What comes between the datas' move and the broker's; whether the run is stopped there."""
        cerebro = self.cerebro
        if cerebro._timerscheat:
            cerebro._check_timers([self.strategy], time, cheat=True)
        if cerebro.p.cheat_on_open:
            at_open()
            return bool(cerebro._event_stop)
        return False

    def _tell_all(
        self, told: tuple[list[Notice], list[Trade]], now: float, stock_notify: bool, plain: bool
    ) -> None:
        """`Strategy._notify`; then the account's figures are written down where they cannot be computed later."""
        broker = self.broker
        if stock_notify:
            self.strategy._notify()
        else:
            if told[0]:
                self._tell(*told, now)
            if self.wants_account:
                self._tell_account()
        if not plain:
            self.values.append((broker._value, broker.cash))

    def _decide(self, phase: int) -> None:
        if phase < 0:
            self.recorder.decided = True
            self.strategy.next()
        elif phase == 0:
            self.recorder.decided = True
            self.strategy.nextstart()
        else:
            self.strategy.prenext()

    def _match(self, watched: bool) -> bool:
        """`Cerebro._brokernotify`, when there is anything to match; whether the strategy is to be told of something.

        watched: tell the strategy at once, as Backtrader does.
        """
        broker, strategy = self.broker, self.strategy
        if (
            not broker.plain
            or broker.pending
            or broker.submitted
            or broker.notifs
            or broker._toactivate
            or broker._cash_addition
            or broker.touched
        ):
            broker.next()
            broker.note()
            if watched:
                for order, _, _ in broker.take_notices():
                    (order.owner or strategy)._addnotification(order)
        if watched or self.early:
            broker._settle()  # put off, it would be that of the bar it is read on
        return bool(broker.notifs)

    def _moves(self, cursors: dict[int, Cursor]) -> Iterator[list[tuple[Cursor, int]]]:
        """For every step the cursors that move, and where to."""
        if len(self.datas) == 1:
            (cursor,) = cursors.values()
            return ([(cursor, bar)] for bar in range(len(self.times)))
        moves: list[list[tuple[Cursor, int]]] = [[] for _ in self.times]
        for data in self.datas:
            places, cursor = self.places[id(data)], cursors[id(data)]
            for step in np.flatnonzero(np.diff(places, prepend=-1)).tolist():
                moves[step].append((cursor, int(places[step])))
        return iter(moves)

    def _phases(self) -> list[int]:
        """`Strategy._getminperstatus` of every step: below 0 `next`, at 0 `nextstart`, above it `prenext`."""
        strategy = self.strategy
        missing = [
            needed - 1 - self.places[id(data)]
            for data, needed in zip(strategy.datas, strategy._minperiods, strict=True)
        ]
        phases: list[int] = np.max(missing, axis=0).tolist()
        return phases

    def _hand_over_account(self, plain: bool) -> None:
        broker, bars = self.broker, self.done
        recorder = self.recorder
        times = np.array(self.times[:bars])
        if not plain:
            figures = np.array(self.values, dtype=np.float64).reshape(bars, 2)
            recorder.set_account(times, figures[:, 0], figures[:, 1])
            return
        known = {id(data) for data in self.datas}
        order = [data for data in broker.positions if id(data) in known]
        closes = {data: self._closes(data)[:bars] for data in order}
        schemes = {data: broker.getcommissioninfo(data) for data in order}
        if self._terms() != self.terms:
            raise Refused("changes the terms of the broker while it runs")
        equity, cash = account_curve(broker.changes, bars, closes, schemes, shortcash=broker.p.shortcash)
        recorder.set_account(times, equity, cash)

    def _closes(self, data: Any) -> Any:
        return np.frombuffer(data.lines.close.array)[self._places(data)]


def timeline(datas: list[Any]) -> tuple[list[float], dict[int, Any]]:
    """The loop's times, and per data its bar at each of them, -1 before its first."""
    stamps = [np.frombuffer(data.lines.datetime.array)[: data.buflen()] for data in datas]
    if any((np.diff(stamp) <= 0).any() or np.isnan(stamp).any() for stamp in stamps):
        raise Refused("the times of a data do not increase")
    times = stamps[0] if len(stamps) == 1 else np.unique(np.concatenate(stamps))
    places = {
        id(data): np.searchsorted(stamp, times, side="right") - 1
        for data, stamp in zip(datas, stamps, strict=True)
    }
    return times.tolist(), places


def lines_of(indicator: Any) -> list[LineBuffer]:
    """The lines Backtrader moves when it moves this indicator."""
    if type(indicator).advance not in (LineSeries.advance, LineBuffer.advance, bt.Indicator.advance):
        raise Refused(f"{type(indicator).__name__} overrides how Backtrader moves an indicator")
    return [indicator] if isinstance(indicator, LineBuffer) else indicator.lines.lines
