"""Runs of a strategy that was run before: its program, its kernel and its numbers again, over any bars.

Where `engine.compiled.purity` proves that making a strategy depends on nothing but its parameters and the structure
of its datas (names, timeframes, how many), a `Recipe` takes the place of Cerebro, the instance and the translation.
It is kept for the same class, parameters, sizer, broker settings and structure, as long as nothing the strategy's
code refers to has changed.

recipe = recipe_of(Momentum, {"fast": 10}, {"GOOG": frame}, broker)   # None: no such proof
recording = recipe.run({"GOOG": frame})                               # None: only the long way can tell
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import TradewrightError
from engine.compiled import kernel
from engine.compiled.broker import new_book
from engine.compiled.broker_setup import rules_of, schemes_of, sessions_of
from engine.compiled.program import UNSET, Node, Program, build
from engine.compiled.purity import FIXED, Witness, watched, witness_of
from engine.compiled.records import Book
from engine.compiled.traced import plain
from engine.compiled.translate import Translated, translate
from engine.refusal import Refused
from engine.setup import UNIX_EPOCH_DAY, date2num

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.recording import Recording

MOST = 64
"""Recipes that are kept."""
LINES = ("open", "high", "low", "close", "volume", "datetime")
"""The rows of `records.Book.bars`, which come first in a run's table."""
MINUTE = 60_000_000
SAME_BINADE = (2**19, 2**20 - 1)
"""Day numbers whose floats are equally far apart, years 1436 to 2871."""


# -- what a recipe is kept under


def key_of(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    cheat_on_open: bool = False,
) -> Hashable | None:
    """All that a strategy's making may depend on; None when some of it cannot be compared."""
    numbers, account, given = key_of_values(params), key_of_broker(broker), key_of_sizer(sizer)
    if numbers is None or account is None or given is None:
        return None
    structure = tuple((name, timeframe_of(frame.index)) for name, frame in frames.items())
    return cls, numbers, structure, account, given, cheat_on_open


def key_of_values(values: Mapping[str, Any]) -> Hashable | None:
    """Values by name with their kinds; None when one is no plain value."""
    found = []
    for name, value in values.items():
        kind = type(value)
        if kind is tuple:
            parts = key_of_values(dict(enumerate(value)))  # type: ignore[arg-type]
            if parts is None:
                return None
            found.append((name, kind, parts))
        elif kind in FIXED:
            found.append((name, kind, repr(value) if kind in (float, complex) else value))
        else:
            return None
    return tuple(found)


def key_of_sizer(sizer: Any) -> Hashable | None:
    """The sizer's class and its parameters."""
    kind, arguments = sizer if isinstance(sizer, tuple) else (sizer, {})
    values = key_of_values(arguments)
    return None if values is None else (kind, values)


@cache
def _plain_names() -> tuple[frozenset[str], frozenset[str]]:
    broker = bt.brokers.BackBroker()
    return frozenset(vars(broker)), frozenset(vars(broker.comminfo[None]))


def key_of_broker(broker: bt.brokers.BackBroker) -> Hashable | None:
    """The settings of an ordinary broker that has not run."""
    if type(broker) is not bt.brokers.BackBroker or not vars(broker).keys() <= _plain_names()[0]:
        return None
    if broker._userhist or broker._fundhist or broker._cash_addition:
        return None
    schemes = []
    settings = dict(broker.p._getkwargs())
    for name, scheme in (*broker.comminfo.items(), ("~default", settings.pop("commission"))):
        if (
            type(scheme) not in (bt.CommInfoBase, bt.CommissionInfo)
            or vars(scheme).keys() != _plain_names()[1]
        ):
            return None
        values = key_of_values(
            scheme.p._getkwargs()
            | {"~stocklike": scheme._stocklike, "~type": scheme._commtype, "~rate": scheme._creditrate}
        )
        if values is None:
            return None
        schemes.append((name, type(scheme), values))
    values = key_of_values(settings)
    return None if values is None else (values, tuple(schemes))


