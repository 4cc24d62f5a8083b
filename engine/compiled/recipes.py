"""How a strategy that was made before runs again: rows of a table and one kernel call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from engine.compiled import kernel
from engine.compiled.broker import new_book
from engine.compiled.program import UNSET
from engine.compiled.purity import Witness
from engine.compiled.records import Book
from engine.setup import UNIX_EPOCH_DAY, date2num

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.recording import Recording


LINES = ("open", "high", "low", "close", "volume", "datetime")
"""The rows of `records.Book.bars`, which come first in a run's table."""


MINUTE = 60_000_000_000
SAME_BINADE = (2**19, 2**20 - 1)
"""Day numbers whose floats are equally far apart, years 1436 to 2871."""


def day_numbers(index: pd.Index) -> NDArray[np.float64]:
    """`bt.date2num` of a frame's times, as UTC, bit for bit, (n,).

    Where all are whole minutes, each time of day is converted once: between two day numbers of `SAME_BINADE` floats
    lie equally close, so that its fraction is rounded the same on every day.
    """
    times = index if isinstance(index, pd.DatetimeIndex) else pd.DatetimeIndex(index)
    if times.unit == "ns" and len(times):
        moments = times.asi8
        minutes = moments // MINUTE
        if (minutes * MINUTE == moments).all():  # no time at all is no whole minute
            days = minutes // 1440
            of_day = minutes - days * 1440
            days += UNIX_EPOCH_DAY
            if SAME_BINADE[0] <= days.min() and days.max() <= SAME_BINADE[1]:
                numbers: NDArray[np.float64] = days + _fractions()[of_day]
                return numbers
    return date2num(times if times.tz is None else times.tz_convert(None))


