"""Yahoo's bars, asked for again and again: it has no stream, and its prices may be late.

streams = YahooStreams(YahooStreamSettings(poll_seconds=15))
source = streams.source("AAPL", "1m", since=start)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

from core.clock import Clock, WallClock
from core.errors import ProviderError
from feeds.historical.yahoo import Download, YahooProvider
from feeds.live.join import Row
from feeds.live.streams import ConnectionLostError, Streams, Subscription
from feeds.spacing import nanoseconds

WALL = WallClock()
LOOK_BACK = timedelta(days=5)
"""Yahoo answers a question without bars as it answers a failure, so that each one reaches back to some."""


@dataclass(frozen=True, slots=True)
class YahooStreamSettings:
    """poll_seconds: how often Yahoo is asked for each symbol. clock: says when a bar is over. download: in place of yfinance's."""

    poll_seconds: float = 15.0
    clock: Clock = WALL
    download: Download | None = None


class YahooStreams(Streams):
    """Bars over yfinance. A bar is handed out when it is over by its settings' clock."""

    def __init__(self, settings: YahooStreamSettings) -> None:
        super().__init__("yahoo", settings.poll_seconds)
        self._settings = settings
        self._provider = YahooProvider(settings.download)
        self._asking = asyncio.Lock()  # yfinance is asked by one at a time

    async def _open(self) -> None:
        """There is nothing to open."""

    async def _disconnect(self) -> None:
        """There is nothing to close."""

    def _unreachable(self, error: BaseException) -> ProviderError:
        return ProviderError(f"Yahoo does not answer ({error})", provider="yahoo")

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    async def _read_history(self, following: Subscription) -> None:
        joiner, symbol = following.joiner, following.source.symbol
        now = pd.Timestamp(self._settings.clock.now())
        start = pd.Timestamp(joiner.expected, unit="ms", tz="UTC") - LOOK_BACK
        try:
            async with self._asking:
                frame = await asyncio.to_thread(
                    self._provider.fetch, symbol, following.interval, start, now + joiner.step
                )
        except ProviderError as error:
            if following.native is None:
                raise
            raise ConnectionLostError(error.message) from error
        following.native = symbol
        following.source.heard()
        closed = frame[pd.DatetimeIndex(frame.index) + joiner.step <= now].dropna()
        starts = nanoseconds(pd.DatetimeIndex(closed.index)) // 1_000_000
        columns = ("open", "high", "low", "close", "volume")
        rows = zip(starts.tolist(), *(closed[name].tolist() for name in columns), strict=True)
        following.source.put(joiner.fill(Row(*row) for row in rows))

    async def _look_after(self, following: Subscription) -> None:
        await self._read_history(following)
