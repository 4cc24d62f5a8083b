"""History from a provider through the cache: ask only for what is missing, and say what was used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache as remembered
from typing import Protocol

import numpy as np
import pandas as pd

from core.errors import DataError, DataQualityError, ProviderError, ProviderUnavailable
from core.recovery import Recovery, recovery_of
from core.resilience import Breaker
from feeds import spacing
from feeds.cache import BarCache, CachedBars, Series
from feeds.clean import describe_time

DEFAULT_BARS = 2_000
# Prices that differ by more than this from what was cached were adjusted since; rounding stays far below.
REVISED = 1e-4
NO_NETWORK_HINT = "connect once to fill the cache, or use sample:goog, which needs no network"


class Provider(Protocol):
    """A source of history over the network."""

    @property
    def name(self) -> str:
        """Its name in references and in the cache."""
        ...

    @property
    def revises(self) -> bool:
        """True when it changes past prices, as for splits: the last cached bar is then compared."""
        ...

    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        """Bars that open in [start, stop), perhaps some around: float64 columns over a UTC index.

        Raises ProviderError.
        """
        ...


@dataclass
class _Asked:
    """The period wanted, and what is told about how it was met."""

    begin: pd.Timestamp
    stop: pd.Timestamp
    now: pd.Timestamp
    notes: list[str] = field(default_factory=list)
    may_be_old: bool = True


def fetch_history(
    provider: Provider,
    series: Series,
    cache: BarCache,
    *,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
    now: pd.Timestamp,
    offline: bool = False,
    may_be_old: bool = True,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Closed bars of a series that open in [start, end], and notes that say what was used.

    start: None means what is cached, or the last 2,000 steps. now: bars that are still open then are dropped.
    When the provider fails, or with `offline`, cached bars are used and the notes say up to when.
    Raises DataError offline without a cache, ProviderError when the provider fails without one, or not `may_be_old`.
    """
    step = spacing.parse_timeframe(series.timeframe)
    with ExitStack() as stack:
        notes = [] if offline else _hold(stack, cache, series)
        cached, damage = cache.read(series)
        if damage:
            notes.append(damage)
        stop = now.floor(pd.Timedelta(min(step, spacing.DAY)))
        if end is not None:
            stop = min(stop, end + pd.Timedelta(1, "ns"))
        begin = start or (cached.start if cached else stop - pd.Timedelta(DEFAULT_BARS * step))
        asked = _Asked(begin, max(stop, begin), now, notes, may_be_old)
        if cached is not None and not len(cached.frame):
            cached = None
        bars = _offline(series, cached, asked) if offline else _online(provider, series, cache, cached, asked)
    index = pd.DatetimeIndex(bars.frame.index)
    wanted = bars.frame[(index >= begin) & (index < asked.stop)]
    if not len(wanted):
        raise DataQualityError(
            "empty",
            f"{series.symbol}: {series.provider} has no {series.timeframe} bars in the period asked for",
            hint="choose another period with start and end",
            symbol=series.symbol,
        )
    return wanted, tuple(notes)


def fetch_from_any(
    providers: Sequence[Provider],
    symbol: str,
    timeframe: str,
    cache: BarCache,
    *,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
    now: pd.Timestamp,
    offline: bool = False,
) -> tuple[pd.DataFrame, tuple[str, ...], Provider]:
    """`fetch_history` from the first provider that answers, named last; what the first has cached where none does.

    Raises what the first raised.
    """
    failures: list[ProviderError] = []
    for provider in providers:
        try:
            frame, notes = fetch_history(
                provider,
                Series(provider.name, symbol, timeframe),
                cache,
                start=start,
                end=end,
                now=now,
                offline=offline,
                may_be_old=len(providers) == 1,
            )
        except ProviderError as error:
            if recovery_of(error) not in (Recovery.RETRY, Recovery.FALLBACK):
                raise
            failures.append(error)
        else:
            return frame, (*(error.message for error in failures), *notes), provider
    first = providers[0]
    try:
        series = Series(first.name, symbol, timeframe)
        frame, notes = fetch_history(first, series, cache, start=start, end=end, now=now, offline=True)
    except DataError:
        raise failures[0] from None
    return frame, (*(error.message for error in failures), *notes), first


@remembered
def breaker_of(provider: str) -> Breaker:
    """What spares a provider that does not answer, for all who ask it in this process."""
    return Breaker(provider, on=(ProviderUnavailable,))


