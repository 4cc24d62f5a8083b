"""Backtrader's own broker with what it recomputes on every bar put off until somebody asks.

Orders are checked, matched and booked by Backtrader's code. Left out are calls without an effect: matching an
order the bar does not touch, interest on schemes that charge none, and the account's value while nobody reads it.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import backtrader as bt
from backtrader.brokers import BackBroker
from backtrader.order import BuyOrder, Order, OrderExecutionBit, SellOrder
from backtrader.position import Position

from engine.lean_lines import Cursor
from engine.lean_orders import Bars, clone_order, execute_order, first_to_happen, make_order, split
from engine.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.lean_recording import Change

PLAIN_METHODS = (
    "getvalue",
    "getvaluesize",
    "profitandloss",
    "get_leverage",
    "get_margin",
    "cashadjust",
    "get_credit_interest",
    "_get_credit_interest",
)


def is_plain(scheme: bt.CommInfoBase) -> bool:
    """Whether a commission scheme costs nothing while a position is held: no futures, no interest, stock rules."""
    own = any(getattr(type(scheme), name) is not getattr(bt.CommInfoBase, name) for name in PLAIN_METHODS)
    return not own and scheme._stocklike and not scheme._creditrate


PERCENT = bt.CommInfoBase.COMM_PERC
MARKET = Order.Market
SUBMITTED, ACCEPTED, COMPLETED = Order.Submitted, Order.Accepted, Order.Completed
SIMPLE_METHODS = (
    *PLAIN_METHODS,
    "getoperationcost",
    "getcommission",
    "_getcommission",
    "confirmexec",
    "stocklike",
    "__getattribute__",
)


def is_simple(scheme: bt.CommInfoBase) -> bool:
    """Whether what a scheme charges and pays follows from its parameters, by the rules for stocks."""
    kind = type(scheme)
    own = any(getattr(kind, name) is not getattr(bt.CommInfoBase, name) for name in SIMPLE_METHODS)
    return not own and scheme._stocklike and not any(name in vars(scheme) for name in SIMPLE_METHODS)


Notice = tuple[Order, int, "OrderExecutionBit | None"]
"""What is told: the order, the status it took, the execution if there was one."""


class LeanPosition(Position):
    """A position whose daily marks are made when read."""

    _broker: LeanBroker | None = None
    size: float
    price: float

    @property
    def adjbase(self) -> Any:
        """Price of the last cash adjustment, which is the close of every bar the position is held."""
        self._settle()
        return self.__dict__["adjbase"]

    @adjbase.setter
    def adjbase(self, price: Any) -> None:
        self.__dict__["adjbase"] = price

    @property
    def datetime(self) -> Any:
        """When interest was last looked at, which is every bar the position is held."""
        self._settle()
        if "datetime" not in self.__dict__:
            raise AttributeError("datetime")  # as on a position that never changed
        moment = self.__dict__["datetime"]
        if isinstance(moment, tuple):  # the line and the day number in place of what it converts to
            line, number = moment
            moment = self.datetime = bt.num2date(number, tz=line._tz)
        return moment

    @datetime.setter
    def datetime(self, moment: Any) -> None:
        self.__dict__["datetime"] = moment

    def book(self, size: float, price: float, data: Any) -> None:
        """`update` with an execution on the current bar of `data`. size: signed, not zero."""
        values = self.__dict__
        values["price_orig"] = held = values["price"]
        values["size"], values["price"], values["upopened"], values["upclosed"] = split(
            values["size"], held, size, price
        )
        values["datetime"] = data.datetime, data.datetime[0]

    def _settle(self) -> None:
        if self._broker is not None:
            self._broker._settle()


class LeanPositions(collections.defaultdict[Any, Position]):
    """The broker's positions by data."""

    def __init__(self, broker: LeanBroker, positions: Iterable[tuple[Any, Position]]) -> None:
        super().__init__(Position)
        self.broker = broker
        for data, position in positions:
            self[data] = position
            self._adopt(position)

    def __missing__(self, data: Any) -> Position:
        self[data] = position = Position()
        return self._adopt(position)

    def _adopt(self, position: Position) -> Position:
        position.__class__ = LeanPosition
        position._broker = self.broker
        return position


