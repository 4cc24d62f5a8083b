"""What moves in a lean run bar by bar: the datas, the strategy and its indicators, in arrays that grow as in stock."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from engine.lean_ahead import STRATEGY, compute_ahead
from engine.lean_delivery import Row, deliver_ahead, deliver_as_stock
from engine.refusal import Refused

if TYPE_CHECKING:
    from backtrader.linebuffer import LineBuffer
    from numpy.typing import NDArray

    from engine.lean_lines import Cursor

Follow = Callable[[Any, list["LineBuffer"], "Cursor"], None]
"""Lets lines of a data or an indicator share a cursor."""
Growth = tuple["Cursor", list[Callable[[float], None]], list[Row], int]
"""What appends to lines that share a cursor, the bars they are given, and where they are then."""
Plan = list[list[Growth]]
"""What grows at each step."""


class BarsAsTheyCome:
    """The datas moved by Backtrader itself, the indicators by their own `_next`.

    at: per data, by id, the cursor of its lines; they do not share it. now: the cursor of the strategy's lines.
    times: of the strategy, at each step.
    """

    def __init__(self, cerebro: bt.Cerebro, strategy: bt.Strategy, datas: list[Any], now: Cursor):
        self.cerebro, self.strategy, self.datas, self.now = cerebro, strategy, datas, now
        self.at: dict[int, Cursor] = {id(data): [-1] for data in datas}
        self.times: list[float] = []
        self.lengths = [0] * len(strategy.datas)
        self._clock = strategy.lines.datetime
        self._own_lines = [line.array.append for line in strategy.lines.lines]
        self._indicators = strategy.getindicators()
        self._seen: list[tuple[int, ...]] = []

    def deliver(self) -> Iterator[float]:
        """Move the datas; yields the time of the one that leads."""
        moved = [(self.at[id(data)], data.lines[0]) for data in self.datas]
        for time in deliver_as_stock(self.cerebro, self.datas):
            for cursor, line in moved:
                cursor[0] = line._idx
            yield time

    def move_strategy(self) -> float:
        """`Strategy._clk_update`; returns the strategy's time."""
        places = [(self.at[id(data)][0], data) for data in self.strategy.datas]
        lengths = [at + 1 for at, _ in places]
        if any(map(operator.gt, lengths, self.lengths)):
            self._lengthen()
        self.lengths = lengths
        time: float = max([data.lines.datetime.array[at] for at, data in places if at >= 0])
        self._clock.array[self.now[0]] = time
        self.times.append(time)
        self._seen.append(tuple([cursor[0] for cursor in self.at.values()]))
        return time

    def move_indicators(self) -> None:
        """`_next` of every indicator."""
        for indicator in self._indicators:
            indicator._next()

    def phase(self) -> int:
        """`Strategy._getminperstatus`."""
        phase: int = max(map(operator.sub, self.strategy._minperiods, self.lengths))
        return phase

    def places(self, number: int) -> NDArray[np.int64]:
        """The bar of a data at every step so far."""
        return np.array([places[number] for places in self._seen], dtype=np.int64)

    def check(self) -> None:
        """Nothing is known before."""

    def _lengthen(self) -> None:
        self.now[0] += 1
        for append in self._own_lines:
            append(np.nan)


