"""Recognise what the world calls its columns and how it writes its times.

Takes a frame as a file or a library gives it; returns one with the columns open, high, low, close, volume
(values untouched) over a UTC index named "time". Refuses what it would have to guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.errors import DataError, DataQualityError

PRICES = ("open", "high", "low", "close")
SYMBOL = "symbol"
COLUMNS = (*PRICES, "volume")
ALIASES = {
    "open": ("open", "o", "openprice", "openbid", "bidopen"),
    "high": ("high", "h", "max", "highprice", "highbid", "bidhigh"),
    "low": ("low", "l", "min", "lowprice", "lowbid", "bidlow"),
    "close": ("close", "c", "last", "price", "closelast", "closeprice", "closebid", "bidclose"),
    "volume": ("volume", "vol", "v", "volumebtc", "basevolume", "tickvol", "tickvolume", "qty", "amount"),
    "adjusted": ("adjclose", "adjustedclose", "closeadj"),
    "time": ("time", "timestamp", "datetime", "date", "opentime", "timestamputc", "ts", "t", "dt", "epoch",
             "unix", "unixtimestamp", "timeutc", "dateutc", "localtime", "gmttime", "starttime", "index"),
}  # fmt: skip
EPOCH_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
ZONE = re.compile(r"(?:Z|UTC|GMT|:\d{2}(?:\.\d+)?\s*[+-]\d{2}:?\d{2})$", re.IGNORECASE)
HEADERLESS = ("time", "open", "high", "low", "close", "volume")


@dataclass
class Arranged:
    """A frame in our layout, and what was noticed on the way. `ratio` is adjusted close over close, if any."""

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def split_symbols(frame: pd.DataFrame) -> dict[str, pd.DataFrame] | None:
    """Take a frame apart by symbol: by its column `symbol`, or by two levels of columns; None for a plain frame.

    Two levels are yfinance's default. The level that holds the names of prices is found by itself: yfinance puts it first, or second with
    `group_by="ticker"`.
    """
    if not isinstance(frame.columns, pd.MultiIndex):
        return _by_column(frame)
    levels = frame.columns.nlevels
    fields = [sum(_key(v) in PRICES for v in frame.columns.unique(i)) for i in range(levels)]
    if levels != 2 or not any(fields):
        raise DataQualityError(
            "missing-column",
            f"cannot tell prices from symbols in {levels} levels of columns",
            hint="use one level: open, high, low, close, volume",
        )
    level = 1 - fields.index(max(fields))
    symbols = frame.columns.unique(level)
    return {str(s): pd.DataFrame(frame.xs(s, axis=1, level=level)).dropna(how="all") for s in symbols}


def _by_column(frame: pd.DataFrame) -> dict[str, pd.DataFrame] | None:
    column = next((name for name in frame.columns if str(name).strip().lower() == SYMBOL), None)
    if column is None:
        return None
    parts = frame.groupby(column, sort=False)
    return {str(symbol).strip(): part.drop(columns=[column]) for symbol, part in parts}


def arrange(frame: pd.DataFrame, *, adjust: bool = False) -> Arranged:
    """Bring `frame` into our layout.

    adjust: scale open, high, low and close by adjusted close / close, so that dividends count too. Without
    it the prices stay as they are, which is what was traded at (providers apply splits to them already).
    Raises DataQualityError naming the check: empty, missing-column, time.
    """
    if len(frame) == 0:
        raise DataQualityError("empty", "there are no bars", hint="choose a source or a period that has some")
    columns = _recognise(frame)
    _require_prices(frame, columns)
    notes: list[str] = []
    index = _times(frame, columns, notes)
    data = {name: frame[columns[name]].to_numpy() for name in PRICES}
    if "volume" in columns:
        data["volume"] = frame[columns["volume"]].to_numpy()
    else:
        data["volume"] = np.zeros(len(frame))
        notes.append("no volume column: volume is 0")
    arranged = pd.DataFrame(data, index=index)
    if "adjusted" in columns:
        notes.extend(_adjusted(arranged, frame[columns["adjusted"]], adjust=adjust))
    return Arranged(arranged, notes)


def _key(name: object) -> str:
    return re.sub(r"[^a-z]", "", str(name).lower())


def _recognise(frame: pd.DataFrame) -> dict[str, object]:
    """Our name -> the frame's own column. An exact name wins over an alias that comes first."""
    found: dict[str, object] = {}
    by_key: dict[str, object] = {}
    for column in frame.columns:
        by_key.setdefault(_key(column), column)
    for name, aliases in ALIASES.items():
        hit = next((alias for alias in aliases if alias in by_key), None)
        if hit is not None:
            found[name] = by_key[hit]
    if "date" in by_key and "time" in by_key and found.get("time") != by_key["date"]:
        found["date"] = by_key["date"]
    return found


def _require_prices(frame: pd.DataFrame, columns: dict[str, object]) -> None:
    missing = [name for name in PRICES if name not in columns]
    if missing:
        there = ", ".join(str(c) for c in frame.columns[:12]) or "none"
        raise DataQualityError(
            "missing-column",
            f"no column {', '.join(missing)} among: {there}",
            hint="name the columns time, open, high, low, close, volume",
            missing=missing,
        )


