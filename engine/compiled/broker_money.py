"""Cash, positions, commissions, interest and value, one for one `BackBroker._execute` and `_get_value`.

Every expression keeps the order of operations of the stock broker, so that results are equal to the last bit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.compiled.broker_orders import bar_of, cancel_others, dissolve, end, note, touch
from engine.compiled.records import (
    CLOSE,
    COMPLETED,
    COUNTS,
    MARGIN,
    MARKET,
    OPEN,
    PARTIAL,
    SENT,
    SENT_TO,
    TIME,
    TOUCHED,
    Book,
)

MICROSECONDS_A_SECOND = 1e6


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def clock_of(time: float) -> tuple[float, float]:
    """Day and microsecond of the day of a day number, as `num2date` rounds them (no time zone)."""
    day = math.floor(time)
    hours = 24.0 * (time - day)
    hour = math.floor(hours)
    minutes = 60.0 * (hours - hour)
    minute = math.floor(minutes)
    seconds = 60.0 * (minutes - minute)
    second = math.floor(seconds)
    microsecond = math.floor(MICROSECONDS_A_SECOND * (seconds - second))
    if microsecond < 10.0:
        microsecond = 0.0
    elif microsecond > 999990.0:
        microsecond = MICROSECONDS_A_SECOND
    of_day = ((hour * 60.0 + minute) * 60.0 + second) * MICROSECONDS_A_SECOND + microsecond
    if of_day >= 86400.0 * MICROSECONDS_A_SECOND:
        return day + 1.0, 0.0
    return day, of_day


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def moved(size: float, price: float, change: float, at: float) -> tuple[float, float, float, float]:
    """A position after `change` units at a price: size, price, opened, closed (`Position.update`)."""
    new = size + change
    if new == 0.0:
        return new, 0.0, 0.0, change
    if size == 0.0:
        return new, at, change, 0.0
    if size > 0.0:
        if change > 0.0:
            return new, (price * size + change * at) / new, change, 0.0
        if new > 0.0:
            return new, price, 0.0, change
    else:
        if change < 0.0:
            return new, (price * size + change * at) / new, change, 0.0
        if new < 0.0:
            return new, price, 0.0, change
    return new, at, new, -size


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def operation_cost(scheme: np.void, size: float, price: float) -> float:
    """Cash an operation takes: price or margin, a positive number."""
    if scheme.stocklike != 0:
        return abs(size) * price
    if scheme.automargin == 0.0:
        return abs(size) * scheme.margin
    if scheme.automargin < 0.0:
        return abs(size) * (price * scheme.mult)
    return abs(size) * (price * scheme.automargin)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def size_value(scheme: np.void, size: float, price: float) -> float:
    """`getvaluesize`: negative for a short stock."""
    return size * price if scheme.stocklike != 0 else operation_cost(scheme, size, price)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def commission_of(scheme: np.void, size: float, price: float) -> float:
    """Commission of an operation."""
    cost = abs(size) * scheme.commission
    return cost * price if scheme.percent != 0 else cost


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def adjustment(scheme: np.void, size: float, base: float, price: float) -> float:
    """Cash a futures position brings as the price moves from `base`."""
    return 0.0 if scheme.stocklike != 0 else size * (price - base) * scheme.mult


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def traded_value(scheme: np.void, shortcash: int, size: float, price: float) -> float:
    """Value of the part of an operation that closes or opens."""
    return size_value(scheme, size, price) if shortcash != 0 else operation_cost(scheme, size, price)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def cash_needed(scheme: np.void, value: float) -> float:
    """Cash behind a value, leverage considered."""
    return value / scheme.leverage if value > 0.0 else value


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def trial(book: Book, handle: int, cash: float) -> float:
    """Cash after a trial execution at the price the order was made with."""
    order = book.orders[handle]
    rules = book.rules[0]
    scheme = book.schemes[order.data]
    touch(book, order.data)
    position = book.positions[order.data]
    if position.checked == 0:
        position.checked = 1
        position.check_size = position.size
        position.check_price = position.price if position.size != 0.0 else 0.0
    price = order.price
    if rules.coo != 0 and order.kind == MARKET:
        price = book.bars[order.data, OPEN, bar_of(book, order.data)]
    size, average, opened, closed = moved(position.check_size, position.check_price, order.remaining, price)
    position.check_size = size
    position.check_price = average
    if closed != 0.0:
        cash += cash_needed(scheme, traded_value(scheme, rules.shortcash, -closed, price))
        cash -= commission_of(scheme, closed, price)
    if opened != 0.0:
        cash -= cash_needed(scheme, traded_value(scheme, rules.shortcash, opened, price))
        cash -= commission_of(scheme, opened, price)
    return cash


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def book_fill(
    book: Book,
    handle: int,
    when: float,
    price: float,
    closed: float,
    closed_value: float,
    closed_commission: float,
    opened: float,
    opened_value: float,
    opened_commission: float,
    pnl: float,
    position_size: float,
    position_price: float,
) -> None:
    """Enter an execution into the order and the list of fills (`OrderData.addbit`)."""
    order = book.orders[handle]
    size = closed + opened
    order.remaining -= size
    order.executed = when
    worth = order.filled * order.average
    part = size * price
    order.filled += size
    order.average = (worth + part) / order.filled
    order.value += closed_value + opened_value
    order.commission += closed_commission + opened_commission
    order.pnl += pnl
    order.status = PARTIAL if order.remaining != 0.0 else COMPLETED
    account = book.account[0]
    if account.fills >= len(book.fills):
        account.overflow = 1
        return
    fill = book.fills[account.fills]
    account.fills += 1
    fill.order = handle
    fill.data = order.data
    fill.time = when
    fill.size = size
    fill.price = price
    fill.closed = closed
    fill.closed_value = closed_value
    fill.closed_commission = closed_commission
    fill.opened = opened
    fill.opened_value = opened_value
    fill.opened_commission = opened_commission
    fill.pnl = pnl
    fill.position_size = position_size
    fill.position_price = position_price


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def execute(book: Book, handle: int, price: float, when: float, step: int) -> None:
    """Fill what remains of an order; without the cash only what closes, and the rest ends as Margin.

    price: NaN when slippage leaves none. when: day number noted as the execution's.
    """
    if math.isnan(price):
        return
    account = book.account[0]
    order = book.orders[handle]
    data = order.data
    shortcash = book.rules[0].shortcash
    scheme = book.schemes[data]
    touch(book, data)
    position = book.positions[data]
    entry = position.price
    new_size, new_price, opened, closed = moved(position.size, entry, order.remaining, price)
    pnl = (0.0 - closed) * (price - entry) * scheme.mult
    cash = account.cash
    closed_value = closed_commission = opened_value = opened_commission = 0.0
    if closed != 0.0:
        closed_value = traded_value(scheme, shortcash, -closed, entry)
        cash += cash_needed(scheme, closed_value) + pnl * scheme.stocklike
        closed_commission = commission_of(scheme, closed, price)
        cash -= closed_commission
        cash += adjustment(scheme, -closed, position.adjust_base, price)
        account.cash = cash
    short_of_cash = False
    if opened != 0.0:
        opened_value = traded_value(scheme, shortcash, opened, price)
        cash -= cash_needed(scheme, opened_value)
        opened_commission = commission_of(scheme, opened, price)
        cash -= opened_commission
        if cash < 0.0:
            short_of_cash = True
            opened = opened_value = opened_commission = 0.0
        else:
            if abs(new_size) > abs(opened):
                cash += adjustment(scheme, new_size - opened, position.adjust_base, price)
            position.adjust_base = price
            account.cash = cash
    size = closed + opened
    if size != 0.0:
        position.size, position.price, _, _ = moved(position.size, entry, size, price)
        position.credit_time = book.bars[data, TIME, bar_of(book, data)]
        if closed != 0.0 and book.rules[0].int2pnl != 0:
            closed_commission += position.credit
            position.credit = 0.0
        book_fill(
            book,
            handle,
            when,
            price,
            closed,
            closed_value,
            closed_commission,
            opened,
            opened_value,
            opened_commission,
            pnl,
            new_size,
            new_price,
        )
        if account.overflow != 0:
            return
        book.fills[account.fills - 1].step = step
        note(book.account, book.orders, book.notes, handle, 1)
        cancel_others(book, handle)
    if short_of_cash:
        end(book, handle, MARGIN)
        cancel_others(book, handle)
        dissolve(book, handle)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def charge_interest(book: Book) -> None:
    """Charge each position's interest for the days since the last charge."""
    credit = 0.0
    for k in range(book.account[0].touched):
        data = book.queues[TOUCHED, k]
        position = book.positions[data]
        scheme = book.schemes[data]
        if position.size == 0.0 or scheme.interest == 0.0:
            continue
        now = book.bars[data, TIME, bar_of(book, data)]
        if not (position.size > 0.0 and scheme.interest_long == 0):
            days = clock_of(now)[0] - clock_of(position.credit_time)[0]
            if days > 0.0:
                due = days * (scheme.interest / 365.0) * abs(position.size) * position.price
                position.credit += due
                credit += due
        position.credit_time = now
    book.account[0].cash -= credit


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def settle(book: Book) -> None:
    """Pay what futures gained or lost over the bar into the cash, then value the account."""
    account = book.account[0]
    shortcash = book.rules[0].shortcash
    for k in range(account.touched):
        data = book.queues[TOUCHED, k]
        position = book.positions[data]
        if position.size != 0.0:
            close = book.bars[data, CLOSE, bar_of(book, data)]
            account.cash += adjustment(book.schemes[data], position.size, position.adjust_base, close)
            position.adjust_base = close
    total = 0.0
    for k in range(account.touched):
        data = book.queues[TOUCHED, k]
        position = book.positions[data]
        if position.size == 0.0:
            continue
        scheme = book.schemes[data]
        close = book.bars[data, CLOSE, bar_of(book, data)]
        value = position_value(scheme, shortcash, position, close)
        if shortcash == 0:
            value = abs(value)
        if value > 0.0:
            unrealized = position.size * (close - position.price) * scheme.mult
            value -= unrealized
            total += value / scheme.leverage
            total += unrealized
        else:
            total += value
    account.value = account.cash + total


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def position_value(scheme: np.void, shortcash: int, position: np.void, price: float) -> float:
    """Value of one position; without shortcash a short stock is worth more as its price falls."""
    if shortcash == 0 and scheme.stocklike != 0 and position.size < 0.0:
        value = position.price * position.size
        value += (position.price - price) * position.size
        return value
    return size_value(scheme, position.size, price)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def first_sent(book: Book) -> None:
    """Begin a cash check: no data has a trial position yet."""
    for k in range(book.queues[COUNTS, SENT_TO]):
        book.positions[book.orders[book.queues[SENT, k]].data].checked = 0