class BarsKnown(BarsAsTheyCome):
    """The datas' bars, and the indicators that follow from them, known before the first step.

    follow: called with all whose lines are known, for these to share a cursor.
    """

    def __init__(
        self, cerebro: bt.Cerebro, strategy: bt.Strategy, datas: list[Any], now: Cursor, follow: Follow
    ):
        super().__init__(cerebro, strategy, datas, now)
        self._delivery = delivery = deliver_ahead(cerebro, datas)
        self._read_strategy()
        self._lengths = {number: delivery.at[:, number] + 1 for number in range(len(datas))}
        self._lengths[STRATEGY] = np.cumsum(self._longer)
        steady = {
            n: data for n, data in enumerate(datas) if (np.diff(self._lengths[n], prepend=0) <= 1).all()
        }
        self._ahead = compute_ahead(strategy, steady, self._lengths)
        self._by_step = {
            id(line): (number, ahead.steps[id(line)])
            for ahead in self._ahead.values()
            if ahead.steps is not None
            for number, lines in ahead.lines.items()
            for line in lines
        }
        known = [line for ahead in self._ahead.values() for line in ahead.all_lines()]
        known += [line for data in datas for line in data.lines.lines]
        self._values = {id(line): (line, line.array) for line in known}
        for line in known:
            line.reset()
        self._bars = self._new_plan()
        for number, data in enumerate(datas):
            cursor, lines = self.at[id(data)], data.lines.lines
            follow(data, lines, cursor)
            self._add(self._bars, number, lines, cursor, delivery.held[:, number])
        self._movers = self._plan_indicators(follow)
        self._first_new = len(self._indicators)
        self._step = self._moved = -1

    def _read_strategy(self) -> None:
        """When the strategy's lines grow, its times and its phases, at every step."""
        at, datas = self._delivery.at, self.strategy.datas
        numbers = [next(n for n, each in enumerate(self.datas) if each is data) for data in datas]
        self._longer = np.any(np.diff(at, axis=0, prepend=-1) > 0, axis=1)
        times = np.full(len(at), -np.inf)
        for number, data in zip(numbers, datas, strict=True):
            begun = at[:, number] >= 0
            stamps = np.frombuffer(data.lines.datetime.array)
            times[begun] = np.maximum(times[begun], stamps[at[begun, number]])
        self.times = times.tolist()
        needed = zip(self.strategy._minperiods, numbers, strict=True)
        self._phases: list[int] = np.max(
            [period - 1 - at[:, number] for period, number in needed], axis=0
        ).tolist()

    def _plan_indicators(self, follow: Follow) -> list[Plan | Callable[[], None]]:
        """How the indicators move, in their order: those in a row that are known together."""
        movers: list[Plan | Callable[[], None]] = []
        for known, indicators in groupby(self._indicators, lambda each: id(each) in self._ahead):
            if known:
                movers.append(self._plan(list(indicators), follow))
            else:
                movers += [indicator._next for indicator in indicators]
        return movers

    def _plan(self, indicators: list[Any], follow: Follow) -> Plan:
        plan = self._new_plan()
        cursors: dict[int, Cursor] = {}
        by_bar: dict[int, list[LineBuffer]] = {}
        by_step: dict[int, list[LineBuffer]] = {}
        for indicator in indicators:
            ahead = self._ahead[id(indicator)]
            for number, lines in ahead.lines.items():
                follow(indicator, lines, cursors.setdefault(number, [-1]))
                (by_bar if ahead.steps is None else by_step).setdefault(number, []).extend(lines)
        for number, lines in by_bar.items():
            self._add(plan, number, lines, cursors[number], self._lengths[number])
        for number, lines in by_step.items():
            self._add_steps(plan, number, lines, cursors[number])
        return plan

    def _new_plan(self) -> Plan:
        return [[] for _ in self._delivery.times]

    def _add(
        self, plan: Plan, number: int, lines: list[LineBuffer], cursor: Cursor, held: NDArray[np.int64]
    ) -> None:
        """Plan the growth of lines that move with a data. held: how many bars they hold at each step."""
        rows = list(zip(*(self._values[id(line)][1] for line in lines), strict=True))
        appends = [line.array.append for line in lines]
        at = self._delivery.at[:, number]
        changes = (np.diff(at, prepend=-1) != 0) | (np.diff(held, prepend=0) != 0)
        places, ends = at.tolist(), held.tolist()
        start = 0
        for step in np.flatnonzero(changes).tolist():
            plan[step].append((cursor, appends, rows[start : ends[step]], places[step]))
            start = ends[step]

    def _add_steps(self, plan: Plan, number: int, lines: list[LineBuffer], cursor: Cursor) -> None:
        """Plan what lines hold that are computed at every step: a further value, or another one in its place."""
        rows = list(zip(*(self._by_step[id(line)][1].tolist() for line in lines), strict=True))
        appends: list[Callable[[float], None]] = [line.array.append for line in lines]
        replaces: list[Callable[[float], None]] = [partial(line.array.__setitem__, -1) for line in lines]
        before = 0
        for step, length in enumerate(self._lengths[number].tolist()):
            if length:
                puts = appends if length > before else replaces
                plan[step].append((cursor, puts, rows[step : step + 1], length - 1))
            before = length

    def deliver(self) -> Iterator[float]:
        """Move the datas; yields the time of the one that leads."""
        for step, time in enumerate(self._delivery.times):
            self._step = step
            grow(self._bars[step])
            yield time
        if self._delivery.error is not None:
            raise self._delivery.error

    def move_strategy(self) -> float:
        """`Strategy._clk_update`; returns the strategy's time."""
        if self._longer[self._step]:
            self._lengthen()
        time = self._clock.array[self.now[0]] = self.times[self._step]
        return time

    def move_indicators(self) -> None:
        """`_next` of every indicator."""
        self._moved = self._step
        for mover in self._movers:
            if isinstance(mover, list):
                grow(mover[self._step])
            else:
                mover()
        for indicator in self._indicators[self._first_new :]:
            indicator._next()

    def phase(self) -> int:
        """`Strategy._getminperstatus`."""
        return self._phases[self._step]

    def places(self, number: int) -> NDArray[np.int64]:
        """The bar of a data at every step."""
        return self._delivery.at[:, number]

    def check(self) -> None:
        """Raises Refused where something was changed from which values follow that were known before."""
        for key, (line, values) in self._values.items():
            expected = (
                self._final(key, len(line.array)) if key in self._by_step else values[: len(line.array)]
            )
            if line.array.tobytes() != expected.tobytes():
                raise Refused("writes to a line of a data or of an indicator")
        if not all(ahead.unchanged() for ahead in self._ahead.values()):
            raise Refused("changes the terms of an indicator while it runs")

    def _final(self, key: int, count: int) -> NDArray[np.float64]:
        """What a line computed at every step holds in the end."""
        number, values = self._by_step[key]
        lengths = self._lengths[number][: self._moved + 1]
        return values[np.searchsorted(lengths, np.arange(1, count + 1), side="right") - 1]


def grow(growths: list[Growth]) -> None:
    """Append bars to lines, and move them there."""
    for cursor, appends, rows, place in growths:
        for row in rows:
            for append, value in zip(appends, row, strict=True):
                append(value)
        cursor[0] = place
