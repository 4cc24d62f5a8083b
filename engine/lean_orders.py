"""Matching and booking Backtrader's orders and trades with its own values, by shorter ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backtrader.order import Order, OrderExecutionBit
from backtrader.trade import Trade

Bars = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float], Sequence[float], list[int]]
"""Open, high, low, close and time of every bar, and in a list of one where the data is."""
MARKET, LIMIT, BUY = Order.Market, Order.Limit, Order.Buy
STOPS = frozenset((Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit))
TRIGGERED = frozenset((Order.StopLimit, Order.StopTrailLimit))
_new = object.__new__
TRAILING = (Order.StopTrail, Order.StopTrailLimit)


def execute_order(
    order: Order,
    dt: float,
    size: float,
    price: float,
    closed: float,
    closedvalue: float,
    closedcomm: float,
    opened: float,
    openedvalue: float,
    openedcomm: float,
    margin: Any,
    pnl: float,
    psize: float,
    pprice: float,
) -> OrderExecutionBit:
    """`order.execute(...)`: add an execution, returned, and take the status it leads to. size: not zero."""
    bit = _new(OrderExecutionBit)
    bit.dt = dt
    bit.size = size
    bit.price = price
    bit.closed = closed
    bit.opened = opened
    bit.closedvalue = closedvalue
    bit.openedvalue = openedvalue
    bit.closedcomm = closedcomm
    bit.openedcomm = openedcomm
    bit.value = closedvalue + openedvalue
    bit.comm = closedcomm + openedcomm
    bit.pnl = pnl
    bit.psize = psize
    bit.pprice = pprice
    done = order.executed
    done.exbits.append(bit)
    done.remsize -= size
    done.dt = dt
    before = done.size * done.price
    now = size * price
    done.size += size
    done.price = (before + now) / done.size
    done.value += bit.value
    done.comm += bit.comm
    done.pnl += pnl
    done.psize = psize
    done.pprice = pprice
    done.margin = margin
    order.status = Order.Partial if done.remsize else Order.Completed
    return bit


def split(held: float, held_price: float, size: float, price: float) -> tuple[float, float, float, float]:
    """`Position.update` of a position as numbers: its size and price afterwards, what was opened, what closed."""
    after = held + size
    if not after:
        return after, 0.0, 0, size
    if not held:
        return after, price, size, 0
    if held > 0:
        if size > 0:
            return after, (held_price * held + size * price) / after, size, 0
        kept = after > 0
    else:
        if size < 0:
            return after, (held_price * held + size * price) / after, size, 0
        kept = after < 0
    if kept:
        return after, held_price, 0, size
    return after, price, after, -held


def update_trade(
    trade: Trade,
    size: float,
    price: float,
    commission: float,
    scheme: Any,
    simple: bool,
    length: int,
    moment: float,
) -> None:
    """`trade.update` without a history.

    size: signed, not zero. simple: whether gains and values follow from the scheme's parameters as for stocks.
    length, moment: of the trade's data.
    """
    trade.commission += commission
    before = trade.size
    after = trade.size = before + size
    trade.justopened = not before
    if not before:
        trade.baropen = length
        trade.dtopen = moment
        trade.long = after > 0
    trade.isopen = bool(after)
    trade.barlen = length - trade.baropen
    trade.isclosed = closed = bool(before and not after)
    if closed:
        trade.barclose = length
        trade.dtclose = moment
        trade.status = Trade.Closed
    elif after:
        trade.status = Trade.Open
    if abs(after) > abs(before):
        trade.price = (before * trade.price + size * price) / after
        pnl = 0.0
    elif simple:
        pnl = -size * (price - trade.price) * scheme.p.mult
    else:
        pnl = scheme.profitandloss(-size, trade.price, price)
    trade.pnl += pnl
    trade.pnlcomm = trade.pnl - trade.commission
    trade.value = after * trade.price if simple else scheme.getvaluesize(after, trade.price)


def copy_trade(trade: Trade) -> Trade:
    """`copy.copy(trade)`."""
    twin: Trade = _new(Trade)
    twin.__dict__ = trade.__dict__.copy()
    return twin


def first_to_happen(pending: Iterable[Order], bars: Mapping[Any, Bars], at_once: bool) -> int:
    """Position of the first pending order that this bar fills, triggers or ends, -1 if there is none.

    Trailing orders before it are moved, which is all that a bar does to an order it does not touch.
    bars: per data its arrays and its cursor. at_once: whether market orders may fill on the bar they are made.
    """
    rows: dict[Any, tuple[float, float, float, float]] = {}
    for place, order in enumerate(pending):
        data = order.data
        row = rows.get(data)
        if row is None:
            opens, highs, lows, _, times, cursor = bars[data]
            at = cursor[0]
            row = rows[data] = opens[at], highs[at], lows[at], times[at]
        opening, high, low, time = row
        kind = order.exectype
        if kind == MARKET:
            if order._active and (at_once or time > order.created.dt):
                return place
            continue
        valid = order.valid
        if valid and time > valid:
            return place
        if not order._active:
            continue
        created = order.created
        if kind == LIMIT or (order.triggered and kind in TRIGGERED):
            limit = created.price if kind == LIMIT else created.pricelimit
            if order.ordtype == BUY:
                if limit >= opening or limit >= low:
                    return place
            elif limit <= opening or limit <= high:
                return place
        elif kind in STOPS:
            trigger = created.price
            if order.ordtype == BUY:
                if opening >= trigger or high >= trigger:
                    return place
            elif opening <= trigger or low <= trigger:
                return place
            if kind in TRAILING:
                order.trailadjust(bars[data][3][bars[data][5][0]])
        else:
            return place
    return -1
