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

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.compiled.broker_match import match, trail
from engine.compiled.broker_money import (
    charge_interest,
    clock_of,
    first_sent,
    position_value,
    settle,
    trial,
)
from engine.compiled.broker_orders import (
    END,
    accept,
    bar_of,
    cancel_others,
    cancel_pending,
    count_pending,
    dissolve,
    end,
    enlist,
    head_of,
    join,
    push,
    release,
    send,
    touch,
)
from engine.compiled.broker_trades import follow
from engine.compiled.records import (
    ACCOUNT,
    CLOSE,
    CLOSE_ORDER,
    COMPLETED,
    COUNTS,
    CREATED,
    DELIVERED,
    EXPIRED,
    FAMILY,
    FILL,
    HAS_LIMIT,
    HAS_PRICE,
    HAS_TRAIL_AMOUNT,
    HAS_TRAIL_PERCENT,
    MARGIN,
    MARKET,
    NO_COC,
    NOTE,
    ORDER,
    PARTIAL,
    PENDING,
    PENDING_FROM,
    PENDING_TO,
    POSITION,
    REJECTED,
    SENT,
    SENT_TO,
    STOP_TRAIL,
    STOP_TRAIL_LIMIT,
    TIME,
    TRADE,
    WAITING,
    WAITING_TO,
    Book,
)

