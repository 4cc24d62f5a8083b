"""Market streams: who listens to what, and what a tick says to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from brokers.simulators.binance.answers import Json, milliseconds
from brokers.simulators.binance.connection import Connection
from brokers.simulators.binance.filters import text
from brokers.simulators.binance.market_data import INTERVALS, MarketData
from brokers.simulators.market import MINUTE, MarketBar, Tick, floor_time, resampled
from brokers.simulators.simulation import Simulation

NAME = re.compile(r"^([a-z0-9]+)@(trade|bookTicker|ticker|miniTicker|kline_(\w+))$")
SUBSCRIBE, UNSUBSCRIBE, LISTED = "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS"


class MarketStreams:
    """Sends ticks and bars to the connections that subscribed."""

    def __init__(self, simulation: Simulation, market: MarketData) -> None:
        self._simulation = simulation
        self._market = market
        self._listeners: dict[str, list[Connection]] = {}
        simulation.on_tick(self._note)

    def subscribe(self, connection: Connection, names: Sequence[str]) -> None:
        """Add streams to a connection; unknown names are taken and stay silent, as Binance does."""
        for name in names:
            listeners = self._listeners.setdefault(name, [])
            if connection not in listeners:
                listeners.append(connection)

    def unsubscribe(self, connection: Connection, names: Sequence[str]) -> None:
        """Take streams off a connection."""
        for name in names:
            if connection in self._listeners.get(name, []):
                self._listeners[name].remove(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self.unsubscribe(connection, list(self._listeners))

    def names(self, connection: Connection) -> list[str]:
        """What a connection listens to."""
        return [name for name, listeners in self._listeners.items() if connection in listeners]

    def answer(self, connection: Connection, message: Json) -> Json:
        """Carry out a request made on a stream's connection."""
        method, names = message.get("method"), message.get("params", [])
        result: object = None
        if method == SUBSCRIBE:
            self.subscribe(connection, names)
        elif method == UNSUBSCRIBE:
            self.unsubscribe(connection, names)
        elif method == LISTED:
            result = self.names(connection)
        else:
            return {
                "error": {"code": 2, "msg": f"Invalid request: unknown variant {method}"},
                "id": message.get("id"),
            }
        return {"result": result, "id": message.get("id")}

    def _note(self, tick: Tick | None, bars: Sequence[MarketBar]) -> None:
        for name, listeners in self._listeners.items():
            found = NAME.match(name) if listeners else None
            if found is None:
                continue
            for payload in self._payloads(found[1].upper(), found[2], found[3], tick, bars):
                for connection in list(listeners):
                    connection.publish(name, payload)

    def _payloads(
        self, symbol: str, channel: str, interval: str | None, tick: Tick | None, bars: Sequence[MarketBar]
    ) -> list[Json]:
        if interval is not None:
            period = INTERVALS.get(interval)
            mine = [bar for bar in bars if bar.symbol == symbol]
            return [] if period is None else [self._kline(bar, interval, period) for bar in mine]
        if tick is None or tick.symbol != symbol:
            return []
        show: dict[str, Callable[[Tick], Json]] = {
            "trade": self._trade,
            "bookTicker": self._book,
            "ticker": self._day,
            "miniTicker": self._short_day,
        }
        return [show[channel](tick)]

    def _now(self) -> int:
        return milliseconds(self._simulation.clock.now())

    def _trade(self, tick: Tick) -> Json:
        return {
            "e": "trade",
            "E": self._now(),
            "s": tick.symbol,
            "t": self._simulation.ticks,
            "p": text(tick.last),
            "q": text(tick.volume),
            "T": milliseconds(tick.time),
            "m": False,
            "M": True,
        }

    def _book(self, tick: Tick) -> Json:
        return {
            "u": self._simulation.ticks,
            "s": tick.symbol,
            "b": text(tick.bid),
            "B": text(tick.volume),
            "a": text(tick.ask),
            "A": text(tick.volume),
        }

    def _day(self, tick: Tick) -> Json:
        day = self._market.day(tick)
        return {
            "e": "24hrTicker",
            "E": self._now(),
            **{short: day[name] for short, name in DAY_FIELDS.items()},
        }

    def _short_day(self, tick: Tick) -> Json:
        day = self._day(tick)
        return {
            **{name: day[name] for name in ("E", "s", "c", "o", "h", "l", "v", "q")},
            "e": "24hrMiniTicker",
        }

    def _kline(self, bar: MarketBar, interval: str, period: timedelta) -> Json:
        """A bar of `period` as it stands with its last minute `bar`."""
        start = floor_time(bar.start, period)
        whole = bar
        if period != MINUTE:
            minutes = [
                b
                for b in self._market.bars(bar.symbol, MINUTE)[-(period // MINUTE) :]
                if start <= b.start <= bar.start
            ]
            (whole,) = resampled([*minutes[:-1], bar], period)
        closed = bar.closed and bar.start + MINUTE == start + period
        return {
            "e": "kline",
            "E": self._now(),
            "s": bar.symbol,
            "k": kline_fields(replace(whole, start=start, closed=closed), interval, period),
        }


DAY_FIELDS = {
    "s": "symbol",
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


def kline_fields(bar: MarketBar, interval: str, period: timedelta) -> Json:
    """The bar of a kline message."""
    return {
        "t": milliseconds(bar.start),
        "T": milliseconds(bar.start + period) - 1,
        "s": bar.symbol,
        "i": interval,
        "f": 1,
        "L": bar.trades,
        "o": text(bar.open),
        "c": text(bar.close),
        "h": text(bar.high),
        "l": text(bar.low),
        "v": text(bar.volume),
        "n": bar.trades,
        "x": bar.closed,
        "q": text(bar.value),
        "V": text(bar.volume / 2),
        "Q": text(bar.value / 2),
        "B": "0",
    }
