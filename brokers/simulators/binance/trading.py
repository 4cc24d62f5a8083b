"""The signed half of /api/v3: orders, order lists, trades, the account."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from brokers.simulators.binance.answers import (
    Json,
    cancelled,
    milliseconds,
    placed,
    shown_list,
    shown_order,
    shown_trade,
)
from brokers.simulators.binance.errors import REFUSALS, WRONG_RELATION, BinanceError
from brokers.simulators.binance.limits import Limits
from brokers.simulators.binance.market_data import MarketData
from brokers.simulators.binance.reports import balances
from brokers.simulators.binance.requests import (
    Params,
    client_id,
    integer,
    read_leg,
    read_ticket,
    required,
)
from brokers.simulators.exchange import Exchange
from brokers.simulators.orders import LinkRule, Order, OrderList, Ticket
from core.errors import OrderRejected
from core.types import OrderStatus, Side

MAKER_COMMISSION = "0.00100000"


class Trading:
    """Carries out what a key may ask for; `account` is always the account the key opens."""

    def __init__(self, exchange: Exchange, market: MarketData, limits: Limits) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._market = market
        self._limits = limits

    # -- orders

    def place(self, params: Params, account: str) -> Json:
        """POST /api/v3/order."""
        ticket = self._prepared(params, account)
        self._limits.charge_order()
        order = refusing(lambda: self._exchange.submit(ticket))
        default = "FULL" if ticket.tags["type"] in ("MARKET", "LIMIT") else "ACK"
        return placed(order, self._trades_of(order), params.get("newOrderRespType") or default)

    def test(self, params: Params, account: str) -> Json:
        """POST /api/v3/order/test."""
        ticket = self._prepared(params, account)
        refusing(lambda: self._exchange.check(ticket))
        return {}

    def query(self, params: Params, account: str) -> Json:
        """GET /api/v3/order."""
        return shown_order(self._found(params, account, BinanceError(-2013)))

    def cancel(self, params: Params, account: str) -> Json:
        """DELETE /api/v3/order; of an order in a list, the whole list."""
        order = self._found(params, account, BinanceError(-2011))
        restriction = params.get("cancelRestrictions")
        if restriction not in (None, "", "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
            raise BinanceError(-1145)
        wanted = OrderStatus.ACCEPTED if restriction == "ONLY_NEW" else OrderStatus.PARTIAL
        if restriction and order.status is not wanted:
            raise BinanceError(-2011, "Order was not canceled due to cancel restrictions.")
        if order.group is not None and order.open:
            return self._cancel_list(self._books.state.lists[order.group], params)
        return cancelled(self._cancelled(order, params))

    def cancel_all(self, params: Params, account: str) -> list[Json]:
        """DELETE /api/v3/openOrders."""
        orders = self._books.open_orders(account, self._symbol(params))
        if not orders:
            raise BinanceError(-2011)
        answers = []
        for order in orders:
            if not order.open:
                continue
            if order.group is not None:
                answers.append(self._cancel_list(self._books.state.lists[order.group], params))
            else:
                answers.append(cancelled(self._cancelled(order, params)))
        return answers

    def cancel_replace(self, params: Params, account: str) -> Json:
        """POST /api/v3/order/cancelReplace."""
        mode = required(params, "cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise BinanceError(-1128)
        wanted = {"orderId": params.get("cancelOrderId", "")}
        wanted |= {
            "origClientOrderId": params.get("cancelOrigClientOrderId", ""),
            "symbol": required(params, "symbol"),
        }
        wanted |= {
            "newClientOrderId": params.get("cancelNewClientOrderId", ""),
            "cancelRestrictions": params.get("cancelRestrictions", ""),
        }
        ended, cancel_failure = attempt(lambda: self.cancel(wanted, account))
        made: Json | None = None
        failure: Json | None = None
        if cancel_failure is None or mode == "ALLOW_FAILURE":
            made, failure = attempt(lambda: self.place(params, account))
        attempted = made is not None or failure is not None
        outcome = {
            "cancelResult": "SUCCESS" if cancel_failure is None else "FAILURE",
            "newOrderResult": "SUCCESS" if made is not None else "FAILURE" if attempted else "NOT_ATTEMPTED",
            "cancelResponse": ended or cancel_failure,
            "newOrderResponse": made or failure,
        }
        if cancel_failure is None and made is not None:
            return outcome
        partially = cancel_failure is None or made is not None
        raise BinanceError(-2021 if partially else -2022, status=409 if partially else 400, data=outcome)

    def open_orders(self, params: Params, account: str) -> list[Json]:
        """GET /api/v3/openOrders."""
        symbol = self._symbol(params) if params.get("symbol") else None
        return [shown_order(order) for order in self._books.open_orders(account, symbol)]

    def all_orders(self, params: Params, account: str) -> list[Json]:
        """GET /api/v3/allOrders: from orderId on, or the latest."""
        first, limit = integer(params, "orderId"), min(integer(params, "limit") or 500, 1000)
        start, end = integer(params, "startTime"), integer(params, "endTime")
        orders = [
            order
            for order in self._books.orders(account, self._symbol(params))
            if (first is None or order.id >= first)
            and (start is None or milliseconds(order.created) >= start)
            and (end is None or milliseconds(order.created) <= end)
        ]
        chosen = orders[:limit] if first is not None or start is not None else orders[-limit:]
        return [shown_order(order) for order in chosen]

    def my_trades(self, params: Params, account: str) -> list[Json]:
        """GET /api/v3/myTrades: from fromId on, or the latest."""
        first, order_id = integer(params, "fromId"), integer(params, "orderId")
        start, end = integer(params, "startTime"), integer(params, "endTime")
        if first is not None and (start is not None or end is not None):
            raise BinanceError(-1128)
        limit = min(integer(params, "limit") or 500, 1000)
        trades = [
            trade
            for trade in self._books.executions(account, self._symbol(params))
            if (first is None or trade.id >= first)
            and (order_id is None or trade.order_id == order_id)
            and (start is None or milliseconds(trade.time) >= start)
            and (end is None or milliseconds(trade.time) <= end)
        ]
        chosen = trades[:limit] if first is not None or start is not None else trades[-limit:]
        return [shown_trade(trade, self._books.state.orders[trade.order_id]) for trade in chosen]

    # -- order lists

    def place_oco(self, params: Params, account: str) -> Json:
        """POST /api/v3/orderList/oco."""
        above, below = (self._filtered(read_leg(params, account, leg)) for leg in ("above", "below"))
        side = above.side
        upper, lower = (ticket.trigger or ticket.limit for ticket in (above, below))
        waiting = below if side is Side.SELL else above
        if not waiting.tags["type"].startswith("STOP_LOSS") or (upper and lower and lower >= upper):
            raise BinanceError(-2010, WRONG_RELATION)
        self._limits.charge_order(2)
        name = client_id(params, "listClientOrderId") or generated("list", self._books.state.next_list)
        made = refusing(lambda: self._exchange.submit_list([above, below], LinkRule.TOUCH, name))
        return self._reported(made, lambda order: placed(order, self._trades_of(order), "RESULT"))

    def query_list(self, params: Params, account: str) -> Json:
        """GET /api/v3/orderList."""
        made = self._found_list(params, account, BinanceError(-2013))
        return shown_list(made, self._orders_of(made), milliseconds(made.created))

    def open_lists(self, params: Params, account: str) -> list[Json]:
        """GET /api/v3/openOrderList."""
        lists = [made for made in self._books.state.lists.values() if made.account == account]
        return [
            shown_list(made, self._orders_of(made), milliseconds(made.created))
            for made in lists
            if any(order.open for order in self._orders_of(made))
        ]

    def cancel_list(self, params: Params, account: str) -> Json:
        """DELETE /api/v3/orderList."""
        return self._cancel_list(self._found_list(params, account, BinanceError(-2011)), params)

    # -- the account

    def account(self, params: Params, account: str) -> Json:
        """GET /api/v3/account."""
        found = self._books.account(account)
        hide = params.get("omitZeroBalances") == "true"
        shown = [
            {"asset": asset, "free": free, "locked": held}
            for asset, free, held in balances(self._books, account, sorted(found.balances))
            if not hide or found.balances[asset]
        ]
        rates = {
            "maker": MAKER_COMMISSION,
            "taker": MAKER_COMMISSION,
            "buyer": "0.00000000",
            "seller": "0.00000000",
        }
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates,
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": milliseconds(found.updated) if found.updated else 0,
            "accountType": "SPOT",
            "balances": shown,
            "permissions": ["SPOT"],
            "uid": 1,
        }

    # -- within

    def _symbol(self, params: Params) -> str:
        return self._market.filters(required(params, "symbol")).listing.symbol

    def _prepared(self, params: Params, account: str) -> Ticket:
        self._symbol(params)
        return self._filtered(read_ticket(params, account))

    def _filtered(self, ticket: Ticket) -> Ticket:
        """A ticket that passed the symbol's filters, with a client id."""
        filters = self._market.filters(ticket.symbol)
        filters.check(
            ticket,
            lambda: self._market.average(ticket.symbol),
            self._books.open_orders(ticket.account, ticket.symbol),
        )
        if not ticket.client_id:
            ticket.client_id = generated(f"{ticket.side}{ticket.tags['type']}", self._books.state.next_order)
        return ticket

    def _found(self, params: Params, account: str, missing: BinanceError) -> Order:
        symbol, order_id = self._symbol(params), integer(params, "orderId")
        name = params.get("origClientOrderId")
        if order_id is None and not name:
            raise BinanceError(
                -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        order = self._books.find(account, order_id=order_id, client_id=name)
        if order is None or order.symbol != symbol:
            raise missing
        return order

    def _found_list(self, params: Params, account: str, missing: BinanceError) -> OrderList:
        key = integer(params, "orderListId")
        name = params.get("listClientOrderId") or params.get("origClientOrderId")
        for made in reversed(self._books.state.lists.values()):
            if made.account == account and (made.id == key or (key is None and made.client_id == name)):
                return made
        raise missing

    def _cancelled(self, order: Order, params: Params) -> Order:
        if order.open:
            order.tags["cancel"] = client_id(params, "newClientOrderId") or generated("cancel", order.id)
        refusing(lambda: self._exchange.cancel(order.id))
        return order

    def _cancel_list(self, made: OrderList, params: Params) -> Json:
        orders = [order for order in self._orders_of(made) if order.open]
        if not orders:
            raise BinanceError(-2011)
        for order in orders:
            order.tags["cancel"] = client_id(params, "newClientOrderId") or generated("cancel", made.id)
        self._exchange.cancel(orders[0].id)
        return self._reported(made, cancelled)

    def _reported(self, made: OrderList, report: Callable[[Order], Json]) -> Json:
        orders = self._orders_of(made)
        now = max(milliseconds(order.updated) for order in orders)
        return {**shown_list(made, orders, now), "orderReports": [report(order) for order in orders]}

    def _orders_of(self, made: OrderList) -> list[Order]:
        return [self._books.state.orders[key] for key in made.orders]

    def _trades_of(self, order: Order) -> list[Any]:
        return [trade for trade in self._books.executions(order.account) if trade.order_id == order.id]


def refusing(act: Callable[[], Any]) -> Any:
    """What `act` returns; the exchange's refusal in Binance's words."""
    try:
        return act()
    except OrderRejected as refusal:
        code, text = REFUSALS.get(refusal.rule, (-2010, refusal.message))
        raise BinanceError(code, text) from refusal


def attempt(act: Callable[[], Json]) -> tuple[Json | None, Json | None]:
    """What `act` answers, or the body of its refusal."""
    try:
        return act(), None
    except BinanceError as refusal:
        return None, refusal.body()


def generated(seed: str, number: int) -> str:
    """A client id of Binance's own making: 22 characters."""
    return hashlib.sha256(f"{seed}{number}".encode()).hexdigest()[:22]