def _put_off(name: str) -> property:
    """An account figure that is computed when it is read for the first time on a bar."""

    def read(self: LeanBroker) -> Any:
        if self._settled != self._step[0]:
            self._settle()
        return self.__dict__[name]

    def write(self: LeanBroker, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


class LeanBroker(BackBroker):
    """What a `BackBroker` becomes while the lean engine runs.

    `_step`: cursor of the bars. `_settled`: the bar the account's figures are of. `changes`: cash and open
    positions from a bar on, whenever they changed: (bar, cash, ((data, size, price), ...)). `touched` is not empty when
    cash was set since the last of them. `_opened`: datas in which something was opened on this bar.
    """

    bars: Mapping[Any, Bars]
    copied: frozenset[int]
    plain: bool
    simple: set[bt.CommInfoBase]
    positions: dict[Any, Position]
    _step: Cursor
    _settled: int
    changes: list[Change]
    touched: list[None]
    _opened: set[Any]

    @classmethod
    def adopt(
        cls,
        broker: BackBroker,
        step: Cursor,
        bars: Mapping[Any, Bars],
        *,
        copied: frozenset[int],
        plain: bool,
    ) -> LeanBroker:
        """Turn a started stock broker into this one, in place.

        bars: per data its arrays and its cursor. copied: statuses of which somebody looks at the
        order in `notifs`.
        plain: whether all schemes are, so that the account's value can wait; else `next` is due on every bar.
        """
        broker._step, broker._settled, broker.changes, broker.touched = step, step[0], [], []
        broker.bars, broker.copied, broker.plain = bars, copied, plain
        broker._opened = set()
        broker.simple = {scheme for scheme in broker.comminfo.values() if is_simple(scheme)}
        broker.__class__ = cls
        lean: LeanBroker = broker
        lean.positions = LeanPositions(lean, list(lean.positions.items()))
        lean.changes.append((0, lean.cash, ()))
        return lean

    def release(self) -> None:
        """Turn it back, with every figure settled."""
        self._settle()
        notices = self.take_notices()
        positions: dict[Any, Position] = collections.defaultdict(Position)
        for data, position in self.positions.items():
            marks = position.__dict__
            if "datetime" in marks:
                marks["datetime"] = position.datetime
            marks.pop("_broker")
            position.__class__ = Position
            positions[data] = position
        self.__class__ = BackBroker
        self.positions = positions
        self.notifs.extend([notice[0].clone() for notice in notices])
        del (
            self._step,
            self._settled,
            self.touched,
            self.changes,
            self.bars,
            self.copied,
            self.plain,
            self.simple,
            self._opened,
        )

    def take_notices(self) -> list[Notice]:
        """What is to be told, oldest first; none of it is left."""
        notices = list(self.notifs)
        self.notifs.clear()
        return notices

    @property
    def cash(self) -> float:
        """Cash, as everywhere in Backtrader."""
        return self.__dict__["cash"]  # type: ignore[no-any-return]

    @cash.setter
    def cash(self, cash: float) -> None:
        if self._settled != self._step[0] and not self._matching:
            self._settle()  # the account's value on this bar is that of before
        self.__dict__["cash"] = cash
        self.touched.append(None)

    _value = _put_off("_value")
    _valuemkt = _put_off("_valuemkt")
    _valuelever = _put_off("_valuelever")
    _valuemktlever = _put_off("_valuemktlever")
    _leverage = _put_off("_leverage")
    _unrealized = _put_off("_unrealized")
    _fundval = _put_off("_fundval")
    _matching = False

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        """Refused: the account's curve is computed with the schemes of the start."""
        raise Refused("changes the commission while it runs")

    addcommissioninfo = setcommission

    def add_cash(self, cash: float) -> None:
        """Add cash at the end of the next bar."""
        self._settle()
        super().add_cash(cash)

    def _settle(self) -> None:
        """Bring the account's figures to the current bar."""
        if self._settled == self._step[0] or self._matching:
            return
        self._settled = self._step[0]
        for data, position in self.positions.items() if self.plain else ():
            marks = position.__dict__
            if marks["size"]:
                marks["datetime"] = data.datetime, data.datetime[0]
                marks["adjbase"] = data.close[0]
        if self._cash_addition or self._fundhist or not self.simple.issuperset(self.comminfo.values()):
            super()._get_value()
        else:
            self._value_simply()

    def _value_simply(self) -> None:
        """`BackBroker._get_value` of everything, where all schemes are simple."""
        marked = paid = unrealized = 0.0
        shortcash = self.p.shortcash
        for data, position in self.positions.items():
            size, price, close = position.size, position.price, data.close[0]
            terms = self.getcommissioninfo(data).p
            gain = size * (close - price) * terms.mult
            if shortcash or size >= 0:
                value = size * close
            else:
                value = price * size
                value += (price - close) * size
            if not shortcash:
                value = abs(value)
            marked += value
            unrealized += gain
            if value > 0:
                paid += (value - gain) / terms.leverage
                paid += gain
            else:
                paid += value
        values = self.__dict__
        values["_value"] = total = self.cash + paid
        values["_fundval"] = total / self._fundshares
        values["_valuemkt"] = paid
        values["_valuelever"] = self.cash + marked
        values["_valuemktlever"] = marked
        values["_leverage"] = marked / (paid or 1.0)
        values["_unrealized"] = unrealized

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        self._settle()
        return super()._get_value(datas, lever)  # type: ignore[no-any-return]

    def note(self) -> None:
        """Write down cash and open positions, when an execution changed them."""
        if self.touched:
            self.touched.clear()
            held = tuple([(data, p.size, p.price) for data, p in self.positions.items() if p.size])
            self.changes.append((self._step[0], self.cash, held))

    def buy(
        self,
        owner: Any,
        data: Any,
        size: float,
        price: float | None = None,
        plimit: float | None = None,
        exectype: int | None = None,
        valid: Any = None,
        tradeid: int = 0,
        oco: Order | None = None,
        trailamount: float | None = None,
        trailpercent: float | None = None,
        parent: Order | None = None,
        transmit: bool = True,
        histnotify: bool = False,
        _checksubmit: bool = True,
        *,
        _kind: type[Order] = BuyOrder,
        **kwargs: Any,
    ) -> Order:
        """`BackBroker.buy`."""
        order = make_order(
            _kind,
            owner,
            data,
            size,
            price,
            plimit,
            exectype,
            valid,
            tradeid,
            trailamount,
            trailpercent,
            parent,
            transmit,
            histnotify,
        )
        if kwargs:
            order.addinfo(**kwargs)
        ref = order.ref
        if oco is None:
            self._ocos[ref] = ref
            self._ocol[ref] = [ref]
        else:
            self._ocoize(order, oco)
        if parent is not None or not transmit:
            return self.submit(order, check=_checksubmit)
        self._pchildren[ref].append(order)
        if not _checksubmit or not self.p.checksubmit:
            return self.transmit(order, check=False)
        order.status = SUBMITTED
        order.plen = len(data)
        self.submitted.append(order)
        self.orders.append(order)
        self.notifs.append((clone_order(order) if SUBMITTED in self.copied else order, SUBMITTED, None))
        return order

    def sell(self, *args: Any, **kwargs: Any) -> Order:
        """`BackBroker.sell`."""
        return self.buy(*args, _kind=SellOrder, **kwargs)

    def notify(self, order: Order) -> None:
        """Queue what the strategy is told: a copy of the order, or where nobody looks at it, what changed."""
        done = order.executed
        seen, now = done.p2, len(done.exbits)
        bit = done.exbits[-1] if now > seen else None
        status = order.status
        if status in self.copied:
            order = clone_order(order)
        else:
            done.p1, done.p2 = seen, now
        self.notifs.append((order, status, bit))

    def check_submitted(self) -> None:
        """`BackBroker.check_submitted`."""
        cash = self.cash
        positions: dict[Any, tuple[float, float]] = {}
        submitted, copies, coo = self.submitted, ACCEPTED in self.copied, self.p.coo
        accept, queue, schemes = self.pending.append, self.notifs.append, self.comminfo
        while submitted:
            order = submitted.popleft()
            if order.parent is not None and self._take_children(order) is None:
                continue
            data = order.data
            before = positions.get(data)
            if before is None:
                held = self.positions[data]
                before = held.size, held.price
            price = order.created.price
            if coo and order.exectype == Order.Market:
                price = data.open[0]
            name = data._name
            scheme = schemes[name if name in schemes else None]
            size, after, opened, closed = split(before[0], before[1], order.executed.remsize, price)
            positions[data] = size, after
            if closed:
                cash = self._close_cash(scheme, cash, closed, price, 0, price)[0]
            if opened:
                cash = self._open_cash(scheme, cash, opened, price)[0]
            if cash >= 0.0:
                order.pannotated = order.broker = None
                order.plen = len(data)
                order.status = ACCEPTED
                accept(order)
                queue((clone_order(order) if copies else order, ACCEPTED, None))
                continue
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)

    def _close_cash(
        self, scheme: Any, cash: float, closed: float, entry: float, pnl: float, price: float
    ) -> tuple[float, float, float]:
        """Cash after closing that many, the value given back, the commission."""
        if scheme in self.simple:
            terms = scheme.p
            value = back = -closed * entry if self.p.shortcash else abs(closed) * entry
            if value > 0:
                back /= terms.leverage
            commission = abs(closed) * terms.commission
            if scheme._commtype == PERCENT:
                commission *= price
            return cash + (back + pnl) - commission, value, commission
        if self.p.shortcash:
            value = scheme.getvaluesize(-closed, entry)
        else:
            value = scheme.getoperationcost(closed, entry)
        back = value
        if value > 0:
            back /= scheme.get_leverage()
        cash += back + pnl * scheme.stocklike
        commission = scheme.getcommission(closed, price)
        return cash - commission, value, commission

    def _open_cash(self, scheme: Any, cash: float, opened: float, price: float) -> tuple[float, float, float]:
        """Cash after opening that many, the value paid, the commission."""
        if scheme in self.simple:
            terms = scheme.p
            value = paid = opened * price if self.p.shortcash else abs(opened) * price
            if value > 0:
                paid /= terms.leverage
            commission = abs(opened) * terms.commission
            if scheme._commtype == PERCENT:
                commission *= price
            return cash - paid - commission, value, commission
        if self.p.shortcash:
            value = scheme.getvaluesize(opened, price)
        else:
            value = scheme.getoperationcost(opened, price)
        paid = value
        if value > 0:
            paid /= scheme.get_leverage()
        cash -= paid
        commission = scheme.getcommission(opened, price)
        return cash - commission, value, commission

    def _execute(
        self,
        order: Order,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Position | None = None,
        dtcoc: float | None = None,
    ) -> Any:
        """`BackBroker._execute`."""
        if ago is None or self.p.filler is not None:
            return super()._execute(order, ago, price, cash, position, dtcoc)
        if price is None:
            return None
        data = order.data
        scheme = self.getcommissioninfo(data)
        if self.plain and scheme in self.simple and self.p.shortcash:
            self._fill(order, data, scheme, price, dtcoc or data.datetime[ago])
            return None
        size = order.executed.remsize
        held = self.positions[data]
        entry = held.price
        psize, pprice, opened, closed = split(held.size, entry, size, price)
        simple = scheme in self.simple
        if simple:
            pnl = -closed * (price - entry) * scheme.p.mult
        else:
            pnl = scheme.profitandloss(-closed, entry, price)
        money = self.cash
        closedvalue = closedcomm = openedvalue = openedcomm = 0.0
        if closed:
            money, closedvalue, closedcomm = self._close_cash(scheme, money, closed, entry, pnl, price)
            if not self.plain:
                money += scheme.cashadjust(-closed, held.adjbase, price)
            self.cash = money
        wanted = opened
        if opened:
            money, openedvalue, openedcomm = self._open_cash(scheme, money, opened, price)
            if money < 0.0:
                opened = 0
                openedvalue = openedcomm = 0.0
            else:
                if not self.plain and abs(psize) > abs(opened):
                    money += scheme.cashadjust(psize - opened, held.adjbase, price)
                held.__dict__["adjbase"] = price
                self._opened.add(data)
                self.cash = money
        done = closed + opened
        if closed and not opened and self.plain and data not in self._opened:
            held.__dict__["adjbase"] = self._close_before(data)
        if done:
            if not simple:
                scheme.confirmexec(done, price)
            held.book(done, price, data)
            if not self.plain:
                held.datetime = data.datetime.datetime()
            if closed and self.p.int2pnl:
                closedcomm += self.d_credit.pop(data, 0.0)
            moment = dtcoc or data.datetime[ago]
            margin = scheme.p.margin if simple else scheme.margin
            execute_order(
                order, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue, openedcomm,
                margin, pnl, psize, pprice,
            )  # fmt: skip
            order.comminfo = scheme
            self.notify(order)
            self._ococheck(order)
        if wanted and not opened:
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)
        return None

    def _fill(self, order: Order, data: Any, scheme: Any, price: float, moment: float) -> None:
        """`_execute` where schemes are plain and simple, and a short position's value is negative."""
        held = self.positions[data]
        values = held.__dict__
        size, entry, wanted = values["size"], values["price"], order.executed.remsize
        psize, pprice, opened, closed = split(size, entry, wanted, price)
        terms = scheme.p
        leverage, rate = terms.leverage, terms.commission
        percent = scheme._commtype == PERCENT
        pnl = -closed * (price - entry) * terms.mult
        money = self.__dict__["cash"]
        closedvalue = closedcomm = openedvalue = openedcomm = 0.0
        if closed:
            closedvalue = back = -closed * entry
            if back > 0:
                back /= leverage
            closedcomm = abs(closed) * rate
            if percent:
                closedcomm *= price
            money = money + (back + pnl) - closedcomm
        short = False
        if opened:
            openedvalue = paid = opened * price
            if paid > 0:
                paid /= leverage
            openedcomm = abs(opened) * rate
            if percent:
                openedcomm *= price
            left = money - paid - openedcomm
            short = left < 0.0
            if short:
                opened = 0
                openedvalue = openedcomm = 0.0
            else:
                values["adjbase"] = price
                self._opened.add(data)
                money = left
        if closed and not opened and data not in self._opened:
            values["adjbase"] = self._close_before(data)
        done = closed + opened
        if done:
            self.cash = money
            values["price_orig"] = entry
            values["size"], values["price"], values["upopened"], values["upclosed"] = (
                split(size, entry, done, price) if short else (psize, pprice, opened, closed)
            )
            values["datetime"] = data.datetime, data.datetime[0]
            execute_order(
                order, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue, openedcomm,
                terms.margin, pnl, psize, pprice,
            )  # fmt: skip
            order.comminfo = scheme
            self.notify(order)
            self._ococheck(order)
        if short:
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)

    def _close_before(self, data: Any) -> float:
        """The close of a data that the broker saw last."""
        _, _, _, closes, times, (at,) = self.bars[data]
        if len(self.bars) == 1:
            return closes[at - 1]
        now = max(times[at] for *_, times, (at,) in self.bars.values() if at >= 0)
        return closes[at - 1] if times[at] == now else closes[at]

    def _ococheck(self, order: Order) -> None:
        """`BackBroker._ococheck`; an order alone in its group cancels nothing."""
        leader = self._ocos.get(self._ocos[order.ref])
        group = self._ocol.get(leader)
        if group is not None and len(group) == 1 and group[0] == order.ref:
            del self._ocol[leader]
        elif group is not None:
            super()._ococheck(order)

    def next(self) -> None:
        """`BackBroker.next`, for plain schemes without its last step, the account's value."""
        self._matching = True
        self._settled = -1
        self._opened.clear()
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted and self.p.checksubmit:
            self.check_submitted()
        if not self.plain:
            self._charge_interest()
        if self.pending:
            self._match_pending()
        if not self.plain:
            self._adjust_to_close()
        self._matching = False
        if self._cash_addition or not self.plain:
            self._settle()

    def _charge_interest(self) -> None:
        """Take what holding the positions costs."""
        credit = 0.0
        for data, position in self.positions.items():
            if position.size:
                now = data.datetime.datetime()
                due = self.getcommissioninfo(data).get_credit_interest(data, position, now)
                self.d_credit[data] += due
                credit += due
                position.datetime = now
        self.cash -= credit

    def _adjust_to_close(self) -> None:
        """Book what futures gained or lost since their last adjustment."""
        for data, position in self.positions.items():
            if position.size:
                close = data.close[0]
                scheme = self.getcommissioninfo(data)
                self.cash += scheme.cashadjust(position.size, position.adjbase, close)
                position.adjbase = close

    def _match_pending(self) -> None:
        """One pass over the pending orders, first come first served."""
        pending, bars, terms = self.pending, self.bars, self.p
        at_once = terms.coc or terms.coo
        at_open = not (terms.coc or terms.slip_perc or terms.slip_fixed)
        first = first_to_happen(pending, bars, at_once)
        if first < 0:
            return
        pending.append(None)
        pending.rotate(-first)
        while (order := pending.popleft()) is not None:
            kind = order.exectype
            opens, highs, lows, closes, times, cursor = bars[order.data]
            at = cursor[0]
            if kind != MARKET and order.valid and times[at] > order.valid:
                order.expire()
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
                continue
            if not order._active:
                pending.append(order)
                continue
            if kind == MARKET:
                if at_once or times[at] > order.created.dt:
                    if at_open:
                        self._execute(order, 0, opens[at])
                    else:
                        self._try_exec_market(order, opens[at], highs[at], lows[at])
            elif kind == Order.Close:
                self._try_exec_close(order, closes[at])
            elif kind == Order.Historical:
                self._try_exec_historical(order)
            else:
                self._try_exec_priced(order, opens[at], highs[at], lows[at], closes[at])
            if order.status <= Order.Partial:
                pending.append(order)
            elif order.status == COMPLETED:
                if order.parent is None:  # `_bracketize` of an order that is no child
                    family = self._pchildren[order.ref]
                    family.popleft()
                    self._toactivate.extend(family)
                else:
                    self._bracketize(order)

    def _try_exec_priced(self, order: Order, opening: float, high: float, low: float, close: float) -> None:
        kind, created = order.exectype, order.created
        if kind == Order.Limit:
            self._try_exec_limit(order, opening, high, low, created.price)
        elif order.triggered and kind in (Order.StopLimit, Order.StopTrailLimit):
            self._try_exec_limit(order, opening, high, low, created.pricelimit)
        elif kind in (Order.Stop, Order.StopTrail):
            self._try_exec_stop(order, opening, high, low, created.price, close)
        else:
            self._try_exec_stoplimit(order, opening, high, low, close, created.price, created.pricelimit)
