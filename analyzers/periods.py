"""What follows from the times of bars: how many make a year, and the return of each calendar month."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

NAN = math.nan
STOCK_DAYS, ALL_DAYS, WEEKS, MONTHS = 252.0, 365.0, 52.0, 12.0
DAY = 86_400.0
DAY_NS = 86_400_000_000_000


def monthly_returns(equity: pd.Series) -> pd.DataFrame:
    """Return of each calendar month (UTC), a fraction: one row a year, columns 1 to 12, NaN outside the run.

    equity: one value a bar, DatetimeIndex. A month counts from the last value of the month before (the first
    from the run's first value), so that the months of a run compound to its total return. A month without
    bars is zero. NaN where the account was lost.
    """
    import pandas as pd

    known = equity[np.isfinite(equity.to_numpy(dtype=np.float64))].astype("float64")
    if known.empty:
        return pd.DataFrame(columns=range(1, 13), dtype="float64")
    index = pd.DatetimeIndex(known.index)
    months = (index.year * 12 + index.month - 1).to_numpy()
    last = known.groupby(months).last().reindex(range(months[0], months[-1] + 1)).ffill()
    before = last.shift(1, fill_value=known.iloc[0])
    returns = (last / before - 1.0).where((last > 0) & (before > 0))
    returns.index = pd.MultiIndex.from_arrays([returns.index // 12, returns.index % 12 + 1])
    table: pd.DataFrame = returns.unstack().reindex(columns=range(1, 13))
    return table


def periods_per_year(index: pd.Index) -> float:
    """Bars a year, read off the times of the bars; NaN below two bars or without times.

    Monthly 12, weekly 52, daily 252, or 365 where weekends trade too (312 with one of their two days).
    Intraday: bars of an ordinary day times trading days a year. Longer and odd spacings in proportion.
    """
    import pandas as pd

    if not isinstance(index, pd.DatetimeIndex) or len(index) < 2:
        return NAN
    times = nanoseconds(index)
    spacing = _median(np.diff(times)) / 1e9
    if spacing <= 0:
        return NAN
    local = times if index.tz is None or index.tz is UTC else index.as_unit("ns").tz_localize(None).asi8
    dates = local // DAY_NS
    starts = np.flatnonzero(dates[1:] != dates[:-1]) + 1
    bars = np.diff(np.concatenate(([0], starts, [len(dates)])))
    dates = dates[np.concatenate(([0], starts))]
    if spacing < 0.8 * DAY:
        return _intraday_periods(dates, bars, spacing)
    days = spacing / DAY
    if days < 5.5:
        return _trading_days(dates, bars) / max(1, round(days))
    if days < 10.5:
        return WEEKS
    return MONTHS / max(1, round(days / 30.4)) if days > 25 else ALL_DAYS / round(days)


def _median(distances: npt.NDArray[np.int64]) -> float:
    """The median, seen at once where most distances are the shortest."""
    shortest = int(distances.min())
    if 2 * np.count_nonzero(distances == shortest) > len(distances):
        return float(shortest)
    return float(np.median(distances))


def _intraday_periods(dates: npt.NDArray[np.int64], bars: npt.NDArray[np.int64], spacing: float) -> float:
    """dates: days since 1970 that have bars, rising; bars: how many each has; spacing: seconds."""
    # On few dates the first and the last are cut off; on many, the ordinary day is the middle one.
    ordinary = float(bars.max() if bars.size <= 3 else np.median(bars))
    days = _trading_days(dates, bars)
    saw_weekend = int(dates[-1] - dates[0]) + _weekday(int(dates[0])) >= 6
    if not saw_weekend and ordinary * spacing > 23 / 24 * DAY:
        days = ALL_DAYS
    return ordinary * days


def _trading_days(dates: npt.NDArray[np.int64], bars: npt.NDArray[np.int64]) -> float:
    """252, 312 or 365 days a year by the weekdays that trade regularly (a rare special session does not)."""
    share = np.bincount((dates + 3) % 7, weights=bars, minlength=7) / bars.sum()
    regular = int((share > 0.05).sum())
    return {6: 6 * WEEKS, 7: ALL_DAYS}.get(regular, STOCK_DAYS)


def _weekday(date: int) -> int:
    return (date + 3) % 7  # the first day of 1970 was a Thursday


def nanoseconds(times: pd.Index | pd.Series) -> npt.NDArray[np.int64]:
    """Times as whole nanoseconds since 1970, UTC."""
    import pandas as pd

    index = times if isinstance(times, pd.DatetimeIndex) else pd.DatetimeIndex(times)
    return np.asarray((index if index.unit == "ns" else index.as_unit("ns")).asi8)


__all__ = ["monthly_returns", "nanoseconds", "periods_per_year"]
