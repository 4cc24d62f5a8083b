"""Binance's operations without a socket: signed requests against one account, prices by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from brokers.simulators.binance.answers import Json
from brokers.simulators.binance.errors import BinanceError
from brokers.simulators.binance.filters import SymbolFilters
from brokers.simulators.binance.operations import Operations
from brokers.simulators.binance.security import ApiKey, signed
from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import ReceivedAssetFees
from brokers.simulators.market import MarketClock
from brokers.simulators.orders import Listing
from brokers.simulators.simulation import Simulation

KEY = ApiKey("key", "secret", "main")
START = datetime(2024, 1, 1, tzinfo=UTC)
LISTING = Listing("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))


class Desk:
    """One account with 10,000 USDT and 1 BTC; the market stands at 100."""

    def __init__(self) -> None:
        self.clock = MarketClock(START, 0)
        exchange = Exchange([LISTING], ReceivedAssetFees(), self.clock.now)
        exchange.open_account("main", {"USDT": Decimal(10_000), "BTC": Decimal(1)})
        self.seconds = START.timestamp()
        self.simulation = Simulation(exchange, self.clock)
        filters = {"BTCUSDT": SymbolFilters(LISTING)}
        self.operations = Operations(self.simulation, filters, [KEY], lambda: self.seconds)
        self.price("100")

    def price(self, price: str, **fields: str) -> None:
        self.simulation.price("BTCUSDT", Decimal(price), **{k: Decimal(v) for k, v in fields.items()})

    def call(self, method: str, path: str, **params: object) -> Any:
        """What the operation answers; raises BinanceError as the server would answer it."""
        operation = self.operations.by_path[(method, f"/api/v3/{path}")]
        given = {key: str(value) for key, value in params.items()}
        if operation.signed:
            given.setdefault("timestamp", str(int(self.seconds * 1000)))
        payload = urlencode(given)
        given["signature"] = signed(KEY.secret, payload)
        return self.operations.carry_out(operation, given, KEY.key, payload)

    def refused(self, method: str, path: str, **params: object) -> tuple[int, str]:
        """Code and text of the refusal; fails when there is none."""
        try:
            answer = self.call(method, path, **params)
        except BinanceError as refusal:
            return refusal.code, refusal.text
        raise AssertionError(f"it was not refused but answered {answer}")

    def order(self, kind: str, side: str = "BUY", **params: object) -> Json:
        given = {"symbol": "BTCUSDT", "side": side, "type": kind, "newOrderRespType": "FULL", **params}
        if kind.endswith("LIMIT"):
            given.setdefault("timeInForce", "GTC")
        answer: Json = self.call("POST", "order", **given)
        return answer

    def order_refused(self, kind: str, side: str = "BUY", **params: object) -> tuple[int, str]:
        return self.refused("POST", "order", symbol="BTCUSDT", side=side, type=kind, **params)

    def query(self, name: str) -> Json:
        answer: Json = self.call("GET", "order", symbol="BTCUSDT", origClientOrderId=name)
        return answer
