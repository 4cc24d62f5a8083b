"""Backtrader's broker with a margin account: `brokers.margin` decides, this books what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backtrader as bt

from brokers.booking import book_fill
from brokers.intents import utc
from brokers.margin import Margin, maintenance_requirement, may_open, to_liquidate
from brokers.movements import Movement
from core.types import ExitReason

Held = Mapping[Any, float]
"""Signed units by data."""


class MarginBroker(bt.brokers.BackBroker):
    """`BackBroker` in which `terms` decides what may be opened and held; None leaves it as it is.

    marks: by data, the close that positions were last valued at.
    """

    terms: Margin | None = None

    def init(self) -> None:
        """Reset the bookkeeping; Backtrader calls this on creation and before a run."""
        super().init()
        self.movements: list[Movement] = []
        self._marks: dict[Any, float] = {}
        self._liquidating: dict[Any, bt.Order] = {}

    def check_submitted(self) -> None:
        """The cash check; with a margin, whether equity suffices: what is refused takes no part in the rest."""
        if self.terms is None:
            super().check_submitted()
            return
        cash, held = self.cash, self._held()
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            size, price = order.executed.remsize, order.created.price
            left, after = self._after(cash, held, order, size, price)
            if self._barred(order) or not self._affords(left, held, after, order, price):
                self._refuse(order)
                continue
            cash, held = left, after
            self.submit_accept(order)

    def trade_on_margin(self, order: bt.Order, size: float, price: float, ago: int) -> None:
        """Fill signed `size` of an order; only what closes, and Margin, where the rest is not covered."""
        data, held = order.data, self._held()
        opened = self.positions[data].pseudoupdate(size, price)[2]
        left, after = self._after(self.cash, held, order, size, price)
        refused = bool(opened) and not self._affords(left, held, after, order, price)
        traded = size - opened if refused else size
        if traded:
            scheme = self.getcommissioninfo(data)
            book_fill(
                self,
                order,
                traded,
                price,
                lambda closed, opened: (
                    scheme.getcommission(closed, price) if closed else 0.0,
                    scheme.getcommission(opened, price) if opened else 0.0,
                ),
                data.datetime[ago],
                data.datetime.datetime(),
            )
            self.notify(order)
            self._ococheck(order)
        if refused:
            self._refuse(order)

    def settle_margin(self) -> None:
        """After a step: value what is held at its closes, and close positions where equity does not cover them."""
        for data in self.positions:
            if len(data):
                self._marks[data] = data.close[0]
        self._liquidating = {data: order for data, order in self._liquidating.items() if order.alive()}
        if self.terms is None:
            return
        values = self._values(self._held())
        waiting = {data._name for data in self._liquidating}
        going = sum(value for symbol, value in values.items() if symbol in waiting)
        rest = {symbol: value for symbol, value in values.items() if symbol not in waiting}
        chosen = to_liquidate(self.cash + going, rest, self.terms)
        if chosen:
            lacking = maintenance_requirement(rest.values(), self.terms) - (self.cash + sum(values.values()))
            self._call(chosen, lacking)

    def _call(self, symbols: tuple[str, ...], lacking: float) -> None:
        datas = {data._name: data for data in self.positions}
        times = [utc(bt.num2date(datas[symbol].datetime[0])) for symbol in symbols]
        self.movements.append(Movement("margin_call", symbols[0], max(times), amount=lacking))
        owner = self.cerebro.runningstrats[0]
        for symbol, time in zip(symbols, times, strict=True):
            data = datas[symbol]
            for order in list(self.pending):
                if order.data is data and order.alive():
                    bt.brokers.BackBroker.cancel(self, order)
            size = self.positions[data].size
            self.movements.append(Movement("liquidation", symbol, time, units=-size))
            close = self.sell if size > 0 else self.buy
            self._liquidating[data] = close(owner, data, abs(size), exit_reason=ExitReason.RISK)

    def _held(self) -> dict[Any, float]:
        return {data: position.size for data, position in self.positions.items() if position.size}

    def _after(
        self, cash: float, held: Held, order: bt.Order, size: float, price: float
    ) -> tuple[float, dict[Any, float]]:
        """Cash and positions if so much of an order traded."""
        commission = self.getcommissioninfo(order.data).getcommission(size, price)
        return cash - size * price - commission, {
            **held,
            order.data: held.get(order.data, 0.0) + size,
        }

    def _affords(self, cash: float, before: Held, after: Held, order: bt.Order, price: float) -> bool:
        """Whether equity covers what an order opens; what only makes a position smaller always passes."""
        old, new = before.get(order.data, 0.0), after[order.data]
        if old * new >= 0 and abs(new) <= abs(old):
            return True
        if self.terms is None:
            return True
        return may_open(cash, self._values({**after}, order.data, price).values(), self.terms)

    def _values(self, held: Held, traded: Any = None, price: float = 0.0) -> dict[str, float]:
        """Signed values at the marks; of `traded` at `price`."""
        return {
            data._name: size * (price if data is traded else self._marks.get(data, data.close[0]))
            for data, size in held.items()
            if size
        }

    def _barred(self, order: bt.Order) -> bool:
        """Whether the broker is closing the position that the order is about."""
        closing = self._liquidating.get(order.data)
        return closing is not None and closing is not order and bool(closing.alive())

    def _refuse(self, order: bt.Order) -> None:
        order.margin()
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)
