"""Backtrader's own broker for a lean run: orders are taken, matched and booked without calls that have no effect.

Its code decides what is left to it: brackets, groups, stops and limits, fillers, slippage. Left out is matching an
order the bar does not touch, and copies of orders that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backtrader.order import BuyOrder, Order, SellOrder
from backtrader.position import Position

from engine.lean_account import LeanAccount
from engine.lean_costs import close_cash, commission_of, open_cash
from engine.lean_orders import clone_order, execute_order, first_to_happen, make_order, split

MARKET = Order.Market
SUBMITTED, ACCEPTED, COMPLETED = Order.Submitted, Order.Accepted, Order.Completed


def _taking(kind: type[Order]) -> Callable[..., Order]:
    """`BackBroker.buy` or `sell`."""

    def take(
        self: LeanBroker,
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
        **kwargs: Any,
    ) -> Order:
        order = make_order(
            kind, owner, data, size, price, plimit, exectype, valid, tradeid, trailamount, trailpercent,
            parent, transmit, histnotify,
        )  # fmt: skip
        return self._take_in(order, oco, _checksubmit, kwargs)

    return take


class LeanBroker(LeanAccount):
    """What a `BackBroker` becomes while the lean engine runs."""

    buy, sell = _taking(BuyOrder), _taking(SellOrder)

    def _take_in(self, order: Order, oco: Order | None, check: bool, info: dict[str, Any]) -> Order:
        """Let an order wait for the next bar, alone or in its group."""
        if info:
            order.addinfo(**info)
        ref = order.ref
        if oco is None:
            self._ocos[ref] = ref
            self._ocol[ref] = [ref]
        else:
            self._ocoize(order, oco)
        if order.parent is not None or not order.transmit:
            return self.submit(order, check=check)
        self._pchildren[ref].append(order)
        if not check or not self.p.checksubmit:
            return self.transmit(order, check=False)
        order.status = SUBMITTED
        order.plen = len(order.data)
        self.submitted.append(order)
        self.orders.append(order)
        self.notifs.append((clone_order(order) if SUBMITTED in self.copied else order, SUBMITTED, None))
        return order

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
        submitted, copied, schemes = self.submitted, ACCEPTED in self.copied, self.comminfo
        coo, shortcash = self.p.coo, self.p.shortcash
        accept, queue = self.pending.append, self.notifs.append
        while submitted:
            order = submitted.popleft()
            if order.parent is not None and self._take_children(order) is None:
                continue
            data = order.data
            before = positions.get(data)
            if before is None:
                held = self.positions[data].__dict__
                before = held["size"], held["price"]
            price = order.created.price
            if coo and order.exectype == MARKET:
                price = data.open[0]
            name = data._name
            scheme = schemes[name if name in schemes else None]
            size, after, opened, closed = split(before[0], before[1], order.executed.remsize, price)
            positions[data] = size, after
            simple = scheme in self.simple
            if closed:
                cash = close_cash(scheme, simple, shortcash, cash, closed, price, 0, price)[0]
            if opened:
                cash = open_cash(scheme, simple, shortcash, cash, opened, price)[0]
            if cash >= 0.0:
                order.pannotated = order.broker = None
                order.plen = len(data)
                order.status = ACCEPTED
                accept(order)
                queue((clone_order(order) if copied else order, ACCEPTED, None))
                continue
            self._refuse(order)

    def _refuse(self, order: Order) -> None:
        """There is not the cash for it."""
        order.margin()
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

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
        simple = scheme in self.simple
        moment = dtcoc or data.datetime[ago]
        if self.plain and simple and self.p.shortcash:
            self._fill_plainly(order, scheme, price, moment)
        else:
            self._fill(order, scheme, simple, price, moment)
        return None

    def _fill(self, order: Order, scheme: Any, simple: bool, price: float, moment: float) -> None:
        """Fill all of an order, or only the part that closes, where the rest cannot be paid."""
        data, plain, shortcash = order.data, self.plain, self.p.shortcash
        held = self.positions[data]
        marks, entry = held.__dict__, held.price
        psize, pprice, opened, closed = split(held.size, entry, order.executed.remsize, price)
        if simple:
            pnl = -closed * (price - entry) * scheme.p.mult
        else:
            pnl = scheme.profitandloss(-closed, entry, price)
        money = self.cash
        closedvalue = closedcomm = openedvalue = openedcomm = 0.0
        if closed:
            money, closedvalue, closedcomm = close_cash(
                scheme, simple, shortcash, money, closed, entry, pnl, price
            )
            if not plain:
                money += scheme.cashadjust(-closed, marks["adjbase"], price)
            self.cash = money
        wanted = opened
        if opened:
            money, openedvalue, openedcomm = open_cash(scheme, simple, shortcash, money, opened, price)
            if money < 0.0:
                opened, openedvalue, openedcomm = 0, 0.0, 0.0
            else:
                if not plain and abs(psize) > abs(opened):
                    money += scheme.cashadjust(psize - opened, marks["adjbase"], price)
                marks["adjbase"] = price
                self._opened.add(data)
                self.cash = money
        done = closed + opened
        if closed and not opened and plain and data not in self._opened:
            marks["adjbase"] = self._close_before(data)
        if done:
            if not simple:
                scheme.confirmexec(done, price)
            held.book(done, price, data)
            if closed and self.p.int2pnl:
                closedcomm += self.d_credit.pop(data, 0.0)
            self._enter(
                order, scheme, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue,
                openedcomm, scheme.p.margin if simple else scheme.margin, pnl, psize, pprice,
            )  # fmt: skip
        if wanted and not opened:
            self._refuse(order)

    def _fill_plainly(self, order: Order, scheme: Any, price: float, moment: float) -> None:
        """`_fill` where schemes are plain and simple and a short position's value is negative: most runs."""
        data = order.data
        marks = self.positions[data].__dict__
        size, entry = marks["size"], marks["price"]
        psize, pprice, opened, closed = split(size, entry, order.executed.remsize, price)
        terms = scheme.p
        pnl = -closed * (price - entry) * terms.mult
        money = self.__dict__["cash"]
        closedvalue = closedcomm = openedvalue = openedcomm = 0.0
        if closed:
            closedvalue = back = -closed * entry
            if back > 0:
                back /= terms.leverage
            closedcomm = commission_of(scheme, closed, price)
            money = money + (back + pnl) - closedcomm
        short = False
        if opened:
            openedvalue = paid = opened * price
            if paid > 0:
                paid /= terms.leverage
            openedcomm = commission_of(scheme, opened, price)
            left = money - paid - openedcomm
            short = left < 0.0
            if short:
                opened, openedvalue, openedcomm = 0, 0.0, 0.0
            else:
                marks["adjbase"] = price
                self._opened.add(data)
                money = left
        if closed and not opened and data not in self._opened:
            marks["adjbase"] = self._close_before(data)
        done = closed + opened
        if done:
            self.cash = money
            marks["price_orig"] = entry
            marks["size"], marks["price"], marks["upopened"], marks["upclosed"] = (
                split(size, entry, done, price) if short else (psize, pprice, opened, closed)
            )
            marks["datetime"] = data.datetime, data.datetime[0]
            self._enter(
                order, scheme, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue,
                openedcomm, terms.margin, pnl, psize, pprice,
            )  # fmt: skip
        if short:
            self._refuse(order)

    def _enter(self, order: Order, scheme: Any, *execution: Any) -> None:
        """Add an execution to an order, and tell of it."""
        execute_order(order, *execution)
        order.comminfo = scheme
        self.notify(order)
        self._ococheck(order)

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

    def _bracketize(self, order: Order, cancel: bool = False) -> None:
        """`BackBroker._bracketize`; an order that is no child and done wakes its children."""
        if cancel or order.parent is not None:
            super()._bracketize(order, cancel)
            return
        family = self._pchildren[order.ref]
        family.popleft()
        if family:
            self._toactivate.extend(family)

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