def _hold(stack: ExitStack, cache: BarCache, series: Series) -> list[str]:
    """Lock the series for the length of the fetch; where that is not possible, go on without and say so."""
    try:
        stack.enter_context(cache.lock(series))
    except OSError as error:
        return [f"nothing is cached: {cache.folder} cannot be written ({error.strerror})"]
    return []


def _offline(series: Series, cached: CachedBars | None, asked: _Asked) -> CachedBars:
    if cached is None:
        raise DataError(
            f"offline, and nothing is cached for {series.provider}:{series.symbol}:{series.timeframe}",
            hint=NO_NETWORK_HINT,
        )
    asked.notes.append(f"offline; {_used(cached, asked)}")
    return cached


def _online(
    provider: Provider, series: Series, cache: BarCache, cached: CachedBars | None, asked: _Asked
) -> CachedBars:
    kept = len(cached.frame) if cached else 0
    if cached is not None and asked.begin >= cached.start and asked.stop <= cached.until:
        asked.notes.append(f"all {kept:,} bars from the cache, nothing requested")
        return cached
    try:
        bars = _extend(provider, series, cached, asked)
    except ProviderError as error:
        if cached is None:
            error.hint = error.hint or NO_NETWORK_HINT
        if cached is None or not asked.may_be_old:
            raise
        asked.notes.append(f"{error.message}; {_used(cached, asked)}")
        return cached
    new = len(bars.frame) - kept
    asked.notes.append(f"{new:,} bars fetched from {provider.name}, {kept:,} from the cache")
    try:
        cache.write(series, bars)
    except OSError as error:
        asked.notes.append(f"nothing is cached: {cache.folder} cannot be written ({error.strerror})")
    return bars


def _used(cached: CachedBars, asked: _Asked) -> str:
    first, last = cached.frame.index[0], cached.frame.index[-1]
    late = f", which begin only at {describe_time(first)}" if cached.start > asked.begin else ""
    return f"used cached bars up to {describe_time(last)}{late}"


def _extend(provider: Provider, series: Series, cached: CachedBars | None, asked: _Asked) -> CachedBars:
    """Cached bars with what is missing before and after; all of it anew when the provider revised them."""
    if cached is None or (provider.revises and asked.begin < cached.start):
        return _whole(provider, series, cached, asked)
    parts = [cached.frame]
    if asked.begin < cached.start:
        parts.insert(0, _closed(provider, series, asked.begin, cached.start, asked.now))
    if asked.stop > cached.until:
        last = cached.frame.index[-1]
        tail = last if provider.revises else last + pd.Timedelta(1, "ns")
        fresh = _closed(provider, series, tail, asked.stop, asked.now)
        if provider.revises and _revised(cached.frame, fresh):
            asked.notes.append(f"{provider.name} adjusted past prices: fetched again from the start")
            return _whole(provider, series, cached, asked)
        parts.append(fresh[fresh.index > last])
    start, until = min(asked.begin, cached.start), max(asked.stop, cached.until)
    return CachedBars(pd.concat([part for part in parts if len(part)]), start, until)


def _whole(provider: Provider, series: Series, cached: CachedBars | None, asked: _Asked) -> CachedBars:
    start = min(asked.begin, cached.start) if cached else asked.begin
    stop = max(asked.stop, cached.until) if cached else asked.stop
    return CachedBars(_closed(provider, series, start, stop, asked.now), start, stop)


def _closed(
    provider: Provider, series: Series, start: pd.Timestamp, stop: pd.Timestamp, now: pd.Timestamp
) -> pd.DataFrame:
    """What the provider has in [start, stop), without a bar that is still open at `now`."""
    with breaker_of(provider.name)():
        frame = provider.fetch(series.symbol, series.timeframe, start, stop)
    index = pd.DatetimeIndex(frame.index)
    if series.timeframe.endswith("M"):
        closes = index + pd.DateOffset(months=int(series.timeframe[:-1]))
    else:
        closes = index + pd.Timedelta(spacing.parse_timeframe(series.timeframe))
    return frame[np.asarray((index >= start) & (index < stop) & (closes <= now))]


def _revised(old: pd.DataFrame, fresh: pd.DataFrame) -> bool:
    """True when the bar both have differs in a price."""
    last = old.index[-1]
    if last not in fresh.index:
        return True
    prices = [column for column in old.columns if column != "volume"]
    before = old.loc[last, prices].to_numpy(dtype="float64")
    after = fresh.loc[last, prices].to_numpy(dtype="float64")
    return not np.allclose(before, after, rtol=REVISED, atol=0, equal_nan=True)
