"""Backtrader's broker with a margin account: `brokers.margin` decides, this books what it says."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from brokers.booking import book_fill
from brokers.intents import utc
from brokers.margin import Books, Call, Margin, affords, margin_call
from brokers.movements import Movement
from core.types import ExitReason


class MarginBroker(bt.brokers.BackBroker):
    """`BackBroker` in which `terms` decides what may be opened and held; None leaves it as it is.

    movements: what happened to the account beside its fills, oldest first.
    """

    terms: Margin | None = None

    def init(self) -> None:
        """Reset the bookkeeping; Backtrader calls this on creation and before a run."""
        super().init()
        self.movements: list[Movement] = []
        self._marks: dict[str, float] = {}
        self._closing: dict[Any, bt.Order] = {}

    def check_submitted(self) -> None:
        """The cash check; with a margin, whether equity suffices: what is refused takes no part in the rest."""
        if self.terms is None:
            super().check_submitted()
            return
        books = self._books()
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            name, size, price = order.data._name, order.executed.remsize, order.created.price
            after = books.after(name, size, price, self._commission(order, size, price))
            if self._barred(order) or not affords(books, after, name, price, self._marks, self.terms):
                self._refuse(order)
                continue
            books = after
            self._marks.setdefault(name, price)
            self.submit_accept(order)

    def trade_on_margin(self, order: bt.Order, size: float, price: float, ago: int) -> None:
        """Fill signed `size` of an order; only what closes, and Margin, where the rest is not covered."""
        data, name, books = order.data, order.data._name, self._books()
        opened = self.positions[data].pseudoupdate(size, price)[2]
        after = books.after(name, size, price, self._commission(order, size, price))
        terms = self.terms
        refused = bool(opened) and not (
            terms is None or affords(books, after, name, price, self._marks, terms)
        )
        traded = size - opened if refused else size
        if traded:
            book_fill(
                self,
                order,
                traded,
                price,
                lambda closed, opened: (
                    self._commission(order, closed, price),
                    self._commission(order, opened, price),
                ),
                data.datetime[ago],
                data.datetime.datetime(),
            )
            self._marks.setdefault(name, price)
            self.notify(order)
            self._ococheck(order)
        if refused:
            self._refuse(order)

    def settle_margin(self) -> None:
        """After a step: value what is held at its closes, and close positions where equity does not cover them."""
        if self.terms is None:
            return
        for data in self.cerebro.datas:
            if len(data):
                self._marks[data._name] = data.close[0]
        self._closing = {data: order for data, order in self._closing.items() if order.alive()}
        closing = {data._name for data in self._closing}
        call = margin_call(self._books(), self._marks, closing, self.terms)
        if call is not None:
            self._answer(call)

    def _answer(self, call: Call) -> None:
        """Cancel what rests in the symbols of a margin call, and order what is held to be closed."""
        datas = {data._name: data for data in self.positions}
        times = [utc(bt.num2date(datas[symbol].datetime[0])) for symbol in call.symbols]
        self.movements.append(Movement("margin_call", call.symbols[0], max(times), amount=call.lacking))
        for symbol, time in zip(call.symbols, times, strict=True):
            data = datas[symbol]
            for order in [order for order in self.pending if order.data is data]:
                bt.brokers.BackBroker.cancel(self, order)
            units = -self.positions[data].size
            self.movements.append(Movement("liquidation", symbol, time, units=units))
            close = self.buy if units > 0 else self.sell
            owner = self.cerebro.runningstrats[0]
            self._closing[data] = close(owner, data, abs(units), exit_reason=ExitReason.RISK)

    def _books(self) -> Books:
        return Books(self.cash, {data._name: p.size for data, p in self.positions.items() if p.size})

    def _commission(self, order: bt.Order, size: float, price: float) -> float:
        return float(self.getcommissioninfo(order.data).getcommission(size, price)) if size else 0.0

    def _barred(self, order: bt.Order) -> bool:
        """Whether the broker is closing the position that the order is about."""
        closing = self._closing.get(order.data)
        return closing is not None and closing is not order and bool(closing.alive())

    def _refuse(self, order: bt.Order) -> None:
        order.margin()
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)
