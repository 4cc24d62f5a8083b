"""The one way in: `load(reference)` gives cleaned bars and says where they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from core.clock import Clock, WallClock
from core.errors import ConfigError, DataError, DataQualityError
from core.types import DataInfo
from feeds import quality, spacing
from feeds.accept import accept
from feeds.cache import BarCache
from feeds.clean import clean
from feeds.historical.ccxt import CcxtProvider
from feeds.historical.csv import read_csv
from feeds.historical.ibkr import IBKRProvider
from feeds.historical.parquet import read_feather, read_parquet
from feeds.historical.sample import SAMPLES, read_sample
from feeds.historical.yahoo import YahooProvider
from feeds.history import Provider, fetch_from_any
from feeds.ibkr_bars import IBKRSettings
from feeds.layout import arrange, split_symbols
from feeds.quality import QualityReport
from feeds.reference import Reference, file_reference, file_symbol, parse_reference, parse_references

if TYPE_CHECKING:
    from core.config import DataSettings

Moment = str | date | datetime
Source = str | Path | pd.DataFrame | Mapping[str, pd.DataFrame] | Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Market:
    """Bars by symbol, where they came from, and what cleaning did.

    frames: float64 open, high, low, close, volume over a strictly increasing UTC index named "time".
    """

    frames: Mapping[str, pd.DataFrame]
    info: DataInfo
    report: QualityReport


@dataclass(frozen=True, slots=True)
class _Raw:
    """One symbol's table before cleaning."""

    symbol: str
    table: pd.DataFrame
    source: str
    notes: tuple[str, ...] = ()
    timeframe: str | None = None
    adjust: bool = False


def load(
    ref: Source,
    *,
    settings: DataSettings | None = None,
    offline: bool = False,
    name: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    adjust: bool = False,
    clock: Clock | None = None,
) -> Market:
    """Load, clean and check bars.

    ref: a DataFrame, `{name: DataFrame}`, a path, a reference (`sample:goog`, `csv:PATH`, `parquet:PATH`,
    `yahoo:AAPL[:1d]`, `binance:BTC/USDT:1h`, `ibkr:AAPL:1h`), several references joined by commas, or a list of them.
    settings: period, limits and cache; the defaults when None. `settings.timeframe` is what exchanges and Yahoo
    are asked for when the reference names none (else 1d); of files it is what their bars must be.
    name: what to call the symbol, when there is one. start, end: first and last moment wanted, both included;
    a date as `end` includes that whole day; times without a zone are UTC. They go before the settings'.
    adjust: scale prices by the adjusted close, where there is one. offline: use no network, only the cache.
    Raises DataError and its kin for what you can mend, ProviderError when a provider fails and nothing is cached.
    """
    options = settings or _default_settings()
    first, last = window(start or options.start, end or options.end)
    raws = _read(ref, options, (first, last), offline=offline or options.offline, clock=clock or WallClock())
    if name is not None:
        if len(raws) != 1:
            raise ConfigError(
                f"one name for {len(raws)} symbols", hint="name each: load({'A': frame, 'B': frame})"
            )
        raws = [replace(raws[0], symbol=name)]
    symbols = [raw.symbol for raw in raws]
    doubled = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if doubled:
        raise DataError(f"two sources are called {doubled}", hint="load each symbol once")
    frames: dict[str, pd.DataFrame] = {}
    reports: list[QualityReport] = []
    for raw in raws:
        frame, report = _prepare(raw, options, first, last, adjust=adjust or raw.adjust)
        frames[raw.symbol] = frame
        reports.append(report)
    report = quality.merge(reports)
    return Market(frames, _info(raws, frames, report), report)


@cache
def _default_settings() -> DataSettings:
    from core.config import DataSettings

    return DataSettings.model_validate({})