__all__ = [
    "before_bar",
    "cancel",
    "data_value",
    "deliver",
    "grown",
    "new_book",
    "reset",
    "session",
    "submit",
    "touch",
]

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
    book = Book(
        account=np.zeros(1, ACCOUNT),
        rules=rules,
        schemes=schemes,
        positions=np.zeros(datas, POSITION),
        orders=np.zeros(orders, ORDER),
        notes=np.zeros(notes or 4 * orders, NOTE),
        fills=np.zeros(fills, FILL),
        trades=np.zeros(trades or 2 * fills, TRADE),
        bars=bars,
        lengths=lengths,
        at=np.full(datas, -1, np.int64),
        queues=np.zeros((COUNTS + 1, 2 * orders + max(datas, 8)), np.int64),
        open_trades=np.zeros(datas, TRADE),
        sessions=np.array(sessions if sessions is not None else [session()] * datas, dtype=np.float64),
    )
    reset(book, cash)
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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def reset(book: Book, cash: float) -> None:
    """Empty the books for another run. Capacities, rules and schemes stay."""
    account = book.account[0]
    account.cash = account.value = cash
    account.orders = account.fills = account.notes = account.trades = account.refs = 0
    account.pending = account.touched = account.overflow = account.error = 0
    for k in range(len(book.at)):
        book.at[k] = -1
        position = book.positions[k]
        position.size = position.price = position.credit = position.credit_time = 0.0
        position.adjust_base = math.nan
        position.touched = position.checked = 0
        book.open_trades[k].ref = 0
    for k in range(DELIVERED + 1):
        book.queues[COUNTS, k] = 0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def session_end(book: Book, data: int, now: float) -> float:
    """Day number at which the session of a time ends; past the end, that of the day after.

    The sum is rounded once, as `date2num` has it.
    """
    day, of_day = clock_of(now)
    if book.sessions[data, 0] < of_day:
        day += 1.0
    fraction, rest = book.sessions[data, 1], book.sessions[data, 2]
    total = day + fraction
    return total + ((fraction - (total - day)) + rest)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def set_prices(
    order: np.void, price: float, limit: float, trail_amount: float, trail_percent: float, given: int
) -> None:
    """Reference price, limit and first trigger of an order just made, out of what the strategy gave."""
    has_price = given & HAS_PRICE != 0 and price != 0.0
    has_limit = given & HAS_LIMIT != 0 and limit != 0.0
    if not has_price:
        price = limit if has_limit else order.close
    order.price = price
    order.limit = limit if has_limit else price
    order.trail_amount = trail_amount if given & HAS_TRAIL_AMOUNT != 0 else 0.0
    order.trail_percent = trail_percent if given & HAS_TRAIL_PERCENT != 0 else 0.0
    order.limit_offset = 0.0
    if order.kind == STOP_TRAIL or order.kind == STOP_TRAIL_LIMIT:
        order.limit_offset = order.price - order.limit
        order.price = math.inf if order.buy != 0 else -math.inf
        trail(order, price)
    order.first_price = order.price
    order.first_limit = order.limit if has_limit else math.nan


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
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
    account = book.account[0]
    handle = account.orders
    if handle >= len(book.orders):
        account.overflow = 1
        return -1
    account.orders = handle + 1
    order = book.orders[handle]
    bar = bar_of(book, data)
    order.data = data
    order.kind = kind
    order.status = CREATED
    order.buy = 1 if size > 0.0 else 0
    order.info = info
    order.parent = parent
    order.transmit = transmit
    order.active = 1 if parent < 0 else 0
    order.triggered = 0
    order.created_step = t
    order.size = size
    order.close = book.bars[data, CLOSE, bar]
    order.created = book.bars[data, TIME, bar]
    order.valid = valid
    order.session_end = session_end(book, data, order.created) if kind == CLOSE_ORDER else math.nan
    order.noted = 0
    order.noted_close = math.nan
    order.coc = 0 if given & NO_COC != 0 else 1
    order.remaining = size
    order.filled = order.average = order.value = order.commission = order.pnl = 0.0
    order.executed = math.nan
    set_prices(order, price, limit, trail_amount, trail_percent, given)
    join(book, handle, oco)
    head = enlist(book, handle)
    if head < 0:
        end(book, handle, REJECTED)
    elif transmit != 0:
        send(book, head)
        count_pending(book)
    return handle


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def cancel(book: Book, handle: int) -> None:
    """`broker.cancel`: takes effect at once, on orders that are accepted and not done."""
    if handle >= 0 and cancel_pending(book, handle):
        dissolve(book, handle)
        count_pending(book)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def check_sent(book: Book) -> None:
    """Accept what was sent, as far as cash goes; what once went below zero stays below for the rest."""
    queues = book.queues
    cash = book.account[0].cash
    first_sent(book)
    for k in range(queues[COUNTS, SENT_TO]):
        handle = queues[SENT, k]
        head = head_of(book, handle)
        if head != handle and queues[FAMILY, head] == 0:
            end(book, handle, REJECTED)
            continue
        cash = trial(book, handle, cash)
        if cash >= 0.0:
            accept(book, handle)
            continue
        end(book, handle, MARGIN)
        cancel_others(book, handle)
        dissolve(book, handle)
    queues[COUNTS, SENT_TO] = 0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def match_pending(book: Book, step: int) -> None:
    """One pass over the pending orders: expire, keep for later, or try."""
    account, queues = book.account[0], book.queues
    push(book.account, queues, PENDING, PENDING_TO, END)
    while account.overflow == 0 and account.error == 0:
        place = queues[COUNTS, PENDING_FROM]
        handle = queues[PENDING, place]
        queues[COUNTS, PENDING_FROM] = place + 1
        if handle == END:
            break
        order = book.orders[handle]
        data = order.data
        if (
            order.kind != MARKET
            and order.valid != 0.0
            and book.bars[data, TIME, bar_of(book, data)] > order.valid
        ):
            end(book, handle, EXPIRED)
            cancel_others(book, handle)
            dissolve(book, handle)
            continue
        if order.active != 0:
            match(book, handle, step)
            if order.status == COMPLETED:
                release(book, handle)
                continue
            if order.status > PARTIAL:
                continue
        push(book.account, queues, PENDING, PENDING_TO, handle)
    kept = queues[COUNTS, PENDING_TO] - queues[COUNTS, PENDING_FROM]
    for k in range(kept):
        queues[PENDING, k] = queues[PENDING, queues[COUNTS, PENDING_FROM] + k]
    queues[COUNTS, PENDING_FROM] = 0
    queues[COUNTS, PENDING_TO] = kept


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def turn(book: Book, t: int) -> None:
    """The broker's turn when it has orders in hand or keeps positions."""
    queues = book.queues
    if book.account[0].pending != 0:
        for k in range(queues[COUNTS, WAITING_TO]):
            book.orders[queues[WAITING, k]].active = 1
        queues[COUNTS, WAITING_TO] = 0
        if queues[COUNTS, SENT_TO] != 0:
            check_sent(book)
    charge_interest(book)
    if queues[COUNTS, PENDING_TO] != 0:
        match_pending(book, t)
    count_pending(book)
    settle(book)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def before_bar(book: Book, t: int) -> None:
    """`broker.next()` at the bars in `book.at`, before the strategy's turn of step `t`."""
    account = book.account[0]
    if account.pending == 0 and account.touched == 0:
        account.value = account.cash
    else:
        turn(book, t)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def deliver(book: Book, t: int) -> tuple[int, int, int, int]:
    """What the strategy is to be told now: `notes[n0:n1]`, then `trades[m0:m1]`, as (n0, n1, m0, m1)."""
    account = book.account[0]
    first, last, trades = book.queues[COUNTS, DELIVERED], account.notes, account.trades
    for n in range(first, last):
        entry = book.notes[n]
        order = book.orders[entry.order]
        entry.step = t
        entry.price = order.price
        entry.limit = order.limit
        for k in range(entry.fill_from, entry.fill_to):
            follow(book, book.fills[k], t)
    book.queues[COUNTS, DELIVERED] = last
    return first, last, trades, account.trades


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def data_value(book: Book, data: int) -> float:
    """`broker.getvalue([data])`: value of the position in one data at its current close."""
    touch(book, data)
    position = book.positions[data]
    close = book.bars[data, CLOSE, bar_of(book, data)]
    return position_value(book.schemes[data], book.rules[0].shortcash, position, close)
