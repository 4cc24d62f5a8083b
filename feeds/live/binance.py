"""Binance's klines, from any time in the past on and then as they close.

streams = BinanceStreams(StreamSettings())
source = streams.source("BTC/USDT", "1m", since=datetime(2026, 1, 1, tzinfo=UTC))
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.connect import ccxt_stream_session
from core.errors import ProviderError, UnknownNameError
from core.telemetry import get_logger
from feeds.live.join import Row
from feeds.live.streams import Streams, Subscription

PAGE = 1000

log = get_logger("feeds.binance")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Addresses; without them, Binance's own.

    ping_seconds: a connection that misses two pings is replaced. silence_seconds: how long a stream may say nothing
    before history is asked whether it has lost a bar.
    """

    rest: str = ""
    streams: str = ""
    timeout_seconds: float = 10.0
    ping_seconds: float = 10.0
    silence_seconds: float = 20.0


class BinanceStreams(Streams):
    """Spot klines over ccxt.pro. A symbol is BASE/QUOTE."""

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__("binance", settings.silence_seconds)
        self._settings = settings
        self._followed: dict[tuple[str, str], Subscription] = {}

    async def _open(self) -> None:
        import ccxt

        if self._session is not None:
            return
        settings = self._settings
        options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
        session = ccxt_stream_session(
            "binance", {"timeout": int(settings.timeout_seconds * 1000), "options": options}
        )
        session.has["fetchCurrencies"] = False
        session.streaming["keepAlive"] = int(settings.ping_seconds * 1000)
        session.handle_ohlcv = self._hear
        urls = session.urls["api"]
        urls["public"] = settings.rest or urls["public"]
        urls["ws"]["spot"] = settings.streams or urls["ws"]["spot"]
        try:
            await session.load_markets()
            self._session = session
        except ccxt.ExchangeError as error:
            raise ProviderError(f"Binance: {error}", provider="binance") from error
        finally:
            if self._session is None:
                await session.close()

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _lost(self, error: BaseException) -> bool:
        import ccxt

        return isinstance(error, ccxt.NetworkError) or super()._lost(error)

    def _unreachable(self, error: BaseException) -> ProviderError:
        return ProviderError(
            f"Binance does not answer ({type(error).__name__})",
            provider="binance",
            hint="see whether this machine has a network, and whether Binance serves your country",
        )

    def _hear(self, client: Any, message: dict[str, Any]) -> None:
        """A kline, complete or not, as it comes."""
        kline = message["k"]
        following = self._followed.get((kline["s"], kline["i"]))
        if following is None:
            return
        following.source.heard()
        if kline["x"]:
            following.tell(Row(int(kline["t"]), *(float(kline[name]) for name in "ohlcv")))

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        symbol, interval, session = following.source.symbol, following.interval, self._usable
        if symbol not in session.markets:
            raise UnknownNameError("Binance symbol", symbol, session.markets)
        if interval not in session.timeframes:
            raise UnknownNameError("Binance interval", interval, session.timeframes)
        following.native = session.markets[symbol]["id"]
        self._followed[following.native, interval] = following
        watching: asyncio.Future[Any] = asyncio.ensure_future(session.watch_ohlcv(symbol, interval))
        return watching

    async def _read_history(self, following: Subscription) -> None:
        import ccxt

        joiner = following.joiner
        while True:
            wanted = {
                "symbol": following.native,
                "interval": following.interval,
                "startTime": joiner.expected,
                "limit": PAGE,
            }
            try:
                now = await self._usable.fetch_time()
                given = await self._usable.public_get_klines(wanted)
            except ccxt.ExchangeError as error:
                raise ProviderError(f"Binance: {error}", provider="binance") from error
            # A bar is complete when another has followed, or its time is over.
            complete = [row for row in given if row is not given[-1] or int(row[6]) < now]
            closed = [Row(int(row[0]), *map(float, row[1:6])) for row in complete]
            if closed and joiner.leaves_a_gap(closed[0]):
                until = datetime.fromtimestamp(closed[0].start / 1000, UTC)
                log.warning("feed.gap", symbol=joiner.symbol, until=until.isoformat())
            following.source.heard()
            following.source.put(joiner.fill(closed))
            if len(given) < PAGE:
                return

    async def _look_after(self, following: Subscription) -> None:
        await self._read_history(following)