def timeframe_of(index: pd.Index) -> tuple[int, int]:
    """`engine.cerebro.timeframe_of`, at once where all bars are equally far apart."""
    from engine import cerebro

    if isinstance(index, pd.DatetimeIndex) and len(index) > 2 and index.unit == "ns":
        times = index.asi8
        steps = times[1:] - times[:-1]
        if steps[0] % MINUTE == 0 and times[0] % 1_000_000 == 0 and (steps == steps[0]).all():
            return _timeframe_of_step(int(steps[0]))
    return cerebro.timeframe_of(index)


@cache
def _timeframe_of_step(nanoseconds: int) -> tuple[int, int]:
    from engine import cerebro

    return cerebro.timeframe_of(pd.DatetimeIndex(np.arange(3) * nanoseconds))


def day_numbers(index: pd.Index) -> NDArray[np.float64]:
    """`bt.date2num` of a frame's times, as UTC, bit for bit, (n,).

    Where all are whole minutes, each time of day is converted once: between two day numbers of `SAME_BINADE` floats
    lie equally close, so that its fraction is rounded the same on every day.
    """
    times = pd.DatetimeIndex(index)
    if times.unit == "ns" and len(times) and not times.hasnans:
        minutes, rest = np.divmod(times.asi8, 60_000_000_000)
        if not rest.any():
            days, minutes = np.divmod(minutes, 1440)
            days += UNIX_EPOCH_DAY
            if SAME_BINADE[0] <= days.min() and days.max() <= SAME_BINADE[1]:
                numbers: NDArray[np.float64] = days + _fractions()[minutes]
                return numbers
    return date2num(times if times.tz is None else times.tz_convert(None))


@cache
def _fractions() -> NDArray[np.float64]:
    day = pd.date_range("2000-01-01", periods=1440, freq="1min")
    numbers = date2num(day)
    fractions: NDArray[np.float64] = numbers - numbers[0]
    return fractions


# -- a recipe


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


# -- making and keeping them


MAKING_FAILS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TradewrightError,
    TypeError,
    ValueError,
)
"""What a strategy or its translation may raise on the way."""
_recipes: OrderedDict[Any, Recipe] = OrderedDict()
_hopeless: OrderedDict[Any, None] = OrderedDict()
"""Classes, and keys, without one."""


def recipe_of(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any = None,
    cheat_on_open: bool = False,
) -> Recipe | None:
    """The recipe of a strategy, made if there is none yet; None where there can be none."""
    key = key_of(cls, params, frames, broker, sizer, cheat_on_open)
    if key is None or cls in _hopeless or key in _hopeless:
        return None
    found = _recipes.get(key)
    if found is not None and found.witness.holds():
        _recipes.move_to_end(key)
        return found
    if sys.getprofile() is not None:
        return None  # nothing can be proved under another profiler
    try:
        made = _make(cls, params, frames, broker, sizer, cheat_on_open)
    except MAKING_FAILS:  # the long way says what is wrong
        _keep(_hopeless, key, None)
        return None
    if made is None:
        _keep(_hopeless, cls, None)
    else:
        _keep(_recipes, key, made)
    return made


def is_made(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any = None,
) -> bool:
    """Whether the recipe is at hand."""
    return key_of(cls, params, frames, broker, sizer) in _recipes


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int = MOST) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def _make(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    cheat_on_open: bool,
) -> Recipe | None:
    from engine.account import copied

    kind = sizer[0] if isinstance(sizer, tuple) else sizer
    witness = witness_of(*(each for each in (cls, kind) if each is not None))
    if witness is None:
        return None
    account = copied(broker)
    with watched(witness) as watch:
        program = build(cls, params, frames, account, sizer=sizer, cheat_on_open=cheat_on_open, traced=())
    if watch.problem or not witness.holds():
        return None
    translated = translate(program.setup)
    return _recipe(program, translated, witness, account) if witness.holds() else None


