"""What moves in a lean run bar by bar: the datas, the strategy and its indicators, in arrays that grow as in stock."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from engine.lean_ahead import compute_ahead
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
        steady = {
            n: data for n, data in enumerate(datas) if (np.diff(delivery.at[:, n], prepend=-1) <= 1).all()
        }
        self._ahead = compute_ahead(strategy, steady)
        self._read_strategy()
        lines = [line for data in datas for line in data.lines.lines]
        lines += [line for ahead in self._ahead.values() for line in ahead.lines]
        self._values = {id(line): (line, line.array) for line in lines}
        for line in lines:
            line.reset()
        self._bars = self._new_plan()
        for number, data in enumerate(datas):
            cursor = self.at[id(data)]
            follow(data, data.lines.lines, cursor)
            self._add(self._bars, number, data.lines.lines, cursor, delivery.held[:, number])
        self._movers = self._plan_indicators(follow)
        self._first_new = len(self._indicators)
        self._step = 0

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
        ahead = self._ahead

        def data_of(indicator: Any) -> int | None:
            return ahead[id(indicator)].data if id(indicator) in ahead else None

        for number, indicators in groupby(self._indicators, data_of):
            if number is None:
                movers += [indicator._next for indicator in indicators]
                continue
            cursor: Cursor = [-1]
            lines: list[LineBuffer] = []
            for indicator in indicators:
                follow(indicator, ahead[id(indicator)].lines, cursor)
                lines += ahead[id(indicator)].lines
            if not movers or not isinstance(movers[-1], list):
                movers.append(self._new_plan())
            self._add(movers[-1], number, lines, cursor, self._delivery.at[:, number] + 1)
        return movers

    def _new_plan(self) -> Plan:
        return [[] for _ in self._delivery.times]

    def _add(
        self, plan: Any, number: int, lines: list[LineBuffer], cursor: Cursor, held: NDArray[np.int64]
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
        for line, values in self._values.values():
            if line.array.tobytes() != values[: len(line.array)].tobytes():
                raise Refused("writes to a line of a data or of an indicator")
        if not all(ahead.unchanged() for ahead in self._ahead.values()):
            raise Refused("changes the terms of an indicator while it runs")


def grow(growths: list[Growth]) -> None:
    """Append bars to lines, and move them there."""
    for cursor, appends, rows, place in growths:
        for row in rows:
            for append, value in zip(appends, row, strict=True):
                append(value)
        cursor[0] = place
