"""Executions in a lean run: what an order does to cash, positions and its own group, by shorter ways."""

from __future__ import annotations

from typing import Any

from backtrader.order import Order
from backtrader.position import Position

from engine.lean_account import LeanAccount
from engine.lean_costs import close_cash, commission_of, open_cash
from engine.lean_groups import DONE
from engine.lean_making import clone_order
from engine.lean_orders import execute_order, split


class LeanFills(LeanAccount):
    """The part of a lean broker that fills orders, and tells of what became of them."""

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
        data = order.data
        if ago is None:
            return super()._execute(order, ago, price, cash, position, dtcoc)
        if self.p.filler is not None:
            super()._execute(order, ago, price, cash, position, dtcoc)
            self._note_position(data, self.positions[data])
            return None
        if price is None:
            return None
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
            self._note_position(data, held)
            if closed and self.p.int2pnl:
                closedcomm += self.d_credit.pop(data, 0.0)
            bit = execute_order(
                order, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue,
                openedcomm, scheme.p.margin if simple else scheme.margin, pnl, psize, pprice,
            )  # fmt: skip
            self._enter(order, scheme, bit)
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
            self.__dict__["cash"] = money
            marks["price_orig"] = entry
            now = split(size, entry, done, price) if short else (psize, pprice, opened, closed)
            marks["size"], marks["price"], marks["upopened"], marks["upclosed"] = now
            marks["datetime"] = data.datetime, data.datetime[0]
            self.changes.append((self._step[0], money, data, now[0], now[1]))
            bit = execute_order(
                order, moment, done, price, closed, closedvalue, closedcomm, opened, openedvalue,
                openedcomm, terms.margin, pnl, psize, pprice,
            )  # fmt: skip
            self._enter(order, scheme, bit)
        if short:
            self._refuse(order)

    def _enter(self, order: Order, scheme: Any, bit: Any) -> None:
        """Tell of an execution that was added to an order."""
        order.comminfo = scheme
        status, told = order.status, order
        if status in self.copied:
            told = clone_order(order)
        else:
            done = order.executed
            done.p1, done.p2 = done.p2, len(done.exbits)
        self.notifs.append((told, status, bit))
        if self._ocol:
            self._ococheck(order)

    def _close_before(self, data: Any) -> float:
        """The close of a data that the broker saw last."""
        _, _, _, closes, times, (at,) = self.bars[data]
        if len(self.bars) == 1:
            return closes[at - 1]
        now = max(times[at] for *_, times, (at,) in self.bars.values() if at >= 0)
        return closes[at - 1] if times[at] == now else closes[at]

    def _join(self, order: Order, oco: Order) -> None:
        """`BackBroker._ocoize`. An order that nobody has joined yet is in no group."""
        if oco.ref not in self._ocos:
            self._ocoize(oco, None)
        self._ocoize(order, oco)

    def _ococheck(self, order: Order) -> None:
        """`BackBroker._ococheck`; an order alone cancels nothing."""
        ref = order.ref
        group = self._ocol.pop(self._ocos.get(ref, ref), ())
        for place in reversed(range(len(self.pending))) if group else ():
            other = self.pending[place]
            if other is not None and other.ref in group:
                del self.pending[place]
                other.cancel()
                self.notify(other)

    def _bracketize(self, order: Order, cancel: bool = False) -> None:
        """`BackBroker._bracketize`; an order that is no child and done wakes its children."""
        ref, families = order.ref, self._pchildren
        alone = families.get(ref) is order
        if alone and cancel:
            del families[ref]
            return
        if alone:
            families[ref] = DONE
            return
        if cancel or order.parent is not None:
            super()._bracketize(order, cancel)
            return
        family = families[ref]
        family.popleft()
        if family:
            self._toactivate.extend(family)