def _recipe(
    program: Program, translated: Translated, witness: Witness, broker: bt.brokers.BackBroker
) -> Recipe:
    from engine.compiled.recording import reasons_of

    setup = program.setup
    numbers = {
        line: None if made.data is None else program.line(made.buffer)
        for line, made in enumerate(translated.lines)
    }
    wanted = [number for number in numbers.values() if number is not None]
    steps, columns, rows, places = _steps(program, wanted)
    lines = tuple(
        (-1 if (number := numbers[place]) is None else places[number], line.data, line.time)
        for place, line in enumerate(translated.lines)
    )
    return Recipe(
        translated.source,
        kernel.name_of(translated.source),
        witness,
        steps,
        columns,
        rows,
        lines,
        translated.deepest,
        tuple(int(plain(period)) for period in setup.strategy._minperiods),
        np.array([float(plain(value)) for value in translated.floats], dtype=np.float64),
        np.array([int(plain(value)) for value in translated.ints], dtype=np.int64),
        reasons_of(translated.infos),
        rules_of(broker),
        schemes_of(broker, setup.datas),
        sessions_of(setup.datas),
        float(broker.cash),
    )


def _steps(
    program: Program, wanted: Sequence[int]
) -> tuple[tuple[Step, ...], tuple[tuple[int, str], ...], int, dict[int, int]]:
    """Every node as a step on rows, which are used again once nothing reads them: steps, further columns, rows, row by line."""
    places, columns = _input_places(program)
    first = 6 * len(program.setup.datas)
    count = first + len(columns)
    last_use = {
        line: number for number, node in enumerate(program.nodes) for line in (*node.sources, *node.before)
    }
    last_use |= dict.fromkeys(wanted, len(program.nodes))
    free: list[int] = []
    steps = []
    inputs = set(program.inputs)
    for number, node in enumerate(program.nodes):
        sources, before = _rows(node.sources, places), _rows(node.before, places)
        outputs = []
        for line in node.outputs:
            if free:
                outputs.append(free.pop())
            else:
                outputs.append(count)
                count += 1
            places[line] = outputs[-1]
        steps.append(_step(node, tuple(outputs), before, sources))
        for line in {*node.sources, *node.before, *node.outputs} - {UNSET} - inputs:
            if last_use.get(line, number) == number:
                free.append(places[line])
    return tuple(steps), columns, count - first, places


def _rows(lines: Sequence[int], places: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(UNSET if line == UNSET else places[line] for line in lines)


def _input_places(program: Program) -> tuple[dict[int, int], tuple[tuple[int, str], ...]]:
    places: dict[int, int] = {}
    columns: list[tuple[int, str]] = []
    datas = program.setup.datas
    number = 0
    for data, feed in enumerate(datas):
        for name in feed.getlinealiases():
            if name in LINES:
                places[number] = 6 * data + LINES.index(name)
            else:
                places[number] = 6 * len(datas) + len(columns)
                columns.append((data, name))
            number += 1
    if number != len(program.inputs):
        raise Refused("has datas with lines without a name")
    return places, tuple(columns)


def _step(node: Node, outputs: tuple[int, ...], before: tuple[int, ...], sources: tuple[int, ...]) -> Step:
    scalars = tuple(plain_scalar(scalar) for scalar in node.scalars)
    start = node.start.of({})
    assert isinstance(start, int)
    if not 0 <= node.reach(*scalars) <= start:
        raise Refused("reads before its first bar")
    return Step(node.kernel, outputs, before, sources, start, node.data, scalars)


def plain_scalar(scalar: Any) -> Any:
    """A node's scalar for a program without traced parameters."""
    from engine.compiled.traced import Expression

    return scalar.of({}) if isinstance(scalar, Expression) else scalar


__all__ = ["Recipe", "key_of", "recipe_of"]
