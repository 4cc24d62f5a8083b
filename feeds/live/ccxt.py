"""Bars of any exchange ccxt knows, asked for as each is over: not every exchange has a stream of them.

streams = CcxtStreams(CcxtStreamSettings("kraken"))
source = streams.source("BTC/USDT", "1m", since=start)
"""

from __future__ import annotations

import asyncio
import math
import time as wall
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.clock import WallClock
from core.connect import ccxt_polled_session, public_only
from core.errors import DataError, ProviderError, UnknownNameError
from feeds.live.join import Row
from feeds.live.source import LiveSource
from feeds.live.streams import ConnectionLostError, Streams, Subscription

WALL = WallClock()
T = TypeVar("T")
SHORTEST_PAGE = 100
"""Bars that every exchange returns at once; where none come for so long, the newest are asked for."""
MALFORMED = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)
"""What ccxt fails with where an exchange answers in another form than it should."""


@dataclass(frozen=True, slots=True)
class CcxtStreamSettings:
    """exchange: ccxt's id of it. address: instead of its own, of one that speaks as Binance does.

    settle_seconds: how long after its end a bar is asked for. poll_seconds: how often it is asked for again while it
    does not come. pause_seconds: how long the exchange is left alone at most, though no bar is due.
    """

    exchange: str
    address: str = ""
    timeout_seconds: float = 10.0
    settle_seconds: float = 1.0
    poll_seconds: float = 2.0
    pause_seconds: float = 30.0


class CcxtStreams(Streams):
    """Bars over ccxt. A bar is over by the exchange's clock, where it tells it.

    An exchange that does not answer is asked again for as long as it takes; its sources are disconnected meanwhile.
    """

    def __init__(self, settings: CcxtStreamSettings) -> None:
        self._where = settings.address or settings.exchange
        super().__init__(self._where, settings.poll_seconds)
        self._settings = settings
        self._due: dict[LiveSource, float] = {}

    async def _open(self) -> None:
        if self._session is None:
            timeout = {"timeout": int(self._settings.timeout_seconds * 1000)}
            session = ccxt_polled_session(self._settings.exchange, timeout)
            self._session = public_only(session, self._settings.address)

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _lost(self, error: BaseException) -> bool:
        import ccxt

        return isinstance(error, ccxt.BaseError) or super()._lost(error)

    def _unreachable(self, error: BaseException) -> ProviderError:
        return ProviderError(f"{self._where} does not answer ({type(error).__name__})", provider=self._where)

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        session, symbol = self._usable, following.source.symbol
        await self._read(session.load_markets(), dict)
        if not session.has.get("fetchOHLCV"):
            raise DataError(f"{self._where} serves no bars", hint="choose another exchange, such as kraken")
        if symbol not in session.markets:
            raise UnknownNameError(f"symbol at {self._where}", symbol, session.markets)
        if session.timeframes and following.interval not in session.timeframes:
            raise UnknownNameError(f"interval at {self._where}", following.interval, session.timeframes)
        return asyncio.get_running_loop().create_future()

    async def _read_history(self, following: Subscription) -> None:
        joiner, source = following.joiner, following.source
        length = int(joiner.step.total_seconds() * 1000)
        settle = int(self._settings.settle_seconds * 1000)
        while True:
            first = joiner.expected
            over = await self._time() - settle
            rows = await self._rows(following, first)
            if not rows and over - first > SHORTEST_PAGE * length:
                rows = await self._rows(following, None)
            source.heard()
            # A bar is complete when another has followed, or its time is over.
            source.put(joiner.fill(row for row in rows if row is not rows[-1] or row.start + length <= over))
            left = joiner.expected + length - over
            if left > 0 or joiner.expected == first:
                break
        self._due[source] = wall.monotonic() + self._pause(left / 1000)

    def _pause(self, left: float) -> float:
        """Seconds until the exchange is asked again, where the next bar is over in `left`."""
        return self._settings.poll_seconds if left <= 0 else min(left, self._settings.pause_seconds)

    async def _silent(self, following: Subscription) -> bool:
        """Nothing comes by itself: True as soon as it is time to ask."""
        await asyncio.sleep(self._due[following.source] - wall.monotonic())
        return True

    async def _look_after(self, following: Subscription) -> None:
        await self._read_history(following)

    async def _time(self) -> int:
        """Of the exchange, in milliseconds since 1970; this machine's where it tells none."""
        session = self._usable
        if not session.has.get("fetchTime"):
            return int(WALL.now().timestamp() * 1000)
        return await self._read(session.fetch_time(), int)

    async def _rows(self, following: Subscription, since: int | None) -> list[Row]:
        """Bars from `since` on, or the newest, oldest first; numbers that are missing are NaN."""
        asked = self._usable.fetch_ohlcv(following.source.symbol, following.interval, since)
        return await self._read(asked, _rows)

    async def _read(self, answer: Awaitable[Any], reading: Callable[[Any], T]) -> T:
        """What the exchange says. Raises ConnectionLostError where that cannot be read, and ccxt's own errors."""
        try:
            return reading(await answer)
        except MALFORMED as error:
            raise ConnectionLostError(f"an answer that cannot be read: {error!r}") from error


def _rows(given: Iterable[Sequence[Any]]) -> list[Row]:
    return [Row(int(start), *map(_number, numbers)) for start, *numbers in given]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
