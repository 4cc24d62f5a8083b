"""IBKR's bars over TWS or IB Gateway, from any time in the past on and then as they close.

streams = IBKRStreams(IBKRStreamSettings(port=4002, client_id=71))
source = streams.source("AAPL", "1m", since=datetime(2026, 1, 1, tzinfo=UTC))
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import ProviderError
from feeds.ibkr_bars import (
    CLIENT_ID_IN_USE,
    IBKRSettings,
    bars_of,
    connect,
    contract_of,
    new_session,
    piece_of,
    row_of,
    size_of,
    unreachable,
)
from feeds.live.streams import ConnectionLostError, Streams, Subscription

CUT_OFF = frozenset({1100, 1101})
"""TWS has lost IBKR's servers, or has them again without our subscriptions."""


@dataclass(frozen=True, slots=True)
class IBKRStreamSettings(IBKRSettings):
    """The same for streams. silence_seconds: how long one may say nothing before it is looked after."""

    silence_seconds: float = 20.0


@dataclass(slots=True)
class _Native:
    """asked_for: the start of the bar that history was last asked for without news of it."""

    contract: Any
    size: str
    asked_for: int = 0


class IBKRStreams(Streams):
    """Bars with keep-up-to-date. A symbol is AAPL, or SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY].

    A bar is complete when the next one begins, and the last of a session when history has it.
    """

    def __init__(self, settings: IBKRStreamSettings) -> None:
        super().__init__("ibkr", settings.silence_seconds)
        self._settings = settings
        self._watching: set[asyncio.Future[Any]] = set()
        self._codes: set[int] = set()
        self._asking_time = asyncio.Lock()

    async def _open(self) -> None:
        if self._session is not None and self._session.isConnected():
            return
        session = new_session()
        self._codes.clear()
        session.errorEvent += self._on_error
        session.disconnectedEvent += lambda: self._lose("the connection was closed")
        await connect(session, self._settings)
        self._session = session

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.disconnect()

    def _unreachable(self, error: BaseException) -> ProviderError:
        return unreachable(self._settings, id_in_use=CLIENT_ID_IN_USE in self._codes)

    def _on_error(self, request: int, code: int, text: str, contract: Any) -> None:
        self._codes.add(code)
        if code in CUT_OFF:
            self._lose(f"{code}: {text}")

    def _lose(self, reason: str) -> None:
        """Every stream has ended."""
        for watching in self._watching:
            if not watching.done():
                watching.set_exception(ConnectionLostError(reason))

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        symbol, step = following.source.symbol, following.joiner.step
        size = size_of(step, following.interval)
        if following.native is None:
            following.native = _Native(await contract_of(self._usable, symbol, self._settings), size)
        bars = await self._bars(following.native, "", max(10 * step, timedelta(hours=1)), keep=True)
        if not bars:
            raise ConnectionLostError(f"IBKR has no bars of {symbol} yet")
        bars.updateEvent += lambda told, new: self._hear(following, told, new)
        watching: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._watching.add(watching)
        watching.add_done_callback(lambda done: self._cancel(bars, watching))
        return watching

    def _cancel(self, bars: Any, watching: asyncio.Future[Any]) -> None:
        self._watching.discard(watching)
        if self._session is not None and self._session.isConnected():
            self._session.cancelHistoricalData(bars)

    async def _bars(
        self, native: _Native, end: datetime | str, span: timedelta, *, keep: bool = False
    ) -> Any:
        return await bars_of(
            self._usable, native.contract, self._settings, size=native.size, end=end, span=span, keep=keep
        )

    def _hear(self, following: Subscription, bars: Any, new: bool) -> None:
        """The last bar has changed, or a new one has begun and so ended those before it."""
        following.source.heard()
        if new:
            for bar in bars[:-1]:
                row = row_of(bar)
                if row.start >= following.joiner.expected:
                    following.tell(row)
            del bars[:-1]

    async def _read_history(self, following: Subscription) -> None:
        """In pieces, as long as IBKR answers for such bars at once."""
        joiner, native = following.joiner, following.native
        now = await self._time()
        begin = datetime.fromtimestamp(joiner.expected / 1000, UTC)
        while begin < now:
            end = min(begin + piece_of(joiner.step), now)
            span = max(end - begin, joiner.step)
            bars = await self._bars(native, end, span + joiner.step)
            following.source.heard()
            rows = [row_of(bar) for bar in bars]
            closed = [
                row
                for row in rows
                if row.start + joiner.step.total_seconds() * 1000 <= now.timestamp() * 1000
            ]
            following.source.put(joiner.fill(closed))
            begin = end

    async def _look_after(self, following: Subscription) -> None:
        """A round trip; and history, once, for a bar that ought to be over."""
        joiner, native = following.joiner, following.native
        now = await self._time()
        following.source.heard()
        due = joiner.expected + joiner.step.total_seconds() * 1000
        if now.timestamp() * 1000 >= due and native.asked_for != joiner.expected:
            native.asked_for = joiner.expected
            await self._read_history(following)

    async def _time(self) -> datetime:
        # The answer does not name its question: the library forgets the first of two that wait.
        async with asyncio.timeout(self._settings.answer), self._asking_time:
            now: datetime = await self._usable.reqCurrentTimeAsync()
        return now
