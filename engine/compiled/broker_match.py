"""When an order fills and at what price, one for one `BackBroker._try_exec` and what it calls."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.compiled.broker_money import execute
from engine.compiled.broker_orders import bar_of
from engine.compiled.records import (
    CLOSE,
    CLOSE_ORDER,
    HIGH,
    LIMIT,
    LOW,
    MARKET,
    OPEN,
    PARTIAL,
    STOP,
    STOP_TRAIL,
    STOP_TRAIL_LIMIT,
    TIME,
    Book,
)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def slipped(rules: np.void, buy: int, bound: float, price: float, limited: int) -> float:
    """The price after slippage; beyond `bound` it is cut, kept (slip_out), or NaN: no match."""
    if rules.slip_perc != 0.0:
        worse = price * (1 + rules.slip_perc) if buy != 0 else price * (1 - rules.slip_perc)
    elif rules.slip_fixed != 0.0:
        worse = price + rules.slip_fixed if buy != 0 else price - rules.slip_fixed
    else:
        return price
    if (buy != 0 and worse <= bound) or (buy == 0 and worse >= bound):
        return worse
    if rules.slip_match != 0 or (limited != 0 and rules.slip_limit != 0):
        return worse if rules.slip_out != 0 else bound
    return math.nan


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def trail(order: np.void, price: float) -> None:
    """Move a trailing order's trigger after the price; it only ever moves closer."""
    distance = 0.0
    if order.trail_amount != 0.0:
        distance = order.trail_amount
    elif order.trail_percent != 0.0:
        distance = price * order.trail_percent
    if order.buy != 0:
        price += distance
        if not price < order.price:
            return
    else:
        price -= distance
        if not price > order.price:
            return
    order.price = price
    if order.kind == STOP_TRAIL_LIMIT:
        order.limit = price - order.limit_offset


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def limit_price(rules: np.void, buy: int, opened: float, high: float, low: float, limit: float) -> float:
    """Where a limit order fills in this bar; NaN: nowhere."""
    better = limit >= opened if buy != 0 else limit <= opened
    if better:
        if rules.slip_open == 0:
            return opened
        bound = limit
        if buy != 0 and not limit < high:
            bound = high
        return slipped(rules, buy, bound, opened, 1)
    touched = limit >= low if buy != 0 else limit <= high
    return limit if touched else math.nan


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def stop_price(rules: np.void, buy: int, opened: float, high: float, low: float, trigger: float) -> float:
    """Where a stop order fills in this bar: the open after a gap, else the trigger; NaN: nowhere."""
    bound = high if buy != 0 else low
    if (opened >= trigger) if buy != 0 else (opened <= trigger):
        return opened if rules.slip_open == 0 else slipped(rules, buy, bound, opened, 0)
    if (high >= trigger) if buy != 0 else (low <= trigger):
        return slipped(rules, buy, bound, trigger, 0)
    return math.nan


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def stop_limit_price(
    rules: np.void, order: np.void, opened: float, high: float, low: float, close: float
) -> float:
    """Where a stop limit order fills in the bar that may trigger it; NaN: nowhere.

    Triggered within the bar, it fills there only where open against close shows which way the price went.
    """
    buy, trigger, limit = order.buy, order.price, order.limit
    if (opened >= trigger) if buy != 0 else (opened <= trigger):
        order.triggered = 1
        return limit_price(rules, buy, opened, high, low, limit)
    if not ((high >= trigger) if buy != 0 else (low <= trigger)):
        return math.nan
    order.triggered = 1
    if (limit >= trigger) if buy != 0 else (limit <= trigger):
        return slipped(rules, buy, high if buy != 0 else low, trigger, 1)
    if buy != 0:
        back = opened > close and limit >= close
    else:
        back = opened <= close and limit <= close
    return limit if back else math.nan


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def match(book: Book, handle: int, step: int) -> None:
    """Try one pending order against its data's current bar."""
    order = book.orders[handle]
    rules = book.rules[0]
    data = order.data
    bar = bar_of(book, data)
    opened, high = book.bars[data, OPEN, bar], book.bars[data, HIGH, bar]
    low, close, now = book.bars[data, LOW, bar], book.bars[data, CLOSE, bar], book.bars[data, TIME, bar]
    when = now
    kind = order.kind
    price = math.nan
    if kind == MARKET:
        if rules.coc != 0 and order.coc != 0:
            price = order.close
            if order.created != 0.0:
                when = order.created
        elif rules.coo != 0 or not now <= order.created:
            price = opened
        if rules.slip_open != 0:
            price = slipped(rules, order.buy, high if order.buy != 0 else low, price, 0)
    elif kind == CLOSE_ORDER:
        if now > order.created and now >= order.session_end:
            price = close
            if order.noted != 0 and order.noted_close != 0.0 and now > order.session_end:
                price = order.noted_close
                when = book.bars[data, TIME, bar - 1 if bar > 0 else book.lengths[data] - 1]
        else:
            order.noted = 1
            order.noted_close = close
    elif kind == LIMIT:
        price = limit_price(rules, order.buy, opened, high, low, order.price)
    elif kind == STOP or kind == STOP_TRAIL:
        price = stop_price(rules, order.buy, opened, high, low, order.price)
    elif order.triggered != 0:
        price = limit_price(rules, order.buy, opened, high, low, order.limit)
    else:
        price = stop_limit_price(rules, order, opened, high, low, close)
        if kind == STOP_TRAIL_LIMIT:
            execute(book, handle, price, when, step)
            if order.status <= PARTIAL:
                trail(order, close)
            return
    execute(book, handle, price, when, step)
    if kind == STOP_TRAIL and order.status <= PARTIAL:
        trail(order, close)
