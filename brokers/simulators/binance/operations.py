"""Every operation by its two names (REST path, WebSocket method), its weight and its security; one way to carry it out."""

from __future__ import annotations

import time as wall
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokers.simulators.binance.answers import shown_restrictions
from brokers.simulators.binance.errors import BinanceError
from brokers.simulators.binance.filters import SymbolFilters
from brokers.simulators.binance.limits import Limits
from brokers.simulators.binance.market_data import MarketData
from brokers.simulators.binance.requests import Params, integer
from brokers.simulators.binance.security import ApiKey, check_signed
from brokers.simulators.binance.trading import Trading
from brokers.simulators.simulation import Simulation

RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
Weight = Callable[[Params], int]
Act = Callable[[Params, str], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a client can ask for. method and path of REST; call: its name on the WebSocket API, if it has one.

    trades: only for keys that may trade. of_key: it is about the key itself.
    """

    method: str
    path: str
    call: str
    weight: Weight
    act: Act
    signed: bool = False
    trades: bool = False
    of_key: Callable[[ApiKey], Any] | None = None


def fixed(weight: int) -> Weight:
    """The same weight always."""
    return lambda params: weight


def by_symbol(one: int, every: int) -> Weight:
    """A weight for one symbol, another for all."""
    return lambda params: one if params.get("symbol") else every


def by_depth(params: Params) -> int:
    """The weight of depth."""
    limit = integer(params, "limit") or 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


class Operations:
    """All of them, over one simulation."""

    def __init__(
        self,
        simulation: Simulation,
        filters: Mapping[str, SymbolFilters],
        keys: Sequence[ApiKey],
        clock: Callable[[], float] = wall.time,
    ) -> None:
        self.limits = Limits(clock)
        self.market = MarketData(simulation, filters, self.limits)
        self.trading = Trading(simulation.exchange, self.market, self.limits)
        self._simulation = simulation
        self._keys = {key.key: key for key in keys}
        self._clock = clock
        known = [*self._public(), *self._signed()]
        self.by_path = {(operation.method, operation.path): operation for operation in known}
        self.by_call = {operation.call: operation for operation in known if operation.call}

    def now(self) -> int:
        """The server's time in milliseconds, as far off as a fault makes it."""
        return int((self._clock() + self._simulation.faults.skew()) * 1000)

    def identify(self, key: str, payload: str, params: Params) -> str:
        """The account of a signed request."""
        return self._key(key, payload, params).account

    def _key(self, key: str, payload: str, params: Params) -> ApiKey:
        return check_signed(self._keys, key, payload, params, self.now())

    def carry_out(self, operation: Operation, params: Params, key: str, payload: str) -> Any:
        """Charge, check and act; what changed is on disk when it returns. Raises BinanceError."""
        self.limits.charge(operation.weight(params))
        account = ""
        if operation.signed:
            known = self._key(key, payload, params)
            if operation.trades and not known.trades:
                raise BinanceError(-2015, status=401)
            if operation.of_key is not None:
                return operation.of_key(known)
            account = known.account
        try:
            return operation.act(params, account)
        finally:
            self._simulation.save()

    def _public(self) -> list[Operation]:
        market = self.market

        def public(path: str, call: str, weight: Weight, answer: Callable[[Params], Any]) -> Operation:
            return Operation("GET", f"/api/v3/{path}", call, weight, lambda params, _: answer(params))

        return [
            public("ping", "ping", fixed(1), lambda _: {}),
            public("time", "time", fixed(1), lambda _: {"serverTime": self.now()}),
            public("exchangeInfo", "exchangeInfo", fixed(20), market.exchange_info),
            public("klines", "klines", fixed(2), market.klines),
            public("depth", "depth", by_depth, market.depth),
            public("trades", "trades.recent", fixed(25), market.trades),
            public("avgPrice", "avgPrice", fixed(2), market.average_price),
            public("ticker/24hr", "ticker.24hr", by_symbol(2, 80), market.day_ticker),
            public("ticker/price", "ticker.price", by_symbol(2, 4), market.price_ticker),
            public("ticker/bookTicker", "ticker.book", by_symbol(2, 4), market.book_ticker),
        ]

    def _signed(self) -> list[Operation]:
        trading = self.trading

        def signed(method: str, path: str, call: str, weight: Weight, act: Act) -> Operation:
            return Operation(
                method, f"/api/v3/{path}", call, weight, act, signed=True, trades=method != "GET"
            )

        return [
            Operation(
                "GET",
                RESTRICTIONS,
                "",
                fixed(1),
                lambda params, _: {},
                signed=True,
                of_key=shown_restrictions,
            ),
            signed("POST", "order", "order.place", fixed(1), trading.place),
            signed("POST", "order/test", "order.test", fixed(1), trading.test),
            signed("GET", "order", "order.status", fixed(4), trading.query),
            signed("DELETE", "order", "order.cancel", fixed(1), trading.cancel),
            signed("POST", "order/cancelReplace", "order.cancelReplace", fixed(1), trading.cancel_replace),
            signed("POST", "orderList/oco", "orderList.place.oco", fixed(1), trading.place_oco),
            signed("GET", "orderList", "orderList.status", fixed(4), trading.query_list),
            signed("DELETE", "orderList", "orderList.cancel", fixed(1), trading.cancel_list),
            signed("GET", "openOrderList", "openOrderLists.status", fixed(6), trading.open_lists),
            signed("GET", "openOrders", "openOrders.status", by_symbol(6, 80), trading.open_orders),
            signed("DELETE", "openOrders", "openOrders.cancelAll", fixed(1), trading.cancel_all),
            signed("GET", "allOrders", "allOrders", fixed(20), trading.all_orders),
            signed("GET", "myTrades", "myTrades", fixed(20), trading.my_trades),
            signed("GET", "account", "account.status", fixed(20), trading.account),
        ]


def unknown_path(path: str) -> BinanceError:
    """The answer to what this server does not have."""
    return BinanceError(-1020, f"This operation is not supported: {path}", status=404)
