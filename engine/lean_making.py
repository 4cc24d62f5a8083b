"""Making and copying Backtrader's orders with its own values; what hardly anybody asks for is made when it is read.

An order is of a subclass of Backtrader's own that looks the same: its parameters, its `info` and the end of its
session, and the executions of an order without any, come into being at their first reader. `complete` makes it what
Backtrader's constructor makes; so does whoever copies or pickles it. An order carries a few of its parameters as
attributes too, where Backtrader finds them by a failing attribute first.
"""

from __future__ import annotations

import collections
import datetime
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

from backtrader import num2date
from backtrader.order import BuyOrder, Order, OrderBase, OrderData, SellOrder
from backtrader.utils import AutoOrderedDict

SHOWS_ATTRIBUTES = frozenset(("__dict__", "vars", "dir", "getmembers", "__getattribute__", "__slots__"))
"""Names by which code would find out that an order lacks what nobody has read yet."""
MARKET, BUY = Order.Market, Order.Buy
_TRAILING = (Order.StopTrail, Order.StopTrailLimit)
_NOT_EXECUTED = frozenset((Order.Created, Order.Submitted, Order.Accepted))
_END_OF_DAY = datetime.time(23, 59, 59, 999_990)
_END_OF_DAY_PARTS = (23 / 24.0, 59 / 1440.0, 59 / 86_400.0, 999_990 / 86_400e6)
_SURELY_BEFORE_THE_END = 0.9999
"""Part of a day before which rounding a time cannot take it to the end of its day."""
_new = object.__new__


class Later:
    """An attribute that is made when it is read first. at_class: what the class itself answers."""

    def __init__(self, make: Callable[[Any], Any], at_class: Any = None) -> None:
        self.make, self.at_class = make, at_class

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, made: Any, kind: type) -> Any:
        if made is None:
            return self.at_class
        value = self.make(made)
        setattr(made, self.name, value)
        return value


def _derive(kind: Any, body: dict[str, Any]) -> Any:
    """A subclass that looks the same from outside."""
    looks = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__", "__hash__")}
    # Not by the metaclass: it would derive parameters and enter the class in Backtrader's registries again.
    return type.__new__(type(kind), kind.__name__, (kind,), {**looks, **body, "stock": kind})


def _reduce(self: Any, protocol: Any) -> Any:
    complete(self)
    return self.__reduce_ex__(protocol)


_NOTHING_DONE = {
    "remsize": 0,
    "p1": 0,
    "p2": 0,
    "value": 0.0,
    "comm": 0.0,
    "margin": None,
    "pnl": 0.0,
    "psize": 0,
    "pprice": 0,
    "exbits": Later(lambda data: collections.deque() if data._first is None else data._first.exbits),
    "_first": None,
    "__reduce_ex__": _reduce,
}
_NOTHING_ASKED = {
    "dt": None,
    "size": 0,
    "price": 0.0,
    "pclose": 0.0,
    "pricelimit": 0.0,
    "trailamount": 0.0,
    "trailpercent": 0.0,
    "_plimit": 0.0,
}
_SHARED = {"_asked": None, "_params": None, "_info": None}
"""What an order's copies ask its `created` for; and `_first`, of a copy's executions, whose list they share."""
Created = _derive(OrderData, {**_NOTHING_DONE, **_SHARED})
"""What an order was made with. `_info` is the order's `info`, or None where nobody has asked for it yet."""
_Executed = _derive(OrderData, {**_NOTHING_DONE, **_NOTHING_ASKED})


def _params(order: Any) -> Any:
    shared = order.created
    params = shared._params
    if params is None:
        shared._params = params = _new(type(order).stock.params)
        params.owner, params.data = order.owner, order.data
        (
            params.size, params.price, params.pricelimit, params.exectype, params.valid, params.tradeid,
            params.trailamount, params.trailpercent, params.parent, params.transmit, params.histnotify,
        ) = shared._asked  # fmt: skip
    return params


def _info(order: Any) -> Any:
    shared = order.created
    if shared._info is None:
        shared._info = AutoOrderedDict()
    return shared._info


_AT_FIRST = {
    "broker": None,
    "comminfo": None,
    "triggered": False,
    "_active": True,
    "status": Order.Created,
    "_plimit": None,
    "exectype": MARKET,
    "_limitoffset": 0.0,
    "position": 0,
    "valid": None,
    "tradeid": 0,
    "parent": None,
    "transmit": True,
}
"""What most orders have; the rest is set on the order."""


