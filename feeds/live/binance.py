"""Binance's klines, from any time in the past on and then as they close.

streams = BinanceStreams()
source = streams.source("BTC/USDT", "1m", since=datetime(2026, 1, 1, tzinfo=UTC))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from core.connect import ccxt_stream_session
from core.errors import ConfigError, ProviderError, UnknownNameError
from core.telemetry import get_logger
from feeds import spacing
from feeds.live.join import Joiner, Row
from feeds.live.source import Feed, LiveSource

PAGE = 1000
RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
SILENCE_SECONDS = 20.0
"""Without a kline for so long, history is asked whether the stream has lost one."""

log = get_logger("feeds.binance")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Addresses; without them, Binance's own.

    ping_seconds: a connection that misses two pings is replaced. silence_seconds: how long a stream may say nothing
    before history is asked.
    """

    rest: str = ""
    streams: str = ""
    timeout_seconds: float = 10.0
    ping_seconds: float = 10.0
    silence_seconds: float = SILENCE_SECONDS


@dataclass(slots=True)
class _Subscription:
    source: LiveSource
    interval: str
    joiner: Joiner
    rows: list[Row] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    native: str = ""
    task: Future[None] | None = None


class BinanceStreams:
    """One connection for any number of symbols, on a thread of its own; the first source that starts opens it.

    users: how many share it, see `shared_streams`.
    """

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self._settings = settings or StreamSettings()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="binance streams", daemon=True)
        self.users = 0
        self._session: Any = None
        self._opening = asyncio.Lock()
        self._followed: dict[tuple[str, str], _Subscription] = {}

    def source(self, symbol: str, interval: str, since: datetime) -> LiveSource:
        """Bars of `symbol` (BASE/QUOTE) and `interval` (1m, 1h, 1d, ...), the first of which opens at `since` or after.

        Each is stamped at its close. Raises ConfigError for an interval that has no fixed length, DataError for none.
        """
        length = timedelta(microseconds=spacing.parse_timeframe(interval) // 1000)
        if interval.endswith(("M", "w")):
            raise ConfigError(
                f"live bars of {interval} are not served", hint="take 1d bars and resample them"
            )
        joiner = Joiner(symbol, length, int(since.timestamp() * 1000))
        following = _Subscription(LiveSource(symbol), interval, joiner)
        following.source.start = lambda: self._start(following)
        following.source.stop = lambda: self._stop(following)
        return following.source

    def close(self) -> None:
        """End every source and the connection; calling it again changes nothing."""
        if not self._thread.is_alive():
            return
        for following in list(self._followed.values()):
            self._stop(following)
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- within

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _start(self, following: _Subscription) -> None:
        if self._thread.ident is None:
            self._thread.start()
        if following.task is None:
            following.task = asyncio.run_coroutine_threadsafe(self._follow(following), self._loop)

    def _stop(self, following: _Subscription) -> None:
        if following.task is not None:
            following.task.cancel()
        self._followed.pop((following.native, following.interval), None)
        following.source.end()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self) -> None:
        async with self._opening:
            if self._session is not None:
                return
            settings = self._settings
            session = ccxt_stream_session(
                "binance",
                {
                    "timeout": int(settings.timeout_seconds * 1000),
                    "options": {
                        "defaultType": "spot",
                        "fetchMarkets": {"types": ["spot"]},
                        "fetchMargins": False,
                    },
                },
            )
            session.has["fetchCurrencies"] = False
            session.streaming["keepAlive"] = int(settings.ping_seconds * 1000)
            session.handle_ohlcv = self._hear
            urls = session.urls["api"]
            urls["public"] = settings.rest or urls["public"]
            urls["ws"]["spot"] = settings.streams or urls["ws"]["spot"]
            try:
                await session.load_markets()
            except BaseException:
                await session.close()
                raise
            self._session = session

    def _hear(self, client: Any, message: dict[str, Any]) -> None:
        """A kline, complete or not, as it comes."""
        kline = message["k"]
        following = self._followed.get((kline["s"], kline["i"]))
        if following is None:
            return
        following.source.heard()
        if kline["x"]:
            following.rows.append(Row(int(kline["t"]), *(float(kline[name]) for name in "ohlcv")))
            following.news.set()

    async def _follow(self, following: _Subscription) -> None:
        """History, then the stream, and both again whenever the connection breaks."""
        import ccxt

        failures = 0
        while True:
            try:
                await self._open()
                await self._subscribe(following)
                failures = 0
            except (ccxt.NetworkError, TimeoutError, OSError) as error:
                log.warning("feed.lost", symbol=following.source.symbol, reason=f"{error}"[:200])
            except ccxt.BaseError as error:
                following.source.fail(ProviderError(f"Binance: {error}", provider="binance"))
                return
            except UnknownNameError as error:
                following.source.fail(error)
                return
            following.source.put([Feed.DISCONNECTED])
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _subscribe(self, following: _Subscription) -> None:
        """Until the connection breaks. What closes while history is read waits in `rows`."""
        symbol = following.source.symbol
        if symbol not in self._session.markets:
            raise UnknownNameError("Binance symbol", symbol, self._session.markets)
        if following.interval not in self._session.timeframes:
            raise UnknownNameError("Binance interval", following.interval, self._session.timeframes)
        following.native = self._session.markets[symbol]["id"]
        self._followed[following.native, following.interval] = following
        watching = asyncio.ensure_future(self._session.watch_ohlcv(symbol, following.interval))
        watching.add_done_callback(lambda done: following.news.set())
        try:
            await self._read_history(following)
            following.source.put([Feed.LIVE])
            while not watching.done():
                silent = await self._silent(following)
                if silent or any(map(following.joiner.leaves_a_gap, following.rows)):
                    await self._read_history(following)
                rows, following.rows = following.rows, []
                following.source.put(following.joiner.take(rows))
            await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _silent(self, following: _Subscription) -> bool:
        """Wait for a bar or the end of the connection; True when neither came for too long."""
        seconds = self._settings.silence_seconds
        try:
            await asyncio.wait_for(following.news.wait(), seconds)
        except TimeoutError:
            return following.source.silent_seconds >= seconds
        following.news.clear()
        return False

    async def _read_history(self, following: _Subscription) -> None:
        """Every complete bar from the one that is expected on."""
        joiner = following.joiner
        while True:
            now = await self._session.fetch_time()
            given = await self._session.public_get_klines(
                {
                    "symbol": following.native,
                    "interval": following.interval,
                    "startTime": joiner.expected,
                    "limit": PAGE,
                }
            )
            closed = [
                Row(int(row[0]), *(float(value) for value in row[1:6])) for row in given if int(row[6]) < now
            ]
            if closed and joiner.leaves_a_gap(closed[0]):
                lost = joiner.skip_to(closed[0].start)
                first = datetime.fromtimestamp(closed[0].start / 1000, UTC)
                log.warning("feed.gap", symbol=joiner.symbol, missing=str(lost), until=first.isoformat())
            following.source.heard()
            following.source.put(joiner.take(closed))
            if len(given) < PAGE:
                return


_shared: dict[StreamSettings, BinanceStreams] = {}


def shared_streams(settings: StreamSettings) -> BinanceStreams:
    """One connection a process for all who give these settings, each of whom calls `release` in the end."""
    streams = _shared.setdefault(settings, BinanceStreams(settings))
    streams.users += 1
    return streams


def release(streams: BinanceStreams) -> None:
    """One of those who share a connection has finished; the last one ends it."""
    streams.users -= 1
    if streams.users == 0:
        streams.close()
        for settings in [settings for settings, kept in _shared.items() if kept is streams]:
            del _shared[settings]
