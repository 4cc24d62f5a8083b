"""Making, copying and matching Backtrader's orders with its own values, by shorter ways.

Every object is Backtrader's own class with the attributes its constructor gives it. An order carries a few of
its parameters as attributes too, where Backtrader finds them by a failing attribute first.
"""

from __future__ import annotations

import collections
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backtrader.order import Order, OrderBase, OrderData, OrderExecutionBit
from backtrader.trade import Trade
from backtrader.utils import AutoOrderedDict

Bars = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float], Sequence[float], list[int]]
"""Open, high, low, close and time of every bar, and in a list of one where the data is."""
MARKET, LIMIT, BUY = Order.Market, Order.Limit, Order.Buy
STOPS = frozenset((Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit))
TRIGGERED = frozenset((Order.StopLimit, Order.StopTrailLimit))
_new = object.__new__
_TRAILING = (Order.StopTrail, Order.StopTrailLimit)
_END_OF_DAY = datetime.time(23, 59, 59, 999_990)
_END_OF_DAY_PARTS = (23 / 24.0, 59 / 1440.0, 59 / 86_400.0, 999_990 / 86_400e6)
_SURELY_BEFORE_THE_END = 0.9999
"""Part of a day before which rounding a time cannot take it to the end of its day."""


def make_order(
    kind: type[Order],
    owner: Any,
    data: Any,
    size: float,
    price: float | None,
    plimit: float | None,
    exectype: int | None,
    valid: Any,
    tradeid: int,
    trailamount: float | None,
    trailpercent: float | None,
    parent: Order | None,
    transmit: bool,
    histnotify: bool,
) -> Order:
    """`BuyOrder(...)` or `SellOrder(...)`. size: above zero, as Backtrader's brokers are given it."""
    params = _new(kind.params)
    params.owner, params.data, params.size, params.price, params.pricelimit = owner, data, size, price, plimit
    params.exectype, params.valid, params.tradeid = exectype, valid, tradeid
    params.trailamount, params.trailpercent = trailamount, trailpercent
    params.parent, params.transmit, params.histnotify = parent, transmit, histnotify
    order = _new(kind)
    order.params = order.p = params
    order.ref = next(OrderBase.refbasis)
    order.broker = None
    order.info = AutoOrderedDict()
    order.comminfo = None
    order.triggered = False
    order._active = parent is None
    order.status = Order.Created
    order._plimit = plimit
    order.exectype = MARKET if exectype is None else exectype
    order.size = signed = size if kind.ordtype == BUY else -size
    close = data.close[0]
    moment = data.datetime[0]
    order.created = created = _order_data(
        moment, signed, 0, price if price or plimit else close, plimit, close, trailamount, trailpercent
    )
    if exectype in _TRAILING:
        order.trailamount, order.trailpercent = trailamount, trailpercent
        _set_first_trigger(order, created)
    else:
        order._limitoffset = 0.0
    order.executed = _order_data(None, 0, signed, 0.0, 0.0, 0.0, 0.0, 0.0)
    order.position = 0
    order.dteos = session_end(data, moment)
    order.valid = None if valid is None else expiry(data, valid)
    order.owner, order.data = owner, data
    order.tradeid, order.parent, order.transmit = tradeid, parent, transmit
    return order


def _set_first_trigger(order: Order, created: OrderData) -> None:
    """What the constructor does for a trailing order: its trigger starts at its distance from the price given."""
    start = created.price
    order._limitoffset = start - created.pricelimit
    created.price = math.inf if order.ordtype == BUY else -math.inf
    order.trailadjust(start)


def _order_data(
    dt: float | None,
    size: float,
    remsize: float,
    price: Any,
    pricelimit: Any,
    pclose: float,
    trailamount: Any,
    trailpercent: Any,
) -> OrderData:
    """`OrderData(...)`."""
    made = _new(OrderData)
    made.pclose = pclose
    made.exbits = collections.deque()
    made.p1 = made.p2 = 0
    made.dt = dt
    made.size = size
    made.remsize = remsize
    made.price = pricelimit if pricelimit and not price else price
    made.pricelimit = pricelimit or made.price
    made.trailamount = trailamount
    made.trailpercent = trailpercent
    made._plimit = pricelimit
    made.value = 0.0
    made.comm = 0.0
    made.margin = None
    made.pnl = 0.0
    made.psize = 0
    made.pprice = 0
    return made


def session_end(data: Any, moment: float) -> float:
    """The provisional end of session that an order made at `moment` carries, as a day number."""
    day = math.floor(moment)
    plain = data._tz is None and data.p.sessionend == _END_OF_DAY
    if plain and moment - day < _SURELY_BEFORE_THE_END:
        return math.fsum((float(day), *_END_OF_DAY_PARTS))
    now = data.datetime.datetime(0)
    end = data.p.sessionend
    session = now.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=end.microsecond)
    if session < now:
        session += datetime.timedelta(days=1)
    return data.date2num(session)  # type: ignore[no-any-return]


def clone_order(order: Order) -> Order:
    """`order.clone()`."""
    executed = order.executed
    executed.p1, executed.p2 = executed.p2, len(executed.exbits)
    twin = _new(type(order))
    twin.__dict__ = values = order.__dict__.copy()
    values["executed"] = done = _new(OrderData)
    done.__dict__ = executed.__dict__.copy()
    return twin


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
) -> None:
    """`order.execute(...)`: add an execution and take the status it leads to. size: not zero."""
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


def expiry(data: Any, valid: Any) -> Any:
    """What an order keeps of the `valid` it is given: a day number where Backtrader makes it one."""
    if isinstance(valid, datetime.date):
        return data.date2num(valid)
    if isinstance(valid, datetime.timedelta):
        if valid == Order.DAY:
            end = datetime.time(23, 59, 59, 9999)
            return data.date2num(datetime.datetime.combine(data.datetime.date(), end))
        return data.date2num(data.datetime.datetime() + valid)
    return valid


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
            if kind in _TRAILING:
                order.trailadjust(bars[data][3][bars[data][5][0]])
        else:
            return place
    return -1