def _order_class(kind: Any) -> Any:
    """The class of the orders made here. What copies of an order share is kept by its `created`."""
    later = {
        "params": Later(_params, kind.params),
        "p": Later(lambda order: order.params),
        "info": Later(_info),
        "dteos": Later(lambda order: session_end(order.data, order.created.dt)),
    }
    own = {
        "cancel": _ending(Order.Canceled),
        "margin": _ending(Order.Margin),
        "__reduce_ex__": _reduce,
    }
    return _derive(kind, {**_AT_FIRST, **later, **own})


def _ending(status: int) -> Callable[[Any], None]:
    """`Order.cancel` or `Order.margin`."""

    def end(self: Any) -> None:
        self.status = status
        self.executed.dt = self.data.datetime[0]

    return end


_CLASSES: dict[type[Order], Any] = {kind: _order_class(kind) for kind in (BuyOrder, SellOrder)}


def complete(made: Any) -> Any:
    """Make an order or its data what Backtrader's constructors make, in place; returns it.

    Only what no reader sees stays with its `created`, for copies of the order that are not complete.
    """
    kind = type(made)
    if "stock" not in vars(kind):
        return made
    values = made.__dict__
    for name, at_class in vars(kind).items():
        if name not in values and name not in _OURS and not isinstance(at_class, FunctionType | str):
            values[name] = getattr(made, name)
    if "executed" in values:
        complete(made.created)
        complete(made.executed)
    values.pop("_first", None)
    made.__class__ = kind.stock
    return made


_OURS = frozenset(("stock", "__hash__", "__module__", "__qualname__", "__doc__", "_first", *_SHARED))


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
) -> Any:
    """`BuyOrder(...)` or `SellOrder(...)`. size: above zero, as Backtrader's brokers are given it."""
    order = _new(_CLASSES[kind])
    order.ref = next(OrderBase.refbasis)
    order.owner, order.data, order.tradeid = owner, data, tradeid
    order.size = signed = size if kind.ordtype == BUY else -size
    close = data.close[0]
    order.created = created = _new(Created)
    created._asked = (
        size, price, plimit, exectype, valid, tradeid, trailamount, trailpercent, parent, transmit, histnotify,
    )  # fmt: skip
    created.pclose = close
    created.dt = data.datetime[0]
    created.size = signed
    created.price = start = price or plimit or close
    created.pricelimit = plimit or start
    created.trailamount = trailamount
    created.trailpercent = trailpercent
    created._plimit = plimit
    order.executed = executed = _new(_Executed)
    executed.remsize = signed
    if exectype is not None:
        order.exectype = exectype
        order._plimit = plimit
        if exectype in _TRAILING:
            order.trailamount, order.trailpercent = trailamount, trailpercent
            _set_first_trigger(order, created)
    elif plimit is not None:
        order._plimit = plimit
    if valid is not None:
        order.valid = expiry(data, valid)
    if parent is not None:
        order.parent, order._active = parent, False
    if transmit is not True:
        order.transmit = transmit
    return order


def _set_first_trigger(order: Any, created: Any) -> None:
    """What the constructor does for a trailing order: its trigger starts at its distance from the price given."""
    start = created.price
    order._limitoffset = start - created.pricelimit
    created.price = math.inf if order.ordtype == BUY else -math.inf
    order.trailadjust(start)


def session_end(data: Any, moment: float) -> float:
    """The provisional end of session that an order made at `moment` carries, as a day number."""
    day = math.floor(moment)
    plain = data._tz is None and data.p.sessionend == _END_OF_DAY
    if plain and moment - day < _SURELY_BEFORE_THE_END:
        return math.fsum((float(day), *_END_OF_DAY_PARTS))
    now = num2date(moment, tz=data.lines.datetime._tz)
    end = data.p.sessionend
    session = now.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=end.microsecond)
    if session < now:
        session += datetime.timedelta(days=1)
    return data.date2num(session)  # type: ignore[no-any-return]


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


def clone_order(order: Any) -> Any:
    """`order.clone()`."""
    executed = order.executed
    twin = _new(type(order))
    twin.__dict__ = values = order.__dict__.copy()
    values["executed"] = done = _new(type(executed))
    if order.status in _NOT_EXECUTED and type(executed) is _Executed:
        done.remsize, done._first = executed.remsize, executed
        return twin
    executed.p1, executed.p2 = executed.p2, len(executed.exbits)
    done.__dict__ = executed.__dict__.copy()
    return twin
