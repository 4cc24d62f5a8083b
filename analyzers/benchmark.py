"""A run beside something else that could have been held: a market, an index, another account.

returns, market: (n,) float64, simple, per bar, of the same bars, as fractions. Annualised by `periods`, bars a year.
The risk-free rate is zero. What is not defined (too few bars, a benchmark that does not move) is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzers.periods import DAY_NS, nanoseconds, periods_per_year
from analyzers.returns import NAN, ROUNDING, FloatArray, simple_returns, total_return
from core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

KEYS = (
    "benchmark_return",
    "excess_return",
    "alpha",
    "beta",
    "correlation",
    "tracking_error",
    "information_ratio",
)


def benchmark_metrics(equity: pd.Series, benchmark: pd.Series | None) -> dict[str, float]:
    """`KEYS`, of the bars that `aligned` finds; NaN where one is not defined, all of them without a benchmark.

    equity: one value a bar, DatetimeIndex. benchmark_return: total return of the benchmark. excess_return: what the
    account returned more, both fractions. tracking_error: `volatility` of the differences. Raises ConfigError for a
    benchmark that is not a series with times.
    """
    if benchmark is None:
        return dict.fromkeys(KEYS, NAN)
    mine, other, periods = aligned(equity, benchmark)
    growth, market = total_return(mine), total_return(other)
    returns, moves = simple_returns(mine), simple_returns(other)
    found = dict.fromkeys(KEYS, NAN) | {"benchmark_return": market, "excess_return": growth - market}
    if returns.size != moves.size or returns.size < 2:
        return found
    active = returns - moves
    return found | {
        "alpha": alpha(returns, moves, periods),
        "beta": beta(returns, moves),
        "correlation": correlation(returns, moves),
        "tracking_error": float(active.std(ddof=1)) * math.sqrt(periods),
        "information_ratio": information_ratio(returns, moves, periods),
    }


def beta(returns: FloatArray, market: FloatArray) -> float:
    """Slope of the regression of returns on the market: covariance over variance. Sharpe (1964)."""
    if returns.size < 2:
        return NAN
    centred = market - market.mean()
    variance = float(np.mean(centred**2))
    return float(np.mean(centred * returns)) / variance if variance > ROUNDING**2 else NAN


def alpha(returns: FloatArray, market: FloatArray, periods: float) -> float:
    """What the account earned a year beyond `beta` times the market, compounded. Jensen (1968)."""
    slope = beta(returns, market)
    if math.isnan(slope):
        return NAN
    each = float(returns.mean()) - slope * float(market.mean())
    exponent = math.log1p(each) * periods if each > -1 else NAN
    return math.expm1(exponent) if exponent < 700 else NAN


def correlation(returns: FloatArray, market: FloatArray) -> float:
    """Pearson's, in [-1, 1]."""
    if returns.size < 2:
        return NAN
    one, other = returns - returns.mean(), market - market.mean()
    sizes = [math.sqrt(float(np.mean(each**2))) for each in (one, other)]
    if min(sizes) <= ROUNDING:
        return NAN
    return min(1.0, max(-1.0, float(np.mean(one * other)) / (sizes[0] * sizes[1])))


def information_ratio(returns: FloatArray, market: FloatArray, periods: float) -> float:
    """Annualised mean over standard deviation (ddof 1) of the returns beyond the market's. Goodwin (1998).

    NaN where the account moves as the market does.
    """
    active = returns - market
    deviation = float(active.std(ddof=1)) if active.size > 1 else 0.0
    return float(active.mean()) / deviation * math.sqrt(periods) if deviation > ROUNDING else NAN


def aligned(equity: pd.Series, benchmark: pd.Series) -> tuple[FloatArray, FloatArray, float]:
    """Values of both at the bars at which both have a new one, (k,) each, and those bars a year.

    Where one of them has at most one value a day, days are compared, by the dates that their times show, and the last
    value of each counts; else times. A benchmark that rests (a holiday, a weekend) leaves the bar out, and the next
    return covers both. Values that are not finite are left out, times without a zone are UTC.
    """
    mine, other = _sound(equity, "the equity"), _sound(benchmark, "the benchmark")
    if _daily(mine.index) or _daily(other.index):
        keys = [_dates(each.index) for each in (mine, other)]
        mine, other = (each[_last_of(key)] for each, key in zip((mine, other), keys, strict=True))
        here, there = (_dates(each.index) for each in (mine, other))
    else:
        here, there = nanoseconds(mine.index), nanoseconds(other.index)
    place = np.searchsorted(there, here, side="right") - 1
    fresh = place > np.concatenate(([-1], place[:-1]))
    joined = mine[fresh]
    return (
        joined.to_numpy(dtype=np.float64),
        other.to_numpy(dtype=np.float64)[place[fresh]],
        periods_per_year(joined.index),
    )


def _sound(values: pd.Series, what: str) -> pd.Series:
    """The finite values in the order of their times; of equal times the last."""
    import pandas as pd

    if not isinstance(values, pd.Series) or not isinstance(values.index, pd.DatetimeIndex):
        raise ConfigError(
            f"{what} is not a series of values with times",
            hint="pass a pandas Series of prices or of an account, with a DatetimeIndex",
        )
    known = values[np.isfinite(values.to_numpy(dtype=np.float64))]
    if not known.index.is_monotonic_increasing:
        known = known.sort_index(kind="stable")
    sound: pd.Series = known[~known.index.duplicated(keep="last")]
    return sound


def _dates(index: pd.Index) -> npt.NDArray[np.int64]:
    """Days since 1970, of the date that each time shows where it is."""
    import pandas as pd

    times = pd.DatetimeIndex(index)
    return nanoseconds(times.tz_localize(None) if times.tz is not None else times) // DAY_NS


def _daily(index: pd.Index) -> bool:
    dates = _dates(index)
    return bool((np.diff(dates) > 0).all())


def _last_of(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.append(keys[1:] != keys[:-1], True)[: len(keys)]


__all__ = [
    "KEYS",
    "aligned",
    "alpha",
    "benchmark_metrics",
    "beta",
    "correlation",
    "information_ratio",
]
