"""The public half of /api/v3: what can be traded, prices, bars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from brokers.simulators.binance.answers import Json, day_summary, kline_row, milliseconds, shown_symbol
from brokers.simulators.binance.errors import BinanceError
from brokers.simulators.binance.filters import SymbolFilters, text
from brokers.simulators.binance.limits import Limits
from brokers.simulators.binance.requests import Params, integer, required
from brokers.simulators.market import MINUTE, MarketBar, Tick, resampled
from brokers.simulators.simulation import Simulation
from core.types import Side

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INTERVALS: Mapping[str, timedelta] = {
    "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE,
    "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR, "8h": 8 * HOUR, "12h": 12 * HOUR,
    "1d": DAY, "3d": 3 * DAY,
}  # fmt: skip
AVERAGE_MINUTES = 5


class MarketData:
    """Answers what needs no key."""

    def __init__(self, simulation: Simulation, filters: Mapping[str, SymbolFilters], limits: Limits) -> None:
        self._simulation = simulation
        self._filters = filters
        self._limits = limits

    def exchange_info(self, params: Params) -> Json:
        """GET /api/v3/exchangeInfo."""
        wanted = [params["symbol"]] if params.get("symbol") else list(self._filters)
        return {
            "timezone": "UTC",
            "serverTime": milliseconds(self._simulation.clock.now()),
            "rateLimits": self._limits.shown(),
            "exchangeFilters": [],
            "symbols": [shown_symbol(self.filters(symbol)) for symbol in wanted],
        }

    def klines(self, params: Params) -> list[list[object]]:
        """GET /api/v3/klines: from startTime on, or the latest."""
        symbol, period = self.filters(required(params, "symbol")).listing.symbol, self.period(params)
        start, end = integer(params, "startTime"), integer(params, "endTime")
        limit = min(integer(params, "limit") or 500, 1000)
        rows = [
            bar
            for bar in self.bars(symbol, period)
            if (start is None or milliseconds(bar.start) >= start)
            and (end is None or milliseconds(bar.start) <= end)
        ]
        chosen = rows[:limit] if start is not None else rows[-limit:]
        return [kline_row(bar, period) for bar in chosen]

    def book_ticker(self, params: Params) -> Any:
        """GET /api/v3/ticker/bookTicker."""
        return self._one_or_all(params, self._book)

    def price_ticker(self, params: Params) -> Any:
        """GET /api/v3/ticker/price."""
        return self._one_or_all(params, lambda tick: {"symbol": tick.symbol, "price": text(tick.last)})

    def day_ticker(self, params: Params) -> Any:
        """GET /api/v3/ticker/24hr."""
        return self._one_or_all(params, self.day)

    def average_price(self, params: Params) -> Json:
        """GET /api/v3/avgPrice."""
        symbol = self.filters(required(params, "symbol")).listing.symbol
        now = milliseconds(self._simulation.clock.now())
        return {"mins": AVERAGE_MINUTES, "price": text(self.average(symbol)), "closeTime": now}

    def depth(self, params: Params) -> Json:
        """GET /api/v3/depth."""
        symbol = self.filters(required(params, "symbol")).listing.symbol
        limit = min(integer(params, "limit") or 100, 5000)
        books = self._simulation.exchange.books
        sides = {"bids": Side.SELL, "asks": Side.BUY}
        levels = {
            name: [[text(price), text(size)] for price, size in books.depth(symbol, side, limit)]
            for name, side in sides.items()
        }
        return {"lastUpdateId": self._simulation.ticks, **levels}

    def trades(self, params: Params) -> list[Json]:
        """GET /api/v3/trades: the last one, which is what is kept."""
        tick = self.tick(required(params, "symbol"))
        return [
            {
                "id": self._simulation.ticks,
                "price": text(tick.last),
                "qty": text(tick.volume),
                "quoteQty": text(tick.last * tick.volume),
                "time": milliseconds(tick.time),
                "isBuyerMaker": False,
                "isBestMatch": True,
            }
        ]

    def filters(self, symbol: str) -> SymbolFilters:
        """The filters of a symbol that is listed."""
        if symbol not in self._filters:
            raise BinanceError(-1121)
        return self._filters[symbol]

    def tick(self, symbol: str) -> Tick:
        """The market of a symbol that has a price."""
        tick = self._simulation.exchange.books.tick(self.filters(symbol).listing.symbol)
        if tick is None:
            raise BinanceError(-1013, "Market is closed.")
        return tick

    def period(self, params: Params) -> timedelta:
        """The length of the bars that are asked for."""
        name = required(params, "interval")
        if name not in INTERVALS:
            raise BinanceError(-1120)
        return INTERVALS[name]

    def bars(self, symbol: str, period: timedelta) -> list[MarketBar]:
        """Bars of that length, oldest first."""
        bars = self._simulation.bars.bars(symbol)
        return list(bars) if period == MINUTE else resampled(bars, period)

    def average(self, symbol: str) -> Decimal:
        """The price of the last five minutes, weighted by volume."""
        bars = self._simulation.bars.bars(symbol)[-AVERAGE_MINUTES:]
        volume = sum((bar.volume for bar in bars), Decimal(0))
        if not volume:
            return self.tick(symbol).last
        return sum((bar.value for bar in bars), Decimal(0)) / volume

    def day(self, tick: Tick) -> Json:
        """The last 24 hours of a symbol."""
        bars = list(self._simulation.bars.bars(tick.symbol)[-24 * 60 :])
        summary = day_summary(tick.symbol, bars, self._simulation.clock.now())
        return summary | {key: value for key, value in self._book(tick).items() if key != "symbol"}

    def _book(self, tick: Tick) -> Json:
        return {
            "symbol": tick.symbol,
            "bidPrice": text(tick.bid),
            "bidQty": text(tick.volume),
            "askPrice": text(tick.ask),
            "askQty": text(tick.volume),
        }

    def _one_or_all(self, params: Params, show: Any) -> Any:
        if params.get("symbol"):
            return show(self.tick(params["symbol"]))
        ticks = (self._simulation.exchange.books.tick(symbol) for symbol in self._filters)
        return [show(tick) for tick in ticks if tick is not None]
