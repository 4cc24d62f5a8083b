"""Binance Spot as a house: a cash account, commission in what is received, client ids unique among open orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from brokers.simulators.binance.filters import SymbolFilters
from brokers.simulators.binance.security import ApiKey
from brokers.simulators.binance.server import BinanceServer
from brokers.simulators.control import HOST
from brokers.simulators.fees import FeeSchedule, ReceivedAssetFees
from brokers.simulators.orders import Listing
from brokers.simulators.rules import Rules
from brokers.simulators.simulation import Simulation
from core.errors import UserError

KEY, SECRET = "rehearsal-key", "rehearsal-secret"
LIMITED = {"read-only-key": {"trades": False}, "withdraw-key": {"withdraws": True}}
"""Further keys to the same account, with the same secret, that may do less, or more."""
MIN_NOTIONAL = Decimal(5)


@dataclass(slots=True)
class BinanceHouse:
    """One account behind one key pair."""

    account: str = "main"
    fees: FeeSchedule = field(default_factory=ReceivedAssetFees)
    rules: Rules = field(default_factory=Rules)
    leverage: Decimal | None = None

    def listing(self, symbol: str) -> Listing:
        """A pair written BASE/QUOTE."""
        base, slash, quote = symbol.upper().partition("/")
        if not (slash and base and quote):
            raise UserError(f"{symbol!r} is no pair", hint="for example --symbols BTC/USDT,ETH/USDT")
        return Listing(base + quote, base, quote, Decimal("0.01"), Decimal("0.00001"), MIN_NOTIONAL)

    def server(self, simulation: Simulation) -> BinanceServer:
        """REST, streams and the WebSocket API."""
        listings = simulation.exchange.books.listings
        filters = {symbol: SymbolFilters(listing) for symbol, listing in listings.items()}
        keys = [ApiKey(KEY, SECRET, self.account)]
        keys += [ApiKey(key, SECRET, self.account, **may) for key, may in LIMITED.items()]
        return BinanceServer(simulation, filters, keys)

    def address(self, port: int) -> Mapping[str, Any]:
        """Base addresses and the key pair."""
        where = f"{HOST}:{port}"
        return {
            "host": HOST,
            "port": port,
            "rest": f"http://{where}/api/v3",
            "streams": f"ws://{where}/ws",
            "websocket-api": f"ws://{where}/ws-api/v3",
            "key": KEY,
            "secret": SECRET,
        }


def house() -> BinanceHouse:
    """What `python -m brokers.simulators binance` serves."""
    return BinanceHouse()