def _times(frame: pd.DataFrame, columns: dict[str, object], notes: list[str]) -> pd.DatetimeIndex:
    if isinstance(frame.index, pd.DatetimeIndex):
        index = frame.index
    elif "time" in columns:
        values = frame[columns["time"]]
        if "date" in columns:
            values = frame[columns["date"]].astype(str) + " " + values.astype(str)
        index = parse_times(pd.Series(values.to_numpy()))
    elif isinstance(frame.index, pd.PeriodIndex):
        index = frame.index.to_timestamp()
    elif not isinstance(frame.index, pd.RangeIndex):
        index = parse_times(pd.Series(frame.index.to_numpy()))
    else:
        raise DataQualityError(
            "missing-column",
            "no column with times",
            hint="add a column time, date or timestamp, or a DatetimeIndex",
            missing=["time"],
        )
    if index.hasnans:
        row = int(np.argmax(index.isna())) + 1
        raise DataQualityError(
            "time", f"row {row} has no time", hint="give every row a time, or remove it", row=row
        )
    if index.tz is None:
        midnight = bool((index == index.normalize()).all())
        if not midnight:
            notes.append("times without a zone are taken as UTC")
        index = index.tz_localize("UTC")
    return index.tz_convert("UTC").as_unit("ns").rename("time")


def parse_times(values: pd.Series) -> pd.DatetimeIndex:
    """Times from text, epoch numbers (seconds to nanoseconds, told by their size) or datetimes.

    The result is in UTC when the text names zones, and naive when it names none.
    Dates such as 01/02/2024 are read only when other rows show which part is the day.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.DatetimeIndex(values)
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and not pd.api.types.is_bool_dtype(values):
        return _from_numbers(numbers.astype("float64"), values)
    text = values.map(lambda value: value if isinstance(value, str) else str(value)).str.strip()
    slashed = text.str.extract(r"^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?!\d)")
    try:
        if slashed.notna().all(axis=None):
            day_first = _day_first(slashed[0].astype(int), slashed[1].astype(int), str(text.iloc[0]))
            times = pd.DatetimeIndex(pd.to_datetime(text, utc=True, format="mixed", dayfirst=day_first))
        else:
            times = pd.DatetimeIndex(pd.to_datetime(text, utc=True))
    except (ValueError, TypeError):
        return _slowly(text)
    return times if bool(text.str.contains(ZONE).any()) else times.tz_localize(None)


def _slowly(text: pd.Series) -> pd.DatetimeIndex:
    """Each row by its own format; names the first that is no time at all."""
    times = pd.to_datetime(text, utc=True, format="mixed", errors="coerce")
    if times.isna().any():
        row = int(np.argmax(times.isna().to_numpy()))
        raise DataQualityError(
            "time",
            f"row {row + 1}: {str(text.iloc[row])[:40]!r} is not a time",
            hint="write times as 2024-01-31 or 2024-01-31 09:30:00",
            row=row + 1,
        )
    return pd.DatetimeIndex(times)


def _from_numbers(numbers: pd.Series, values: pd.Series) -> pd.DatetimeIndex:
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 19000101 and high < 21000000 and (numbers % 1 == 0).all():
        return parse_dates_yyyymmdd(numbers)
    unit = next((unit for size, unit in EPOCH_UNITS if low >= size), None)
    if unit is None:
        raise DataQualityError(
            "time",
            f"{values.iloc[0]!r} is not a time",
            hint="use dates such as 2024-01-31, or seconds or milliseconds since 1970",
        )
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    whole = pd.to_numeric(values, errors="coerce")
    exact = whole.to_numpy(dtype="int64") * scale if pd.api.types.is_integer_dtype(whole) else None
    stamps = exact if exact is not None else np.rint(numbers.to_numpy() * scale).astype("int64")
    return pd.DatetimeIndex(stamps.astype("datetime64[ns]"), tz="UTC")


def parse_dates_yyyymmdd(numbers: pd.Series) -> pd.DatetimeIndex:
    """Dates written as the number 20240131."""
    try:
        return pd.DatetimeIndex(
            pd.to_datetime(numbers.astype("int64").astype(str), format="%Y%m%d", utc=True)
        )
    except ValueError as error:
        raise DataQualityError(
            "time", f"not a date: {error}", hint="write dates as 2024-01-31 or 20240131"
        ) from error


def _day_first(first: pd.Series, second: pd.Series, example: str) -> bool:
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    if day_first != month_first:
        return day_first
    raise DataQualityError(
        "time",
        f"{example!r} may be day or month first, and the file does not tell",
        hint="write dates as YYYY-MM-DD",
    )


def _adjusted(arranged: pd.DataFrame, adjusted: pd.Series, *, adjust: bool) -> list[str]:
    close = pd.to_numeric(arranged["close"], errors="coerce").to_numpy(dtype="float64")
    target = pd.to_numeric(adjusted, errors="coerce").to_numpy(dtype="float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = target / close
    known = np.isfinite(ratio)
    if not adjust:
        if known.any() and np.allclose(ratio[known], 1.0, rtol=0, atol=1e-6):
            return []
        return ["prices are not adjusted for dividends (Adj Close differs; adjust=1 applies it)"]
    if not known.all():
        row = int(np.argmax(~known)) + 1
        raise DataError(
            f"adjusted close is missing or unusable in row {row}", hint="leave adjust out, or mend the row"
        )
    for name in PRICES:
        arranged[name] = pd.to_numeric(arranged[name], errors="coerce") * ratio
    return ["prices scaled by adjusted close / close"]
