"""Bars from Yahoo Finance through yfinance, which answers a failure with an empty frame and a line in its log."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from core.errors import ProviderError, ProviderUnavailable, UnknownNameError
from core.resilience import resilient
from feeds import spacing
from feeds.clean import utc_index
from feeds.layout import COLUMNS, PRICES, split_symbols

INTERVALS = {
    "1m": "1m",
    "2m": "2m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1h",
    "1d": "1d",
    "1w": "1wk",
    "1M": "1mo",
    "3M": "3mo",
}
# How far back Yahoo serves intraday bars, in days.
REACH = {"1m": 7, "2m": 59, "5m": 59, "15m": 59, "30m": 59, "1h": 729}

NO_ANSWER = re.compile(r"curl|connect|resolve|timed? ?out|too many requests|\b50\d\b", re.IGNORECASE)
"""How yfinance's complaints read when Yahoo did not answer, rather than had nothing."""

Download = Callable[..., pd.DataFrame | None]


class YahooProvider:
    """History of Yahoo Finance: prices adjusted for splits, with the dividend-adjusted close beside them."""

    name = "yahoo"
    revises = True

    def __init__(self, download: Download | None = None) -> None:
        self._download = download

    @resilient()
    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        """Bars that open in [start, stop), and up to a day around. Raises ProviderError with yfinance's own reason."""
        if timeframe not in INTERVALS:
            raise UnknownNameError(
                "yahoo timeframe", timeframe, INTERVALS, hint=f"known: {', '.join(INTERVALS)}"
            )
        if timeframe in REACH:
            start = max(start, stop - pd.Timedelta(days=REACH[timeframe]))
        intraday = spacing.parse_timeframe(timeframe) < spacing.DAY
        # A date begins at another moment on each exchange: ask a day wider, the caller cuts.
        margin = pd.Timedelta(days=0 if intraday else 1)
        with _complaints() as complaints:
            table = (self._download or _yfinance_download())(
                symbol,
                start=(start - margin).to_pydatetime(warn=False),
                end=(stop + margin).to_pydatetime(warn=False),
                interval=INTERVALS[timeframe],
                auto_adjust=False,
                actions=False,
                progress=False,
                threads=False,
            )
        if table is None or table.empty:
            reason = " ".join(" ".join(complaints).split())[:160] or "an empty answer"
            kind = ProviderUnavailable if NO_ANSWER.search(reason) else ProviderError
            raise kind(f"yahoo did not answer for {symbol} ({reason})", provider="yahoo", symbol=symbol)
        return to_frame(table, intraday=intraday)


def to_frame(table: pd.DataFrame, *, intraday: bool = False) -> pd.DataFrame:
    """The frame of yfinance, with one or two levels of columns, as float64 columns over UTC times.

    Daily bars are stamped with the midnight of their date, whatever the exchange's zone.
    """
    parts = split_symbols(table)
    single = next(iter(parts.values())) if parts else table
    names = {column: str(column).lower().replace(" ", "_") for column in single.columns}
    frame = single.rename(columns=names)
    kept = [name for name in (*PRICES, "adj_close", COLUMNS[-1]) if name in frame]
    frame = frame[kept].astype("float64")
    index = pd.DatetimeIndex(frame.index)
    frame.index = utc_index(index if intraday or index.tz is None else index.tz_localize(None))
    frame.columns.name = None
    return frame


def _yfinance_download() -> Download:
    import yfinance

    download: Download = yfinance.download
    return download


class _Collector(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what yfinance logs instead of letting it reach the terminal."""
    logger: Any = logging.getLogger("yfinance")
    found: list[str] = []
    collector, propagate = _Collector(found), logger.propagate
    others = list(logger.handlers)
    logger.handlers[:] = [collector]
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield found
    finally:
        logger.handlers[:] = others
        logger.propagate = propagate
