"""Backtrader's own broker for a lean run: orders are taken, matched and booked without calls that have no effect.

Its code decides what is left to it: brackets, groups, stops and limits, fillers, slippage. Left out is matching an
order the bar does not touch, and copies of orders that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backtrader.order import BuyOrder, Order, SellOrder

from engine.lean_costs import cash_after, close_cash, open_cash
from engine.lean_fills import LeanFills
from engine.lean_making import clone_order, complete, make_order
from engine.lean_orders import first_to_happen, split

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
        if self.complete:
            complete(order)
        return self._take_in(order, oco, _checksubmit, kwargs)

    return take


class LeanBroker(LeanFills):
    """What a `BackBroker` becomes while the lean engine runs."""

    buy, sell = _taking(BuyOrder), _taking(SellOrder)

    def _take_in(self, order: Order, oco: Order | None, check: bool, info: dict[str, Any]) -> Order:
        """Let an order wait for the next bar, alone or in its group."""
        if info:
            order.addinfo(**info)
        if oco is not None:
            self._join(order, oco)
        if order.parent is not None or not order.transmit:
            return self.submit(order, check=check)
        self._pchildren[order.ref] = order
        if not check or not self.p.checksubmit:
            return self.transmit(order, check=False)
        order.status = SUBMITTED
        order.plen = self.bars[order.data][5][0] + 1
        self.submitted.append(order)
        self.orders.append(order)
        self.notifs.append((clone_order(order) if SUBMITTED in self.copied else order, SUBMITTED, None))
        return order

    def check_submitted(self) -> None:
        """`BackBroker.check_submitted`."""
        cash = self.__dict__["cash"]
        positions: dict[Any, tuple[float, float]] = {}
        submitted, schemes, simple = self.submitted, self.comminfo, self.simple
        copied = ACCEPTED in self.copied
        heard = copied or SUBMITTED in self.copied  # else what was told when it was submitted says enough
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
            if shortcash and scheme in simple:
                cash = cash_after(scheme, cash, closed, opened, price)
            else:
                if closed:
                    cash = close_cash(scheme, scheme in simple, shortcash, cash, closed, price, 0, price)[0]
                if opened:
                    cash = open_cash(scheme, scheme in simple, shortcash, cash, opened, price)[0]
            if cash >= 0.0:
                order.pannotated = None
                order.plen = self.bars[data][5][0] + 1
                order.status = ACCEPTED
                accept(order)
                if heard:
                    queue((clone_order(order) if copied else order, ACCEPTED, None))
                continue
            self._refuse(order)

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """`BackBroker.cancel`, without asking every pending order whether it is equal to this one."""
        pending = self.pending
        ref = order.ref if isinstance(order, Order) else None
        place = next(
            (n for n, waiting in enumerate(pending) if waiting is not None and waiting.ref == ref), -1
        )
        if place < 0:
            return False
        del pending[place]
        order.cancel()
        self.notify(order)
        self._ococheck(order)
        if not bracket:
            self._bracketize(order, cancel=True)
        return True

    def next(self) -> None:
        """`BackBroker.next`, for plain schemes without its last step, the account's value."""
        self._matching = True
        self._settled = -1
        self._opened.clear()
        if self._toactivate:
            if self.levels is not None:
                self.levels.newest = None
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
        pending, bars, terms, schemes = self.pending, self.bars, self.p, self.comminfo
        at_once = terms.coc or terms.coo
        at_open = not (terms.coc or terms.slip_perc or terms.slip_fixed)
        levels = self.levels
        first = 0
        if pending[0].exectype != MARKET:
            first = (first_to_happen if levels is None else levels.first_to_happen)(pending, bars, at_once)
            if first < 0:
                return
        elif levels is not None:
            levels.newest = None
        plainly = at_open and self.plain and terms.shortcash and terms.filler is None
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
                    name = order.data._name
                    scheme = schemes[name if name in schemes else None]
                    if plainly and scheme in self.simple:
                        self._fill_plainly(order, scheme, opens[at], times[at])
                    elif at_open:
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
