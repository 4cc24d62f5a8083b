"""Bars from any exchange ccxt knows, page by page within the exchange's rate limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pandas as pd

from core.connect import ccxt_session
from core.errors import DataError, ProviderError, ProviderUnavailable, UnknownNameError
from core.resilience import resilient
from feeds import spacing
from feeds.layout import COLUMNS

PAGE = 1_000
MILLISECOND = 1_000_000

T = TypeVar("T")
Row = Sequence[float]
FetchPage = Callable[[int, int], list[Row]]


class CcxtProvider:
    """History of one exchange. The session is opened by the first fetch; `session` replaces how."""

    revises = False

    def __init__(self, exchange: str, session: Callable[[], Any] | None = None) -> None:
        self.name = exchange
        self._open = session or (lambda: ccxt_session(exchange))
        self._session: Any = None

    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        """Bars that open in [start, stop). Raises ProviderError, UnknownNameError for a symbol or timeframe."""
        session = self._connected()
        self._check(session, symbol, timeframe)
        pages = paginate(
            lambda since, count: self._read(
                lambda: session.fetch_ohlcv(symbol, timeframe, since=since, limit=count)
            ),
            start=-(-start.value // MILLISECOND),
            stop=-(-stop.value // MILLISECOND),
            step=spacing.parse_timeframe(timeframe) // MILLISECOND,
            limit=int(session.feature_value(symbol, "fetchOHLCV", "limit", PAGE) or PAGE),
        )
        return to_frame([row for page in pages for row in page])

    @resilient()
    def _read(self, ask: Callable[[], T]) -> T:
        """One request. Raises ProviderUnavailable where there is no answer, ProviderError for one that refuses."""
        import ccxt

        try:
            return ask()
        except ccxt.BaseError as error:
            kind = ProviderUnavailable if isinstance(error, ccxt.NetworkError) else ProviderError
            reason = type(error).__name__
            raise kind(
                f"{self.name} did not answer ({reason})", provider=self.name, detail=str(error)[:300]
            ) from error

    def _connected(self) -> Any:
        if self._session is None:
            session = self._open()
            self._read(session.load_markets)
            self._session = session
        return self._session

    def _check(self, session: Any, symbol: str, timeframe: str) -> None:
        if not session.has.get("fetchOHLCV"):
            raise DataError(f"{self.name} serves no bars", hint="choose another exchange, such as binance")
        if symbol not in session.markets:
            raise UnknownNameError(f"{self.name} symbol", symbol, session.markets)
        if session.timeframes and timeframe not in session.timeframes:
            raise UnknownNameError(
                f"{self.name} timeframe",
                timeframe,
                session.timeframes,
                hint=f"known: {', '.join(session.timeframes)}",
            )


def paginate(fetch: FetchPage, *, start: int, stop: int, step: int, limit: int) -> Iterator[list[Row]]:
    """Pages of bars that open in [start, stop), in milliseconds: n * limit bars take n calls.

    fetch: called with the first time and the number of bars wanted. A page that brings nothing new is a stretch
    without trades: the next one begins behind it. Some exchanges return fewer bars than asked for; the next
    page begins after the last that came.
    """
    since = start
    while since < stop:
        count = min(limit, -(-(stop - since) // step))
        page = [row for row in fetch(since, count) if since <= row[0] < stop]
        if page:
            yield page
            since = int(page[-1][0]) + step
        else:
            since += count * step


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows of ccxt (milliseconds, open, high, low, close, volume) as float64 columns over UTC times."""
    table = pd.DataFrame(list(rows), columns=["time", *COLUMNS])
    index = pd.DatetimeIndex(pd.to_datetime(table.pop("time").astype("int64"), unit="ms", utc=True))
    table.index = index.as_unit("ns").rename("time")
    return table.astype("float64")
