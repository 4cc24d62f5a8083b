"""Make bars fit to trade on, or refuse them by name.

What is mended: text, Decimal and None become float64; prices of 0 count as missing; missing prices and
missing bars are filled from the bar before when at most `max_gap_bars` in a row, and listed. Volume is
never carried forward: unknown volume is 0, a volume of 0 stays. Everything else is refused.
Filling looks back only, so later bars never change earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import DataGapError, DataQualityError
from feeds import spacing
from feeds.layout import COLUMNS, PRICES
from feeds.quality import BadCell, QualityReport

MAX_GAP_BARS = 5
# Vendors round prices and adjust them by factors: a high this close below the body is rounding, not an error.
ROUNDING = 1e-9
MISSING_WORDS = frozenset({"", "nan", "null", "none", "na", "<na>", "nat"})

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass
class _Found:
    cells: list[BadCell] = field(default_factory=list)
    zero_prices: int = 0
    filled_values: int = 0
    missing_volumes: int = 0
    notes: list[str] = field(default_factory=list)


def clean(
    frame: pd.DataFrame,
    *,
    symbol: str = "data",
    max_gap_bars: int = MAX_GAP_BARS,
    timeframe: str | None = None,
) -> tuple[pd.DataFrame, QualityReport]:
    """Coerce, fill and validate bars.

    frame: columns open, high, low, close and perhaps volume; a DatetimeIndex (naive times are UTC).
    timeframe: the distance between bars such as `1h`; inferred when None.
    Returns float64 bars over a strictly increasing UTC index named "time", and what was done.
    Raises DataQualityError (`check` names which) and DataGapError.
    """
    _require_columns(frame, symbol)
    found = _Found()
    index = utc_index(frame.index, symbol)
    _check_times(index, symbol)
    columns = {name: _numbers(frame, name, symbol, found) for name in COLUMNS}
    _refuse_impossible(columns, index, symbol)
    for name in PRICES:
        zero = columns[name] == 0
        found.zero_prices += int(zero.sum())
        columns[name][zero] = np.nan
    unknown = np.isnan(columns["volume"])
    found.missing_volumes = int(unknown.sum())
    columns["volume"][unknown] = 0.0
    filled = _fill_rows(columns, index, max_gap_bars, symbol, found)
    bars = pd.DataFrame(columns, index=index)
    inserted, closures = _find_missing_bars(index, timeframe, max_gap_bars, symbol, found)
    bars = _insert(bars, inserted)
    validate(bars, symbol=symbol)
    times = index[filled].append(inserted).sort_values()
    report = QualityReport(
        rows=len(frame),
        bars=len(bars),
        zero_prices=found.zero_prices,
        filled_values=found.filled_values,
        missing_volumes=found.missing_volumes,
        inserted_bars=len(inserted),
        closures=closures,
        cells=tuple(found.cells),
        filled_times=tuple(time.to_pydatetime(warn=False) for time in times),
        notes=tuple(found.notes),
    )
    return bars, report


def validate(frame: pd.DataFrame, *, symbol: str = "data") -> None:
    """Refuse bars that cannot be traded on; changes nothing.

    frame: numeric open, high, low, close, volume over a DatetimeIndex. Raises DataQualityError whose `check` is
    empty, missing-column, unsorted-time, duplicate-time, nan, infinite, negative-price, zero-price,
    negative-volume, high-low, high-below-body or low-above-body.
    """
    _require_columns(frame, symbol)
    index = utc_index(frame.index, symbol)
    _check_times(index, symbol)
    columns = {
        name: frame[name].to_numpy(dtype="float64") if name in frame else np.zeros(len(frame))
        for name in COLUMNS
    }
    for name, values in columns.items():
        _refuse(
            "nan", np.isnan(values), index, symbol, f"{name} is not a number", "fill or remove these rows"
        )
    _refuse_impossible(columns, index, symbol)
    for name in PRICES:
        _refuse("zero-price", columns[name] == 0, index, symbol, f"{name} is 0", "fill or remove these rows")
    _check_shape(columns, index, symbol)


def utc_index(index: pd.Index, symbol: str = "data") -> pd.DatetimeIndex:
    """The index in UTC nanoseconds, named "time"; naive times are UTC. Refuses anything but datetimes."""
    if not isinstance(index, pd.DatetimeIndex):
        raise DataQualityError(
            "missing-column",
            f"{symbol}: the index holds no times",
            hint="use a DatetimeIndex",
            missing=["time"],
        )
    aware = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return aware.as_unit("ns").rename("time")


def _require_columns(frame: pd.DataFrame, symbol: str) -> None:
    if len(frame) == 0:
        raise DataQualityError(
            "empty", f"{symbol}: there are no bars", hint="choose a source or a period that has some"
        )
    missing = [name for name in PRICES if name not in frame]
    if missing:
        raise DataQualityError(
            "missing-column",
            f"{symbol}: no column {', '.join(missing)}",
            hint="name the columns open, high, low, close, volume",
            missing=missing,
        )


def _check_times(index: pd.DatetimeIndex, symbol: str) -> None:
    if index.hasnans:
        raise DataQualityError(
            "time", f"{symbol}: a row has no time", hint="give every row a time, or remove it"
        )
    steps = np.diff(index.asi8, prepend=index.asi8[0] - 1)
    _refuse("unsorted-time", steps < 0, index, symbol, "time runs backwards", "sort the rows, oldest first")
    _refuse("duplicate-time", steps == 0, index, symbol, "the same time twice", "keep one row for each time")


def _numbers(frame: pd.DataFrame, name: str, symbol: str, found: _Found) -> Floats:
    """A column as a new float64 array; what is not a number becomes NaN and is listed."""
    if name not in frame:
        found.notes.append(f"no {name} column: {name} is 0")
        return np.zeros(len(frame))
    column = frame[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return np.array(column.to_numpy(dtype="float64", na_value=np.nan), copy=True)
    numbers = pd.to_numeric(column.map(_plain), errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    values = np.array(numbers, copy=True)
    for row in np.flatnonzero(np.isnan(values)):
        text = str(column.iloc[row]).strip()
        if text.lower() not in MISSING_WORDS:
            found.cells.append(BadCell(symbol, int(row) + 1, name, text[:40]))
    return values


def _plain(value: object) -> object:
    """What pandas can turn into a number: Decimal and text as text, None and booleans as nothing."""
    if value is None or value is pd.NA or isinstance(value, bool):
        return None
    return value if isinstance(value, int | float) else str(value).strip()


def _refuse_impossible(columns: dict[str, Floats], index: pd.DatetimeIndex, symbol: str) -> None:
    for name, values in columns.items():
        _refuse(
            "infinite", np.isinf(values), index, symbol, f"{name} is infinite", "mend or remove these rows"
        )
    for name in PRICES:
        _refuse(
            "negative-price",
            columns[name] < 0,
            index,
            symbol,
            f"{name} is negative",
            "mend or remove these rows",
        )
    negative = columns["volume"] < 0
    _refuse("negative-volume", negative, index, symbol, "volume is negative", "mend these rows")


def _check_shape(columns: dict[str, Floats], index: pd.DatetimeIndex, symbol: str) -> None:
    op, high, low, close = (columns[name] for name in PRICES)
    slack = ROUNDING * high
    hint = "mend or remove these rows"
    _refuse("high-low", high < low - slack, index, symbol, "high is below low", hint)
    top, bottom = np.maximum(op, close), np.minimum(op, close)
    _refuse("high-below-body", high < top - slack, index, symbol, "high is below open or close", hint)
    _refuse("low-above-body", low > bottom + slack, index, symbol, "low is above open or close", hint)


def _refuse(check: str, bad: Flags, index: pd.DatetimeIndex, symbol: str, what: str, hint: str) -> None:
    count = int(bad.sum())
    if count:
        first = int(np.argmax(bad))
        where = describe_time(index[first])
        rows = "1 row" if count == 1 else f"{count:,} rows"
        raise DataQualityError(
            check,
            f"{symbol}: {what} in {rows}, first in row {first + 1} at {where}",
            hint=hint,
            symbol=symbol,
            count=count,
            row=first + 1,
            time=where,
        )


def describe_time(time: pd.Timestamp) -> str:
    """A time as a person writes it: the date alone at midnight."""
    return time.strftime("%Y-%m-%d") if time == time.normalize() else time.strftime("%Y-%m-%d %H:%M:%S")


def _fill_rows(
    columns: dict[str, Floats], index: pd.DatetimeIndex, limit: int, symbol: str, found: _Found
) -> Flags:
    """Fill missing prices in place from the close before, within the range the row does tell.

    Returns (n,) which rows had one. A row without any price becomes flat at the close before.
    """
    missing = np.isnan(np.column_stack([columns[name] for name in PRICES]))
    rows = np.asarray(missing.any(axis=1), dtype=np.bool_)
    if not rows.any():
        return rows
    if rows[0]:
        raise DataQualityError(
            "nan",
            f"{symbol}: prices are missing in the first row, {describe_time(index[0])}, with none before to fill from",
            hint="remove the rows before the first complete bar",
            symbol=symbol,
            count=int(rows.sum()),
            row=1,
        )
    _refuse_long_run(rows, index, limit, symbol)
    found.filled_values = int(missing.sum())
    op, high, low, close = (columns[name] for name in PRICES)
    for i in np.flatnonzero(rows):
        known_high = high[i] if not np.isnan(high[i]) else np.inf
        known_low = low[i] if not np.isnan(low[i]) else -np.inf
        carried = min(max(close[i - 1], known_low), known_high)
        close[i] = carried if np.isnan(close[i]) else close[i]
        op[i] = carried if np.isnan(op[i]) else op[i]
        high[i] = max(op[i], close[i]) if np.isnan(high[i]) else high[i]
        low[i] = min(op[i], close[i]) if np.isnan(low[i]) else low[i]
    return rows


def _refuse_long_run(rows: Flags, index: pd.DatetimeIndex, limit: int, symbol: str) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > limit:
            first, last = describe_time(index[start]), describe_time(index[stop - 1])
            raise DataGapError(
                f"{symbol}: prices are missing in {stop - start} bars in a row, {first} to {last}, limit {limit}",
                hint=f"mend the data, or allow it with data.max_gap_bars={stop - start}",
                symbol=symbol,
                bars=int(stop - start),
                start=first,
                end=last,
                limit=limit,
            )


def _find_missing_bars(
    index: pd.DatetimeIndex, timeframe: str | None, limit: int, symbol: str, found: _Found
) -> tuple[pd.DatetimeIndex, int]:
    """Times of the bars to insert, and the number of breaks that are closures. Refuses a gap over the limit."""
    inferred = spacing.infer_step(index.asi8)
    step = spacing.parse_timeframe(timeframe) if timeframe else inferred
    if timeframe and len(index) > 2 and 0 < inferred < step:
        raise DataQualityError(
            "timeframe",
            f"{symbol}: the bars are {spacing.name_timeframe(inferred)} apart, not {timeframe}",
            hint="correct data.timeframe, or leave it out",
        )
    if not step and len(index) > 2:
        found.notes.append("bars follow no regular step: gaps were not checked")
    closures = 0
    times: list[int] = []
    breaks = spacing.find_breaks(index, step, limit)
    quiet = sum(gap.quiet for gap in breaks)
    if quiet:
        found.notes.append(
            f"{quiet:,} runs of more than {limit} missing bars left open: this source sends no bar without trades"
        )
    for gap in breaks:
        if gap.closure:
            closures += 1
        elif gap.bars > limit:
            raise _gap_error(index, gap, limit, symbol)
        else:
            start = int(index.asi8[gap.after])
            times.extend(start + k * step for k in range(1, gap.bars + 1))
    stamps = np.array(times, dtype="int64").astype("datetime64[ns]")
    return pd.DatetimeIndex(stamps, tz="UTC", name="time"), closures


def _gap_error(index: pd.DatetimeIndex, gap: spacing.Break, limit: int, symbol: str) -> DataGapError:
    after, before = describe_time(index[gap.after]), describe_time(index[gap.before])
    return DataGapError(
        f"{symbol}: {gap.bars:,} bars are missing between {after} and {before}, limit {limit}",
        hint=f"complete the data, or allow it with data.max_gap_bars={gap.bars}",
        symbol=symbol,
        bars=gap.bars,
        after=after,
        before=before,
        limit=limit,
    )


def _insert(bars: pd.DataFrame, times: pd.DatetimeIndex) -> pd.DataFrame:
    """Flat bars at the close before, without volume, at `times`."""
    if not len(times):
        return bars
    whole = bars.reindex(bars.index.append(times).sort_values())
    whole.index.name = "time"
    close = whole["close"].ffill()
    for name in PRICES:
        whole[name] = whole[name].fillna(close)
    whole["volume"] = whole["volume"].fillna(0.0)
    return whole
