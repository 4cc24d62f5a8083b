"""IBKR's bars over TWS or IB Gateway, from any time in the past on and then as they close.

streams = IBKRStreams(IBKRStreamSettings(port=4002, client_id=71))
source = streams.source("AAPL", "1m", since=datetime(2026, 1, 1, tzinfo=UTC))
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import ProviderError, UnknownNameError
from core.ib import contract_fields, ib_library, quieten
from feeds.live.join import Row
from feeds.live.streams import ConnectionLostError, Streams, Subscription

CLIENT_ID_IN_USE = 326
CUT_OFF = frozenset({1100, 1101})
"""TWS has lost IBKR's servers, or has them again without our subscriptions."""
DAY = timedelta(days=1)
SIZES = {
    timedelta(seconds=5): "5 secs", timedelta(seconds=10): "10 secs", timedelta(seconds=15): "15 secs",
    timedelta(seconds=30): "30 secs", timedelta(minutes=1): "1 min", timedelta(minutes=2): "2 mins",
    timedelta(minutes=3): "3 mins", timedelta(minutes=5): "5 mins", timedelta(minutes=10): "10 mins",
    timedelta(minutes=15): "15 mins", timedelta(minutes=20): "20 mins", timedelta(minutes=30): "30 mins",
    timedelta(hours=1): "1 hour", timedelta(hours=2): "2 hours", timedelta(hours=3): "3 hours",
    timedelta(hours=4): "4 hours", timedelta(hours=8): "8 hours", DAY: "1 day",
}  # fmt: skip
"""Bars that TWS has, in its words."""


@dataclass(frozen=True, slots=True)
class IBKRStreamSettings:
    """Where TWS or IB Gateway listens, and what is wanted of it.

    client_id: one of its own; the broker's is another. regular_hours: only bars of the regular trading hours. shows:
    TRADES, MIDPOINT, BID or ASK. answer: seconds an answer may take. silence_seconds: how long a stream may say
    nothing before it is looked after.
    """

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 71
    regular_hours: bool = True
    shows: str = "TRADES"
    answer: float = 10.0
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
        self._library = ib_library()
        self._watching: set[asyncio.Future[Any]] = set()
        self._codes: list[int] = []

    async def _open(self) -> None:
        if self._session is not None and self._session.isConnected():
            return
        quieten(self._library)
        settings, session = self._settings, self._library.IB()
        self._codes.clear()
        session.errorEvent += self._on_error
        session.disconnectedEvent += lambda: self._lose("the connection was closed")
        await session.connectAsync(
            settings.host, settings.port, clientId=settings.client_id, timeout=settings.answer, readonly=True
        )
        self._session = session

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.disconnect()

    def _unreachable(self, error: BaseException) -> ProviderError:
        where = f"{self._settings.host}:{self._settings.port}"
        if CLIENT_ID_IN_USE in self._codes:
            return ProviderError(
                f"client id {self._settings.client_id} is in use at {where}",
                provider="ibkr",
                hint="end the other program, or give this one a client id of its own",
            )
        return ProviderError(
            f"no TWS or IB Gateway answers at {where}",
            provider="ibkr",
            hint="start it, log in, and enable its API (Configuration, API, Settings) on that port",
        )

    def _on_error(self, request: int, code: int, text: str, contract: Any) -> None:
        self._codes.append(code)
        if code in CUT_OFF:
            self._lose(f"{code}: {text}")

    def _lose(self, reason: str) -> None:
        """Every stream has ended."""
        for watching in self._watching:
            if not watching.done():
                watching.set_exception(ConnectionLostError(reason))

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        symbol, step = following.source.symbol, following.joiner.step
        if step not in SIZES:
            raise UnknownNameError(
                "IBKR interval", following.interval, [name.replace(" ", "")[:3] for name in SIZES.values()]
            )
        if following.native is None:
            following.native = _Native(await self._contract(symbol), SIZES[step])
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

    async def _contract(self, symbol: str) -> Any:
        wanted = self._library.Contract(**contract_fields(symbol))
        async with asyncio.timeout(self._settings.answer):
            found = await self._usable.reqContractDetailsAsync(wanted)
        if len(found) != 1:
            raise ProviderError(
                f"{symbol!r} means {len(found) or 'no'} contracts at IBKR",
                provider="ibkr",
                hint="write it as SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY]",
            )
        return found[0].contract

    async def _bars(
        self, native: _Native, end: datetime | str, span: timedelta, *, keep: bool = False
    ) -> Any:
        settings = self._settings
        async with asyncio.timeout(3 * settings.answer):
            return await self._usable.reqHistoricalDataAsync(
                native.contract,
                endDateTime=end,
                durationStr=_duration(span),
                barSizeSetting=native.size,
                whatToShow=settings.shows,
                useRTH=settings.regular_hours,
                formatDate=2,
                keepUpToDate=keep,
                timeout=0,
            )

    def _hear(self, following: Subscription, bars: Any, new: bool) -> None:
        """The last bar has changed, or a new one has begun and so ended those before it."""
        following.source.heard()
        if new:
            for bar in bars[:-1]:
                row = _row(bar)
                if row.start >= following.joiner.expected:
                    following.tell(row)
            del bars[:-1]

    async def _read_history(self, following: Subscription) -> None:
        """In pieces, as long as IBKR answers for such bars at once."""
        joiner, native = following.joiner, following.native
        now = await self._time()
        piece = 365 * DAY if joiner.step >= DAY else 30 * DAY if joiner.step >= timedelta(hours=1) else DAY
        begin = datetime.fromtimestamp(joiner.expected / 1000, UTC)
        while begin < now:
            end = min(begin + piece, now)
            span = max(end - begin, joiner.step)
            bars = await self._bars(native, end, span + joiner.step)
            following.source.heard()
            rows = [_row(bar) for bar in bars]
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
        async with asyncio.timeout(self._settings.answer):
            now: datetime = await self._usable.reqCurrentTimeAsync()
        return now


def _row(bar: Any) -> Row:
    """A bar as IBKR tells it: a moment, or of daily bars a date."""
    moment = (
        bar.date
        if isinstance(bar.date, datetime)
        else datetime(bar.date.year, bar.date.month, bar.date.day, tzinfo=UTC)
    )
    prices = (float(bar.open), float(bar.high), float(bar.low), float(bar.close))
    return Row(int(moment.timestamp() * 1000), *prices, max(float(bar.volume), 0.0))


def _duration(span: timedelta) -> str:
    """In IBKR's words, at least so long."""
    if span <= DAY:
        return f"{int(span.total_seconds())} S"
    days = -(-span // DAY)
    return f"{days} D" if days <= 365 else f"{-(-days // 365)} Y"
