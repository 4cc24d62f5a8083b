"""One run on the compiled engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.errors import NumbaError

from core.errors import DataError
from engine.compiled.records import NOT_EXACT
from engine.compiled.traced import plain
from engine.refusal import Refused

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd
    from numpy.typing import NDArray

    from engine.compiled.assembly import Line, Translated
    from engine.compiled.records import Book
    from engine.recording import Recording
    from engine.setup import Setup

MOST_RETRIES = 24
UNIX_EPOCH_DAY = 719163
FAULTS = {NOT_EXACT: "holds or orders more than 2 ** 53 units, where floats no longer count by one"}
DONE, FAULT, FULL = range(3)
"""What a kernel returns: all went well; something that is an exception in Python; a book is full."""


def run(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Any = None,
    cheat_on_open: bool = False,
    on_bar: Callable[[int], None] | None = None,
    admit: Callable[[str, bool, float], None] | None = None,
) -> Recording:
    """Run a strategy as one kernel; Refused, with file, line and reason, where it cannot be one.

    broker: configured; a copy of it runs. admit: called with the kernel's name, whether its machine code is at hand and how many seconds making it takes, before
    anything runs; what it raises ends the run.

    Raises what `engine.setup.prepare` raises. A run that ends in an exception is refused too: the next engine
    raises it, at the bar where it belongs.
    """
    from engine.account import copied
    from engine.compiled import kernel, warm
    from engine.compiled.delivery import check_indicators
    from engine.compiled.recording import reasons_of, recording_of
    from engine.compiled.translate import translate
    from engine.once import evaluate
    from engine.setup import prepare

    recipe = None if resample else warm.recipe_of(cls, params, frames, broker, sizer, cheat_on_open)
    if recipe is not None:
        if admit is not None:
            admit(recipe.name, recipe.ready, kernel.seconds_of(recipe.source))
        recording = recipe.run(frames)
        if recording is not None:
            if on_bar is not None:
                on_bar(len(recording.equity))
            return recording
    given: Any = {"resample": resample, "sizer": sizer, "cheat_on_open": cheat_on_open}
    setup = prepare(cls, params, frames, copied(broker), **given, recorder=False)
    if not setup.once:
        check_indicators(setup)
    translated = translate(setup)
    if admit is not None:
        source = translated.source
        admit(kernel.name_of(source), kernel.is_compiled(source), kernel.seconds_of(source))
    index, times = bars_of(setup)
    evaluate(setup.strategy)
    book = book_of(setup)
    arguments = arguments_of(translated, setup, index, times)
    equity, cash = np.empty(len(index)), np.empty(len(index))
    book = carry_out(kernel.load(translated.source).entry, arguments, book, index, equity, cash)
    infos = reasons_of(translated.infos)
    recording = recording_of(book, times, list(frames), infos, equity, cash, setup.strategy)
    if on_bar is not None:
        on_bar(len(recording.equity))
    return recording


def carry_out(
    entry: Callable[..., int],
    arguments: tuple[Any, ...],
    book: Book,
    index: NDArray[np.int64],
    equity: NDArray[np.float64],
    cash: NDArray[np.float64],
) -> Book:
    """Call a kernel, again with larger books where they were too small; the books it filled."""
    from engine.compiled.broker import grown

    start = float(book.account[0]["cash"])
    for _ in range(MOST_RETRIES):
        try:
            state = entry(*arguments, book, index, equity, cash)
        except NumbaError as error:
            first = " ".join(str(error).split())[:200]
            raise Refused(f"its kernel does not compile: {first}") from error
        if state == DONE:
            return book
        if state == FAULT:
            raise Refused(FAULTS.get(int(book.account[0]["error"]), "ends in an exception"))
        book = grown(book, start)
    raise Refused("makes more orders than memory holds")


def bars_of(setup: Setup) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`steps_of`, after the bars have come where they are made in the run. Raises DataError where they are too few."""
    from engine.compiled.delivery import deliver
    from engine.recording import check_warm_up

    if setup.once:
        check_warm_up(setup.strategy, lambda data: len(data.lines.datetime.array))
        return steps_of(setup)
    check_warm_up(setup.strategy, lambda data: getattr(data, "known_bars", None))
    index, times = deliver(setup)
    try:
        check_warm_up(setup.strategy, lambda data: len(data.lines.datetime.array))
    except DataError as error:  # stock does not foresee it, and goes on without a decision
        raise Refused(f"never decides: {error}") from error
    return index, times


