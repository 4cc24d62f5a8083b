"""When an order fills and at what price, one for one `BackBroker._try_exec` and what it calls."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

from engine.compiled.broker_memory import desk_at, float_at, inner, int_at, order_at, rules_at
from engine.compiled.broker_money import execute
from engine.compiled.broker_orders import bars_of
from engine.compiled.records import (
    CLOSE,
    CLOSE_ORDER,
    HIGH,
    LIMIT,
    LOW,
    MARKET,
    PARTIAL,
    STOP,
    STOP_LIMIT,
    STOP_TRAIL,
    STOP_TRAIL_LIMIT,
    TIME,
)


@inner
def slipped(address: int, buy: int, bound: float, price: float, limited: int) -> float:
    """The price after slippage; beyond `bound` it is cut, kept (slip_out), or NaN: no match."""
    rules = rules_at(desk_at(address, 0).rules, 0)
    if rules.slip_perc != 0.0:
        worse = price * (1 + rules.slip_perc if buy != 0 else 1 - rules.slip_perc)
    elif rules.slip_fixed != 0.0:
        worse = price + rules.slip_fixed if buy != 0 else price - rules.slip_fixed
    else:
        return price
    if (worse <= bound) if buy != 0 else (worse >= bound):
        return worse
    if rules.slip_match != 0 or (limited != 0 and rules.slip_limit != 0):
        return worse if rules.slip_out != 0 else bound
    return math.nan


@inner
def trail(address: int, handle: int, price: float) -> None:
    """Move a trailing order's trigger after the price; it only ever moves closer."""
    order = order_at(desk_at(address, 0).orders, handle)
    distance = 0.0
    if order.trail_amount != 0.0:
        distance = order.trail_amount
    elif order.trail_percent != 0.0:
        distance = price * order.trail_percent
    price = price + distance if order.buy != 0 else price - distance
    if (price < order.price) if order.buy != 0 else (price > order.price):
        order.price = price
        if order.kind == STOP_TRAIL_LIMIT:
            order.limit = price - order.limit_offset


@inner
def limit_price(address: int, buy: int, opened: float, high: float, low: float, limit: float) -> float:
    """Where a limit order fills in this bar; NaN: nowhere."""
    if (limit >= opened) if buy != 0 else (limit <= opened):
        if rules_at(desk_at(address, 0).rules, 0).slip_open == 0:
            return opened
        bound = high if buy != 0 and not limit < high else limit
        return slipped(address, buy, bound, opened, 1)
    return limit if ((limit >= low) if buy != 0 else (limit <= high)) else math.nan


@inner
def match(address: int, handle: int, step: int) -> None:
    """Try one pending order against its data's current bar.

    A stop fills at the open after a gap, else at its trigger. A stop limit order triggered within the bar fills there
    only where open against close shows which way the price went; from the next bar on it is a limit order.
    """
    desk = desk_at(address, 0)
    order = order_at(desk.orders, handle)
    rules = rules_at(desk.rules, 0)
    bars, room = bars_of(address, order.data), desk.bars_room
    opened, high, low = float_at(bars, 0), float_at(bars, HIGH * room), float_at(bars, LOW * room)
    close, now = float_at(bars, CLOSE * room), float_at(bars, TIME * room)
    kind, buy, trigger, limit = order.kind, order.buy, order.price, order.limit
    bound = high if buy != 0 else low
    when, price, trailing = now, math.nan, False
    if kind == MARKET:
        if rules.coc != 0 and order.coc != 0:
            price = order.close
            when = order.created if order.created != 0.0 else now
        elif rules.coo != 0 or not now <= order.created:
            price = opened
        if rules.slip_open != 0 and not math.isnan(price):
            price = slipped(address, buy, bound, price, 0)
    elif kind == CLOSE_ORDER:
        if now > order.created and now >= order.session_end:
            price = close
            if order.noted != 0 and order.noted_close != 0.0 and now > order.session_end:
                price = order.noted_close
                bar = int_at(desk.at, order.data)
                when = float_at(
                    bars, TIME * room - 1 if bar != 0 else TIME * room + int_at(desk.lengths, order.data) - 1
                )
        else:
            order.noted = 1
            order.noted_close = close
    elif kind == LIMIT:
        price = limit_price(address, buy, opened, high, low, trigger)
    elif kind in (STOP_LIMIT, STOP_TRAIL_LIMIT) and order.triggered != 0:
        price = limit_price(address, buy, opened, high, low, limit)
    else:
        gap = opened >= trigger if buy != 0 else opened <= trigger
        touched = high >= trigger if buy != 0 else low <= trigger
        if kind in (STOP, STOP_TRAIL):
            if gap:
                price = opened if rules.slip_open == 0 else slipped(address, buy, bound, opened, 0)
            elif touched:
                price = slipped(address, buy, bound, trigger, 0)
        elif gap:
            order.triggered = 1
            price = limit_price(address, buy, opened, high, low, limit)
        elif touched:
            order.triggered = 1
            if limit >= trigger if buy != 0 else limit <= trigger:
                price = slipped(address, buy, bound, trigger, 1)
            elif opened > close and limit >= close if buy != 0 else opened <= close and limit <= close:
                price = limit
        trailing = kind in (STOP_TRAIL, STOP_TRAIL_LIMIT)
    execute(address, handle, price, when, step)
    if trailing and order.status <= PARTIAL:
        trail(address, handle, close)
