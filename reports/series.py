"""The series of a report that are not the run's own: rolling figures, how returns are spread, the account by day.

equity: one value a bar in account currency, aware DatetimeIndex, finite. Returns are simple, as fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzers.metrics import simple_returns
from analyzers.periods import DAY_NS, nanoseconds

FloatArray = npt.NDArray[np.float64]
FEWEST_BARS, FEWEST_DAYS = 20, 30
MOST_BINS = 60
ROUNDING = 1e-14
"""A deviation below this is the rounding of equal returns."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How returns are spread. `of`: what one of them is of, "bar" or "day".

    edges: (k + 1,), counts: (k,) of the returns that are not zero; still: how many are exactly zero. The moments are
    over all of them: mean, deviation (ddof 1), skewness, kurtosis (excess), positive (share above zero).
    """

    of: str
    edges: FloatArray
    counts: npt.NDArray[np.int64]
    still: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    positive: float
    best: float
    worst: float


def finite(equity: pd.Series) -> pd.Series:
    """Without the bars that have no finite value."""
    known: pd.Series = equity[np.isfinite(equity.to_numpy(dtype=np.float64))]
    return known.astype("float64")


def by_day(equity: pd.Series) -> pd.Series:
    """The last value of each day (UTC) of an intraday account, as it is where that leaves too few days."""
    days = nanoseconds(equity.index) // DAY_NS
    last = np.append(days[1:] != days[:-1], True)[: len(days)]
    return equity[last] if FEWEST_DAYS <= last.sum() < len(equity) else equity


def rolling(equity: pd.Series, periods: float) -> pd.DataFrame:
    """Sharpe (annualised), volatility (annualised) and return over the last `attrs["bars"]` bars, by bar.

    The window is half a year, or a quarter of the run where that is shorter; empty where it would be below
    `FEWEST_BARS` bars. periods: bars a year.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        returns = pd.Series(simple_returns(equity.to_numpy(dtype=np.float64)), dtype="float64")
    window = int(min(periods / 2, len(returns) / 4)) if math.isfinite(periods) else 0
    if window < FEWEST_BARS:
        return pd.DataFrame(columns=["sharpe", "volatility", "total_return"], dtype="float64")
    mean, deviation = returns.rolling(window).mean(), returns.rolling(window).std()
    values = equity.to_numpy(dtype=np.float64)
    table = pd.DataFrame(
        {
            "sharpe": (mean / deviation.where(deviation > ROUNDING)) * math.sqrt(periods),
            "volatility": deviation * math.sqrt(periods),
        }
    ).iloc[window - 1 :]
    with np.errstate(over="ignore"):
        table["total_return"] = values[window:] / values[:-window] - 1.0
    table.index = equity.index[window:]
    table.attrs["bars"] = window
    return table


def distribution(equity: pd.Series) -> Distribution | None:
    """How the returns are spread, by day where bars are shorter.

    None below `FEWEST_BARS` returns that are not zero, or where one is beyond measure.
    """
    daily = by_day(equity)
    with np.errstate(over="ignore", invalid="ignore"):
        returns = simple_returns(daily.to_numpy(dtype=np.float64))
    moving = returns[returns != 0]
    # Squares are summed: beyond this they are no floats.
    if moving.size < FEWEST_BARS or not np.abs(returns).max() < 1e100:
        return None
    days = nanoseconds(equity.index)
    within = len(daily) < len(equity) or bool(np.median(np.diff(days)) == DAY_NS)
    counts, edges = np.histogram(moving, bins=_edges(moving))
    deviation = float(returns.std(ddof=1))
    standard = (returns - returns.mean()) / deviation if deviation > ROUNDING else np.zeros_like(returns)
    return Distribution(
        of="day" if within else "bar",
        edges=edges,
        counts=counts,
        still=int(returns.size - moving.size),
        mean=float(returns.mean()),
        deviation=deviation,
        skewness=float(np.mean(standard**3)),
        kurtosis=float(np.mean(standard**4)) - 3.0,
        positive=float((returns > 0).mean()),
        best=float(returns.max()),
        worst=float(returns.min()),
    )


def _edges(values: FloatArray) -> FloatArray:
    """Freedman and Diaconis (1981), with an edge at zero and at most about `MOST_BINS` bins."""
    low, high = float(values.min()), float(values.max())
    quarter, rest = np.percentile(values, [25, 75])
    width = 2.0 * float(rest - quarter) / values.size ** (1 / 3)
    width = max(width, (high - low) / MOST_BINS)
    if not width > 0:
        width = abs(high) or 1.0
    return np.asarray(np.arange(math.floor(low / width), math.ceil(high / width) + 1) * width)


__all__ = ["Distribution", "by_day", "distribution", "finite", "rolling"]
