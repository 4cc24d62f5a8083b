"""IBKR's bars of the past, from a TWS or IB Gateway that is logged in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pandas as pd

from core.errors import ProviderError, ProviderUnavailable
from core.resilience import resilient
from feeds import spacing
from feeds.historical.ccxt import to_frame
from feeds.ibkr_bars import (
    CLIENT_ID_IN_USE,
    PACING,
    IBKRSettings,
    RefusedError,
    bars_of,
    connect,
    contract_of,
    new_session,
    piece_of,
    row_of,
    size_of,
    unreachable,
)
from feeds.live.join import Row

MILLISECOND = 1_000_000


class IBKRProvider:
    """History over TWS. A symbol is AAPL, or SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY].

    Times are UTC whatever zone TWS shows; a daily bar has the date of its session, at midnight. Each fetch opens a
    connection of its own and ends it.
    """

    revises = True
    """Prices before a split are divided by it."""

    def __init__(self, settings: IBKRSettings | None = None) -> None:
        self._settings = settings or IBKRSettings()
        self.name = "ibkr" if self._settings.regular_hours else "ibkr-all-hours"

    @resilient()
    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        """Bars that open in [start, stop), perhaps some around. Raises ProviderError, UnknownNameError."""
        step = timedelta(microseconds=spacing.parse_timeframe(timeframe) // 1000)
        size = size_of(step, timeframe)
        with ThreadPoolExecutor(1) as thread:  # a notebook's own event loop may be running in this one
            rows = thread.submit(asyncio.run, self._fetch(symbol, step, size, start, stop)).result()
        return to_frame(rows)

    async def _fetch(
        self, symbol: str, step: timedelta, size: str, start: pd.Timestamp, stop: pd.Timestamp
    ) -> list[Row]:
        session, codes, settings = new_session(), set[int](), self._settings
        session.errorEvent += lambda request, code, text, contract: codes.add(code)
        try:
            await connect(session, settings)
            contract = await contract_of(session, symbol, settings)
            rows: dict[int, Row] = {}
            begin = start.to_pydatetime(warn=False)
            last = stop.ceil(pd.Timedelta(step)).to_pydatetime(warn=False)  # when the last bar wanted is over
            while begin < last:
                end = min(begin + piece_of(step), last)
                span = end - begin + step
                bars = await bars_of(session, contract, settings, size=size, end=end, span=span)
                rows |= {row.start: row for row in map(row_of, bars)}
                begin = end
        except RefusedError as error:
            too_much = PACING in str(error).lower()
            kind = ProviderError if too_much else ProviderUnavailable
            raise kind(
                f"IBKR refuses bars of {symbol}: {error}",
                provider="ibkr",
                hint="wait ten minutes, or ask for less" if too_much else "",
            ) from error
        except (OSError, TimeoutError) as error:
            raise unreachable(settings, id_in_use=CLIENT_ID_IN_USE in codes) from error
        finally:
            session.disconnect()
        return [rows[time] for time in sorted(rows) if start.value <= time * MILLISECOND < stop.value]