def steps_of(setup: Setup) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The current bar of every data at every step (steps, datas), and the day number of each step."""
    columns = [np.frombuffer(data.lines.datetime.array, dtype=np.float64) for data in setup.datas]
    if len(columns) == 1:
        return np.arange(len(columns[0]), dtype=np.int64).reshape(-1, 1), columns[0].copy()
    times = np.unique(np.concatenate(columns))
    bars = [np.searchsorted(column, times, side="right") - 1 for column in columns]
    return np.ascontiguousarray(np.stack(bars, axis=1), dtype=np.int64), times


def book_of(setup: Setup, orders: int = 256) -> Book:
    """Empty books over the datas of a strategy."""
    from engine.compiled.broker import new_book
    from engine.compiled.broker_setup import rules_of, schemes_of, sessions_of

    longest = max(len(data.lines[0].array) for data in setup.datas)
    bars = np.zeros((len(setup.datas), 6, longest))
    names = ("open", "high", "low", "close", "volume", "datetime")
    lengths = np.zeros(len(setup.datas), dtype=np.int64)
    for number, data in enumerate(setup.datas):
        for row, name in enumerate(names):
            values = np.frombuffer(getattr(data.lines, name).array, dtype=np.float64)
            bars[number, row, : len(values)] = values
            lengths[number] = len(values)
    if not np.isfinite(bars[:, :4]).all():
        raise Refused("has prices that are not finite numbers")
    broker = setup.broker
    return new_book(
        bars,
        lengths,
        rules_of(broker),
        schemes_of(broker, setup.datas),
        float(broker.cash),
        orders=orders,
        sessions=sessions_of(setup.datas),
    )


def arguments_of(
    translated: Translated, setup: Setup, index: NDArray[np.int64], times: NDArray[np.float64]
) -> tuple[Any, ...]:
    """L, rows, F and I for the strategy at hand."""
    lines = [values_of(line, setup, times) for line in translated.lines]
    for line, values in zip(translated.lines, lines, strict=True):
        least = translated.deepest + (2 if line.data is not None and index[0, line.data] < 0 else 1)
        if len(values) < least:
            raise Refused("looks back further than there are bars")
    width = max((len(values) for values in lines), default=1)
    table = np.empty((max(len(lines), 1), width))
    for row, values in enumerate(lines):
        table[row, : len(values)] = values
    floats = np.array([float(plain(value)) for value in translated.floats], dtype=np.float64)
    ints = np.array([int(plain(value)) for value in translated.ints], dtype=np.int64)
    return table, np.arange(max(len(lines), 1), dtype=np.int64), floats, ints


def values_of(line: Line, setup: Setup, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a line holds, after the indicators were evaluated."""
    values = times if line.data is None else np.frombuffer(line.buffer.array, dtype=np.float64)
    return moments_of(values) if line.time else values


def moments_of(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Backtrader's `num2date` of day numbers, as whole microseconds since 1970."""
    whole = np.floor(days)
    hours, rest = _divided(24.0 * (days - whole))
    minutes, rest = _divided(60.0 * rest)
    seconds, rest = _divided(60.0 * rest)
    micros = np.floor(1e6 * rest)
    micros = np.where(micros < 10, 0.0, np.where(micros > 999990, 1e6, micros))
    return (((whole - UNIX_EPOCH_DAY) * 24 + hours) * 60 + minutes) * 60e6 + seconds * 1e6 + micros


def _divided(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whole part and rest, as `divmod(value, 1)`."""
    whole = np.floor(values)
    return whole, values - whole
