"""What IBKR has of bars, asked for over TWS or IB Gateway: for history and for live feeds alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import ProviderError, ProviderUnavailable, UnknownNameError
from core.ib import contract_fields, ib_library, quieten
from feeds.live.join import Row

CLIENT_ID_IN_USE, NO_SUCH_CONTRACT, HISTORY = 326, 200, 162
NOTHING, PACING = "no data", "pacing violation"
"""How the text of error 162 says that there are no such bars, and that too much was asked for."""
NOT_FOR_YOU = frozenset({354, 10089, 10090, 10168})
"""Errors that say that market data is not subscribed to."""
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


class RefusedError(ConnectionError):
    """IBKR would not answer this time: too much was asked of it, or its servers are away. Handler: asks again later."""


@dataclass(frozen=True, slots=True)
class IBKRSettings:
    """Where TWS or IB Gateway listens, and which bars are wanted of it.

    client_id: one of its own; the broker's is another. regular_hours: only bars of the regular trading hours. shows:
    TRADES, MIDPOINT, BID or ASK. answer: seconds an answer may take.
    """

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 71
    regular_hours: bool = True
    shows: str = "TRADES"
    answer: float = 10.0


def size_of(step: timedelta, name: str) -> str:
    """Bars of that length in TWS's words. Raises UnknownNameError where it has none. name: what to call them."""
    if step not in SIZES:
        raise UnknownNameError("IBKR interval", name, [size.replace(" ", "")[:3] for size in SIZES.values()])
    return SIZES[step]


def piece_of(step: timedelta) -> timedelta:
    """How much of such bars IBKR gives at a time without delay."""
    if step >= DAY:
        return 365 * DAY
    return 30 * DAY if step >= timedelta(hours=1) else DAY


def new_session() -> Any:
    """A session of the client library, not connected, whose requests raise what TWS says against them."""
    library = ib_library()
    quieten(library)
    session = library.IB()
    session.RaiseRequestErrors = True
    return session


async def connect(session: Any, settings: IBKRSettings) -> None:
    """Connect a session that never trades. Raises OSError, TimeoutError."""
    await session.connectAsync(
        settings.host, settings.port, clientId=settings.client_id, timeout=settings.answer, readonly=True
    )


def unreachable(settings: IBKRSettings, *, id_in_use: bool) -> ProviderUnavailable:
    """What to say where nobody answers."""
    where = f"{settings.host}:{settings.port}"
    if id_in_use:
        return ProviderUnavailable(
            f"client id {settings.client_id} is in use at {where}",
            provider="ibkr",
            hint="end the other program, or give this one a client id of its own",
        )
    return ProviderUnavailable(
        f"no TWS or IB Gateway answers at {where}",
        provider="ibkr",
        hint="start it, log in, and enable its API (Configuration, API, Settings) on that port",
    )


async def contract_of(session: Any, symbol: str, settings: IBKRSettings) -> Any:
    """The one contract a symbol means. Raises ProviderError for none and for several, TimeoutError."""
    wanted = ib_library().Contract(**contract_fields(symbol))
    try:
        async with asyncio.timeout(settings.answer):
            found = await session.reqContractDetailsAsync(wanted)
    except ib_library().wrapper.RequestError as error:
        if error.code != NO_SUCH_CONTRACT:
            raise RefusedError(f"{error.code}: {error.message}") from error
        found = []
    if len(found) != 1:
        raise ProviderError(
            f"{symbol!r} means {len(found) or 'no'} contracts at IBKR",
            provider="ibkr",
            hint="write it as SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY]",
        )
    return found[0].contract


async def bars_of(
    session: Any,
    contract: Any,
    settings: IBKRSettings,
    *,
    size: str,
    end: datetime | str,
    span: timedelta,
    keep: bool = False,
) -> Any:
    """The library's bars up to `end`, a span at least so long; none where there was no trade.

    keep: they go on growing. Raises RefusedError, ProviderError for what this account may not see, TimeoutError.
    """
    try:
        async with asyncio.timeout(3 * settings.answer):
            return await session.reqHistoricalDataAsync(
                contract,
                endDateTime=end,
                durationStr=_duration(span),
                barSizeSetting=size,
                whatToShow=settings.shows,
                useRTH=settings.regular_hours,
                formatDate=2,
                keepUpToDate=keep,
                timeout=0,
            )
    except ib_library().wrapper.RequestError as error:
        text = f"{error.code}: {error.message}"
        if error.code in NOT_FOR_YOU or "permission" in error.message.lower():
            raise ProviderError(
                f"IBKR does not show you bars of {contract.symbol}: {text}",
                provider="ibkr",
                hint="subscribe to that market's data in Client Portal (Settings, Market Data Subscriptions)",
            ) from error
        if error.code == HISTORY and NOTHING in error.message.lower():
            return []
        raise RefusedError(text) from error


def row_of(bar: Any) -> Row:
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