@cache
def _fractions() -> NDArray[np.float64]:
    day = pd.date_range("2000-01-01", periods=1440, freq="1min")
    numbers = date2num(day)
    fractions: NDArray[np.float64] = numbers - numbers[0]
    return fractions


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call on rows of the table. nan: bars of the outputs that have no value yet."""

    kernel: Callable[..., int]
    outputs: tuple[int, ...]
    before: tuple[int, ...]
    sources: tuple[int, ...]
    start: int
    data: int
    scalars: tuple[Any, ...]


@dataclass(slots=True)
class Recipe:
    """How to run one strategy at one set of parameters.

    source, name: of its kernel. steps: fill rows of the table, whose first are the datas' columns, the next what
    else `columns` says. lines: for each line the kernel reads (row of the table, or -1 for the strategy's clock; data;
    whether as moments). needed: bars before the first decision, by data. rooms: what the books of the last run held.
    """

    source: str
    name: str
    witness: Witness
    steps: tuple[Step, ...]
    columns: tuple[tuple[int, str], ...]
    rows: int
    lines: tuple[tuple[int, int | None, bool], ...]
    deepest: int
    needed: tuple[int, ...]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    infos: tuple[str, ...]
    rules: NDArray[np.void]
    schemes: NDArray[np.void]
    sessions: list[NDArray[np.float64]]
    cash: float
    rooms: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether its machine code is at hand."""
        return kernel.is_compiled(self.source)

    def run(self, frames: Mapping[str, pd.DataFrame]) -> Recording | None:
        """The recording, as `engine.compiled.running.run` makes it; None where only the long way can say what is."""
        from engine.compiled.recording import recording_of
        from engine.compiled.running import carry_out

        lengths = [len(frame) for frame in frames.values()]
        if any(length < max(needed, 1) for length, needed in zip(lengths, self.needed, strict=True)):
            return None
        table = self._table(frames, lengths)
        if table is None:
            return None
        index, times = _steps_of(table, lengths)
        if not self._deep_enough(index, lengths):
            return None
        rows = self._kernel_rows(table, lengths, times)
        steps, datas = len(index), len(lengths)
        bars = table[: 6 * datas].reshape(datas, 6, table.shape[1])
        book = self._book(bars, lengths, steps)
        equity, cash = np.empty(steps), np.empty(steps)
        entry = kernel.load(self.source).entry
        book = carry_out(entry, (table, rows, self.floats, self.ints), book, index, equity, cash)
        account = book.account[0]
        for kind in ("orders", "notes", "fills", "trades"):
            self.rooms[kind] = max(self.rooms.get(kind, 0), int(account[kind]))
        return recording_of(book, times, list(frames), self.infos, equity, cash, None)

    def _book(self, bars: NDArray[np.float64], lengths: Sequence[int], steps: int) -> Book:
        room = {kind: count + count // 8 + 32 for kind, count in self.rooms.items()}
        if not room:
            room = {"orders": max(256, steps // 8)}  # memory is taken only as it is written to
        return new_book(
            bars,
            np.array(lengths, np.int64),
            self.rules,
            self.schemes,
            self.cash,
            sessions=self.sessions,
            **{kind: max(256, count) for kind, count in room.items()},
        )

    def _table(
        self, frames: Mapping[str, pd.DataFrame], lengths: Sequence[int]
    ) -> NDArray[np.float64] | None:
        datas, width = len(lengths), max(lengths)
        table = np.empty((6 * datas + self.rows + len(self.lines), width))
        for number, (frame, length) in enumerate(zip(frames.values(), lengths, strict=True)):
            first = 6 * number
            if tuple(frame.columns) == LINES[:5]:
                table[first : first + 5, :length] = frame.to_numpy().T
            else:
                for row, name in enumerate(LINES[:5], first):
                    table[row, :length] = frame[name].to_numpy() if name in frame.columns else np.nan
            table[first + 5, :length] = day_numbers(frame.index)
            table[first : first + 6, length:] = 0.0
            if not np.isfinite(table[first : first + 4, :length]).all():
                return None
        for row, (number, name) in enumerate(self.columns, 6 * datas):
            frame = list(frames.values())[number]
            table[row, : lengths[number]] = frame[name].to_numpy() if name in frame.columns else np.nan
        for step in self.steps:
            if not _carry_out(step, table, lengths[step.data]):
                return None
        return table

    def _deep_enough(self, index: NDArray[np.int64], lengths: Sequence[int]) -> bool:
        for _, data, _ in self.lines:
            length = len(index) if data is None else lengths[data]
            if length < self.deepest + (2 if data is not None and index[0, data] < 0 else 1):
                return False
        return True

    def _kernel_rows(
        self, table: NDArray[np.float64], lengths: Sequence[int], times: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """The row of each line; those that are no row yet are written into the last ones."""
        from engine.compiled.running import moments_of

        rows = np.zeros(max(1, len(self.lines)), np.int64)
        free = len(table) - len(self.lines)
        for place, (row, data, moments) in enumerate(self.lines):
            rows[place] = row
            if row >= 0 and not moments:
                continue
            values = times if row < 0 or data is None else table[row, : lengths[data]]
            rows[place] = free + place
            table[free + place, : len(values)] = moments_of(values) if moments else values
        return rows


def _carry_out(step: Step, table: NDArray[np.float64], length: int) -> bool:
    """Whether the kernel could do what stock does."""
    for output, before in zip(step.outputs, step.before, strict=True):
        if before == UNSET:
            table[output, : max(step.start, 0)] = np.nan
        else:
            table[output] = table[before]
    if step.start >= length:
        return True
    arrays = [table[row, :length] for row in (*step.outputs, *step.sources)]
    return step.kernel(*arrays, step.start, length, *step.scalars) == 0


def _steps_of(
    table: NDArray[np.float64], lengths: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    columns = [table[6 * number + 5, :length] for number, length in enumerate(lengths)]
    if len(columns) == 1:
        return np.arange(lengths[0], dtype=np.int64).reshape(-1, 1), columns[0]
    times = np.unique(np.concatenate(columns))
    bars = [np.searchsorted(column, times, side="right") - 1 for column in columns]
    return np.ascontiguousarray(np.stack(bars, axis=1), dtype=np.int64), times
