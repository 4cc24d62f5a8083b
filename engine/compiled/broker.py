"""Backtrader's own simulated broker (`BackBroker`) in machine code, equal to the last bit.

book = new_book(bars, lengths, rules, schemes, 100_000.0)
for step in range(steps):
    book.at[:] = ...                      # current bar of each data
    before_bar(book, step)                # the broker's turn; account.cash and account.value are then the bar's
    n0, n1, m0, m1 = deliver(book, step)  # notes[n0:n1] and trades[m0:m1] for the strategy, now
    submit(book, step, ...)               # what the strategy orders

Nothing is written beyond an array: `account.overflow` says that one is full, and the run has to be repeated with
`grown(book)`. Prices must be finite numbers.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.compiled.broker_memory import Compiled, machine
from engine.compiled.broker_turn import (
    _cancel,
    _data_value,
    _deliver,
    _reset,
    _submit,
    _touch,
    _turn,
    _turn_after,
    _value_bars,
)
from engine.compiled.records import (
    ACCOUNT,
    CLOSE,
    DESK,
    FILL,
    NONE_HELD,
    NOTE,
    ORDER,
    POSITION,
    QUEUE,
    SEVERAL_HELD,
    TRADE,
    Book,
)

__all__ = [
    "advance",
    "before_bar",
    "cancel",
    "close_curve",
    "data_value",
    "deliver",
    "grown",
    "new_book",
    "reset",
    "session",
    "submit",
    "touch",
]


def public(function: Compiled) -> Compiled:
    """Compile what a kernel calls: put into the caller, so that no `Book` is ever handed on."""
    dispatcher: Any = nb.njit(nogil=True, error_model="numpy", inline="always")(function)
    return dispatcher


ROOMS = ("orders_room", "notes_room", "fills_room", "trades_room", "queues_room", "datas", "bars_room")
SESSION_END = dt.time(23, 59, 59, 999990)
"""When a session ends unless the data says otherwise."""


def session(end: dt.time = SESSION_END) -> NDArray[np.float64]:
    """A row of `Book.sessions` for sessions that end at this time of the day."""
    parts = (end.hour / 24.0, end.minute / 1440.0, end.second / 86400.0, end.microsecond / 86400e6)
    fraction = math.fsum(parts)
    second = (end.hour * 60 + end.minute) * 60 + end.second
    return np.array([second * 1e6 + end.microsecond, fraction, math.fsum((*parts, -fraction))])


def new_book(
    bars: NDArray[np.float64],
    lengths: NDArray[np.int64],
    rules: NDArray[np.void],
    schemes: NDArray[np.void],
    cash: float,
    *,
    orders: int = 256,
    notes: int = 0,
    fills: int = 0,
    trades: int = 0,
    sessions: Sequence[NDArray[np.float64]] | None = None,
) -> Book:
    """Empty books with room for so many orders, notifications, fills and trade notifications.

    bars: (datas, 6, bars), rows as in `records`. lengths: bars of each data. rules: (1,). schemes: (datas,).
    sessions: a `session(...)` a data. Room not given follows from `orders`.
    """
    datas = len(lengths)
    fills = fills or orders
    notes = notes or 4 * orders
    trades = trades or 2 * fills
    places = 2 * orders + 8
    book = Book(
        account=np.zeros(1, ACCOUNT),
        rules=np.ascontiguousarray(rules),
        schemes=np.ascontiguousarray(schemes),
        positions=np.zeros(datas, POSITION),
        orders=np.empty(orders, ORDER),
        notes=np.empty(notes, NOTE),
        fills=np.empty(fills, FILL),
        trades=np.empty(trades, TRADE),
        bars=np.ascontiguousarray(bars, dtype=np.float64),
        lengths=np.ascontiguousarray(lengths, dtype=np.int64),
        at=np.full(datas, -1, np.int64),
        queues=np.empty(places, QUEUE),
        open_trades=np.zeros(datas, TRADE),
        sessions=np.array(sessions if sessions is not None else [session()] * datas, dtype=np.float64),
        desk=np.zeros(1, DESK),
    )
    values = {"here" if name == "desk" else name: array.ctypes.data for name, array in book._asdict().items()}
    rooms = (orders, notes, fills, trades, places, datas, bars.shape[2])
    values |= zip(ROOMS, rooms, strict=True)
    values["code"] = machine().table.ctypes.data
    book.desk[0] = tuple(values.get(name, 0) for name in DESK.names or ())
    machine().reset(values["here"], cash)
    return book


def grown(book: Book, cash: float) -> Book:
    """Empty books like these with twice the room."""
    return new_book(
        book.bars,
        book.lengths,
        book.rules,
        book.schemes,
        cash,
        orders=2 * len(book.orders),
        notes=2 * len(book.notes),
        fills=2 * len(book.fills),
        trades=2 * len(book.trades),
        sessions=list(book.sessions),
    )


@public
def reset(book: Book, cash: float) -> None:
    """Empty the books for another run. Capacities, rules and schemes stay."""
    book.at[:] = -1
    _reset(book.desk[0].here, cash)


@public
def submit(
    book: Book,
    t: int,
    data: int,
    size: float,
    kind: int,
    price: float,
    limit: float,
    trail_amount: float,
    trail_percent: float,
    given: int,
    valid: float,
    oco: int,
    parent: int,
    transmit: int,
    info: int,
) -> int:
    """`broker.buy` (size > 0) or `broker.sell`: the order's handle, -1 when the book is full.

    given: which of the four numbers count (HAS_*), and NO_COC. valid: day number or NaN. oco, parent: handle or -1.
    """
    return _submit(
        book.desk[0].here,
        t,
        data,
        size,
        kind,
        price,
        limit,
        trail_amount,
        trail_percent,
        given,
        valid,
        oco,
        parent,
        transmit,
        info,
    )


@public
def cancel(book: Book, handle: int) -> None:
    """`broker.cancel`: takes effect at once, on orders that are accepted and not done."""
    _cancel(book.desk[0].here, handle)


@public
def before_bar(book: Book, t: int) -> None:
    """`broker.next()` at the bars in `book.at`, before the strategy's turn of step `t`.

    Most bars find no order in hand and at most one position, of stock: they are valued here, as `settle` does.
    """
    account, held = book.account[0], book.account[0].held
    if account.pending != 0 or held == SEVERAL_HELD:
        _turn(book.desk[0].here, t)
    elif held == NONE_HELD:
        account.value = account.cash + 0.0
    else:
        position, scheme = book.positions[held], book.schemes[held]
        bar = book.at[held]
        close = book.bars[held, CLOSE, bar if bar >= 0 else bar + book.lengths[held]]
        position.adjust_base = close
        value = position.size * close
        if book.rules[0].shortcash == 0:
            value = abs(value)
        total = 0.0
        if value > 0.0:
            unrealized = position.size * (close - position.price) * scheme.mult
            value -= unrealized
            total += value if scheme.leverage == 1.0 else value / scheme.leverage
            total += unrealized
        else:
            total += value
        account.value = account.cash + total


@public
def advance(
    book: Book,
    t: int,
    valued: int,
    index: NDArray[np.int64],
    equity: NDArray[np.float64],
    cash: NDArray[np.float64],
) -> int:
    """`before_bar` for a strategy that never asks what the account is worth.

    index: (steps, datas), equity, cash: (steps,), all contiguous. Bars from `valued` on wait for their value, which
    they get together, when the position changes or by `close_curve`. Returns the first bar that waits now.
    """
    account = book.account[0]
    if account.pending == 0 and account.held != SEVERAL_HELD:
        return valued
    return _turn_after(book.desk[0].here, t, valued, index.ctypes.data, equity.ctypes.data, cash.ctypes.data)


@public
def close_curve(
    book: Book,
    steps: int,
    valued: int,
    index: NDArray[np.int64],
    equity: NDArray[np.float64],
    cash: NDArray[np.float64],
) -> None:
    """Value the bars that wait after the last of `steps`."""
    _value_bars(book.desk[0].here, valued, steps, index.ctypes.data, equity.ctypes.data, cash.ctypes.data)


@public
def deliver(book: Book, t: int) -> tuple[int, int, int, int]:
    """What the strategy is to be told now: `notes[n0:n1]`, then `trades[m0:m1]`, as (n0, n1, m0, m1)."""
    account = book.account[0]
    if book.desk[0].delivered == account.notes:
        return account.notes, account.notes, account.trades, account.trades
    return _deliver(book.desk[0].here, t)


@public
def data_value(book: Book, data: int) -> float:
    """`broker.getvalue([data])`: value of the position in one data at its current close."""
    return _data_value(book.desk[0].here, data)


@public
def touch(book: Book, data: int) -> None:
    """What reading `strategy.position` or `getposition(data)` does to the broker: it keeps a position from then on."""
    _touch(book.desk[0].here, data)
