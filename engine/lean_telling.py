"""What a strategy is told of orders, trades and the account in a lean run, in the order of `Strategy._notify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import backtrader as bt
from backtrader.order import Order
from backtrader.trade import Trade

from engine.lean_account import Notice
from engine.lean_broker import LeanBroker
from engine.lean_making import SHOWS_ATTRIBUTES, Created
from engine.lean_notices import NONE, STATUSES, ignored_statuses
from engine.lean_orders import copy_trade, update_trade
from engine.lean_strategy import LOOKS_AT_CLASSES, names_around
from engine.lean_waiting import Levels, leaves_orders_alone
from engine.refusal import Refused

if TYPE_CHECKING:
    from engine.lean_lines import Cursor
    from engine.lean_recording import LeanRecorder

HISTORICAL = Order.Historical
SEES_LATER_PARTS = LOOKS_AT_CLASSES | SHOWS_ATTRIBUTES
PRICES = ("open", "high", "low", "close", "datetime")


class LeanTelling:
    """The part of a lean loop between the broker and the strategy's `notify_*` methods.

    ignored: statuses that `notify_order` returns on at once, of which it is not told. at_once: whether to write down
    an order when it is told of, since its author may change its price afterwards.
    """

    cerebro: bt.Cerebro
    strategy: bt.Strategy
    broker: Any
    datas: list[Any]
    at: dict[int, Cursor]
    recorder: LeanRecorder
    names: set[str]
    others: list[Any]

    def _adopt(self, step: Cursor, plain: bool) -> LeanBroker:
        strategy = self.strategy
        self.early = self._early()
        self.wants_orders = self._own("notify_order")
        self.wants_trades = self._own("notify_trade")
        self.wants_cash, self.wants_fund = self._own("notify_cashvalue"), self._own("notify_fund")
        self.wants_account = self.wants_cash or self.wants_fund
        self.signals = isinstance(strategy, bt.SignalStrategy)
        watched = strategy._tradehistoryon or self._watched()
        self.ignored = STATUSES
        if self.wants_orders or watched:
            method = getattr(strategy.notify_order, "__func__", None)
            self.ignored = NONE if watched else ignored_statuses(method)
        bars: Any = {
            data: (*(getattr(data.lines, name).array for name in PRICES), self.at[id(data)])
            for data in self.datas
        }
        kind: Any = type(strategy)
        self.at_once = not leaves_orders_alone(kind)
        return LeanBroker.adopt(
            self.broker,
            step,
            bars,
            copied=STATUSES - self.ignored,
            plain=plain,
            complete=watched or not SEES_LATER_PARTS.isdisjoint(names_around(kind)),
            levels=None if watched or self.at_once else Levels(),
        )

    def _early(self) -> bool:
        """Whether something runs between the datas' move and the broker's, and sees the account of before."""
        return bool(self.cerebro._timerscheat or self.cerebro.p.cheat_on_open)

    def _own(self, name: str) -> bool:
        """Whether the strategy has a method of that name of its own."""
        return getattr(getattr(self.strategy, name), "__func__", None) is not getattr(bt.Strategy, name)

    def _watched(self) -> bool:
        """Whether somebody besides the strategy's own methods is told of orders, trades and the account."""
        return bool(
            self.others
            or self.strategy.getobservers()
            or not self.names.isdisjoint(("_orders", "_orderspending", "_tradespending"))
            or type(self.strategy)._notify not in (bt.Strategy._notify, bt.SignalStrategy._notify)
        )

    def _take(self) -> tuple[list[Notice], list[Trade]]:
        """`Strategy._addnotification` of what the broker has to tell, and the trades that are told of."""
        strategy = self.strategy
        notices = self.broker.take_notices()
        ended: list[Trade] = []
        for order, _, bit in notices:
            if order.owner is not strategy and order.owner is not None:
                raise Refused("an order has another owner than the strategy")
            if bit is not None:
                self._book(order, bit, ended)
        return notices, ended

    def _tell(self, notices: list[Notice], ended: list[Trade], now: float) -> None:
        """`Strategy._notify` without the account."""
        strategy, note = self.strategy, self.recorder.told.append
        sentinel = strategy._sentinel if self.signals else None
        if sentinel is not None and any(
            order.ref == sentinel.ref and status > Order.Partial for order, status, _ in notices
        ):
            strategy._sentinel = None
        ignored, notify = self.ignored, strategy.notify_order
        for order, status, bit in notices:
            if status not in ignored and (order.exectype != HISTORICAL or order.histnotify):
                notify(order)
            created = order.created
            info = created._info if type(created) is Created else order.info
            note((order, status, now, bit, info.get("exit_reason") if info else None))
            if self.at_once:
                self.recorder.write_down()
                note = self.recorder.told.append
        if ended:
            self.recorder.ended += ended
            if self.wants_trades:
                for trade in ended:
                    strategy.notify_trade(trade)

    def _tell_account(self) -> None:
        """The part of `Strategy._notify` that tells of the account."""
        strategy, broker = self.strategy, self.broker
        broker._settle()
        figures = broker.__dict__
        cash, value = figures["cash"], figures["_value"]
        fund_value, fund_shares = figures["_fundval"], figures["_fundshares"]
        if self.wants_cash:
            strategy.notify_cashvalue(cash, value)
        if self.wants_fund:
            strategy.notify_fund(cash, value, fund_value, fund_shares)

    def _book(self, order: Order, bit: Any, told: list[Trade]) -> None:
        """Update the trades with one execution; adds those to be told of, copied where the strategy sees them."""
        strategy, data, wanted = self.strategy, order.data, self.wants_trades
        trades = strategy._trades[data][order.tradeid]
        if not trades:
            trades.append(Trade(data=data, tradeid=order.tradeid, historyon=strategy._tradehistoryon))
        trade = trades[-1]
        if bit.closed:
            if trade.isclosed:  # by another trade id's orders; what was told of it is written down later
                trade = trades[-1] = copy_trade(trade)
            self._update(trade, order, bit, bit.closed, bit.closedvalue, bit.closedcomm)
            if trade.isclosed:
                told.append(copy_trade(trade) if wanted else trade)
        if bit.opened:
            if trade.isclosed:
                trade = Trade(data=data, tradeid=order.tradeid, historyon=strategy._tradehistoryon)
                trades.append(trade)
            self._update(trade, order, bit, bit.opened, bit.openedvalue, bit.openedcomm)
            if trade.isclosed:
                told.append(copy_trade(trade) if wanted else trade)
        if wanted and trade.justopened:
            told.append(copy_trade(trade))

    def _update(
        self, trade: Trade, order: Order, bit: Any, size: float, value: float, commission: float
    ) -> None:
        if trade.historyon:
            trade.update(order, size, bit.price, value, commission, bit.pnl, comminfo=order.comminfo)
            return
        data, scheme = trade.data, order.comminfo
        simple = scheme in self.broker.simple
        bar = self.at[id(data)][0]
        update_trade(trade, size, bit.price, commission, scheme, simple, bar + 1, data.datetime.array[bar])