def window(start: Moment | None, end: Moment | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First and last moment wanted in UTC, both included. A date as `end` becomes its last nanosecond."""
    first, last = _moment(start, "start"), _moment(end, "end")
    if last is not None and last == last.normalize() and not _names_a_time(end):
        last = last + pd.Timedelta(days=1) - pd.Timedelta(nanoseconds=1)
    if first is not None and last is not None and first > last:
        raise ConfigError(f"start {start} is after end {end}", hint="swap them")
    return first, last


def _moment(value: Moment | None, what: str) -> pd.Timestamp | None:
    if value is None:
        return None
    try:
        stamp = pd.Timestamp(value)
    except ValueError as error:
        raise ConfigError(
            f"{what} {value!r} is not a time", hint="write 2024-01-31 or 2024-01-31T09:30"
        ) from error
    if pd.isna(stamp):
        raise ConfigError(f"{what} {value!r} is not a time", hint="write 2024-01-31 or 2024-01-31T09:30")
    aware = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    return aware.as_unit("ns")


def _names_a_time(value: Moment | None) -> bool:
    return isinstance(value, datetime) or (isinstance(value, str) and ":" in value)


def _read(
    ref: Source,
    options: DataSettings,
    wanted: tuple[pd.Timestamp | None, pd.Timestamp | None],
    *,
    offline: bool,
    clock: Clock,
) -> list[_Raw]:
    if isinstance(ref, pd.DataFrame):
        parts = split_symbols(ref)
        return _frames(parts) if parts else [_Raw("DATA", ref, "DataFrame")]
    if isinstance(ref, Mapping):
        return _frames(ref)
    raws: list[_Raw] = []
    for reference in _references(ref):
        if reference.is_remote:
            raws.append(_read_remote(reference, options, wanted, offline=offline, clock=clock))
        elif reference.is_file:
            raws.extend(_read_file(reference))
        else:
            table = read_sample(reference.target)
            source = f"sample:{reference.target} ({SAMPLES[reference.target]})"
            raws.append(_Raw(reference.target.upper(), table, source, timeframe="1d"))
    return raws


def _frames(parts: Mapping[str, pd.DataFrame]) -> list[_Raw]:
    if not parts:
        raise DataQualityError("empty", "there are no symbols", hint="pass at least one frame")
    return [_Raw(str(symbol), table, "DataFrame") for symbol, table in parts.items()]


def _references(ref: str | Path | Sequence[str | Path]) -> list[Reference]:
    if isinstance(ref, str):
        return parse_references(ref)
    if isinstance(ref, Path):
        return [file_reference(ref)]
    if not isinstance(ref, Sequence):
        raise DataError(
            f"cannot load data from {type(ref).__name__}", hint="pass a DataFrame, a path or a reference"
        )
    return [reference for each in ref for reference in _references(each)]


def _read_file(reference: Reference) -> list[_Raw]:
    path = Path(reference.target).expanduser()
    readers = {"csv": read_csv, "parquet": read_parquet, "feather": read_feather}
    table = readers[reference.scheme](path)
    source = f"{reference.scheme}:{path}"
    parts = split_symbols(table)
    if parts:
        return [_Raw(symbol, part, source, adjust=reference.adjust) for symbol, part in parts.items()]
    return [_Raw(file_symbol(path), table, source, adjust=reference.adjust)]


def _read_remote(
    reference: Reference,
    options: DataSettings,
    wanted: tuple[pd.Timestamp | None, pd.Timestamp | None],
    *,
    offline: bool,
    clock: Clock,
) -> _Raw:
    timeframe = reference.timeframe or options.timeframe or "1d"
    spacing.parse_timeframe(timeframe)
    symbol = reference.target.upper() if reference.scheme == "yahoo" else reference.target
    references = [reference, *_instead(reference, symbol, timeframe, options)]
    providers = [provider_for(each, options) for each in references]
    table, notes, used = fetch_from_any(
        providers,
        symbol,
        timeframe,
        BarCache(Path(options.cache_dir)),
        start=wanted[0],
        end=wanted[1],
        now=pd.Timestamp(clock.now()).as_unit("ns"),
        offline=offline,
    )
    source = f"{references[providers.index(used)].scheme}:{symbol}:{timeframe}"
    return _Raw(symbol, table, source, notes, timeframe, reference.adjust)


def _instead(reference: Reference, symbol: str, timeframe: str, options: DataSettings) -> Iterator[Reference]:
    """The same series at those who are asked when the source does not answer."""
    names = [name.strip() for name in (options.fallback or "").split(",")]
    for name in dict.fromkeys(filter(None, names)):
        other = parse_reference(f"{name}:{symbol}:{timeframe}")
        if not other.is_remote:
            raise ConfigError(
                f"data.fallback: {name} serves no bars of {symbol}", hint="name exchanges, yahoo or ibkr"
            )
        if name != reference.scheme:
            yield other


def provider_for(reference: Reference, options: DataSettings) -> Provider:
    """Who serves a remote reference. Nothing is imported or connected before the first fetch."""
    if reference.scheme == "yahoo":
        return YahooProvider()
    if reference.scheme != "ibkr":
        return CcxtProvider(reference.scheme)
    host, _, port = options.ibkr.rpartition(":")
    return IBKRProvider(
        IBKRSettings(host, int(port), options.ibkr_client_id, regular_hours=options.regular_hours)
    )


def _prepare(
    raw: _Raw, options: DataSettings, first: pd.Timestamp | None, last: pd.Timestamp | None, *, adjust: bool
) -> tuple[pd.DataFrame, QualityReport]:
    timeframe = raw.timeframe or options.timeframe
    if first is None and last is None and timeframe is None:
        accepted = accept(raw.table, options.max_gap_bars)
        if accepted is not None:
            bars, report = accepted
            return bars, replace(report, notes=(*raw.notes, *report.notes)) if raw.notes else report
    try:
        arranged = arrange(raw.table, adjust=adjust)
    except DataQualityError as error:
        raise DataQualityError(
            error.check, f"{raw.symbol}: {error.message}", hint=error.hint, symbol=raw.symbol
        ) from error
    frame = _cut(arranged.frame, first, last, raw.symbol)
    bars, report = clean(
        frame,
        symbol=raw.symbol,
        max_gap_bars=options.max_gap_bars,
        timeframe=timeframe,
    )
    notes = (*raw.notes, *arranged.notes, *report.notes)
    skipped = 0 if frame is arranged.frame else int((arranged.frame.index < frame.index[0]).sum())
    cells = tuple(replace(cell, row=cell.row + skipped) for cell in report.cells)
    return bars, replace(report, notes=notes, cells=cells)


def _cut(
    frame: pd.DataFrame, first: pd.Timestamp | None, last: pd.Timestamp | None, symbol: str
) -> pd.DataFrame:
    if first is None and last is None:
        return frame
    index = pd.DatetimeIndex(frame.index)
    keep = (index >= (first or index.min())) & (index <= (last or index.max()))
    if not keep.any():
        raise DataQualityError(
            "empty",
            f"{symbol}: no bars in the period asked for",
            hint=f"the data runs from {index.min():%Y-%m-%d} to {index.max():%Y-%m-%d}",
            symbol=symbol,
        )
    return frame[keep]


def _info(raws: list[_Raw], frames: Mapping[str, pd.DataFrame], report: QualityReport) -> DataInfo:
    indexes = [cast("pd.DatetimeIndex", frame.index) for frame in frames.values()]
    known = next((raw.timeframe for raw in raws if raw.timeframe), None)
    timeframe = known or spacing.name_timeframe(spacing.infer_step(indexes[0].asi8))
    return DataInfo(
        source=", ".join(dict.fromkeys(raw.source for raw in raws)),
        symbols=tuple(frames),
        start=min(index[0] for index in indexes).to_pydatetime(warn=False),
        end=max(index[-1] for index in indexes).to_pydatetime(warn=False),
        bars=sum(len(index) for index in indexes),
        timeframe=timeframe,
        quality=report.as_dict(),
        notes=tuple(dict.fromkeys(report.notes)),
    )
