"""How much of a figure is luck: what is left of a Sharpe ratio once every trial is counted.

Sharpe ratios are per bar, not annualised, unless a name says otherwise. Trials are the parameter sets that were tried.
`moments` is (n, blocks, 3) float64: for each of n trials and each of an even number of equal, consecutive parts of the
bars, how many returns it holds, their sum and the sum of their squares. Nothing here needs the returns themselves.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.metrics import NORMAL, sharpe_probability

Floats = NDArray[np.float64]

EULER = 0.5772156649015329
COUNT, SUM, SQUARES = 0, 1, 2
CHUNK = 4_000_000
"""Cells of the matrices that are held at one time."""
TINY = 1e-14
"""A variance below this part of the mean square is the rounding of equal returns."""


def expected_maximum(trials: float) -> float:
    """The largest of so many independent standard normal draws, on average; 0 for a single one.

    Bailey and López de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), eq. 6.
    """
    if trials <= 1:
        return 0.0
    return (1 - EULER) * NORMAL.inv_cdf(1 - 1 / trials) + EULER * NORMAL.inv_cdf(1 - 1 / (trials * math.e))


def deflated_sharpe(
    sharpe: float,
    bars: int,
    *,
    trials: float,
    variance: float,
    skewness: float = 0.0,
    excess: float = 0.0,
) -> float:
    """The probability that the Sharpe ratio of the best of `trials` is more than the luck of so many tries.

    trials: how many independent ones (`effective_trials`). variance: of the Sharpe ratio over the trials, per bar.
    excess: kurtosis less three. Bailey and López de Prado (2014).
    """
    luck = math.sqrt(max(variance, 0.0)) * expected_maximum(trials)
    return sharpe_probability(sharpe, bars, luck, skewness, excess)


def minimum_backtest_length(trials: float, sharpe: float = 1.0) -> float:
    """Years of data below which the best of `trials` without any skill shows an annual Sharpe ratio of `sharpe`.

    Bailey, Borwein, López de Prado and Zhu (2014), "Pseudo-Mathematics and Financial Charlatanism", Notices of the
    AMS 61(5), theorem 1.
    """
    return (expected_maximum(trials) / sharpe) ** 2 if sharpe > 0 else math.inf


def sharpe_of(moments: Floats) -> Floats:
    """Sharpe ratios from sums: (..., 3) to (...); 0 where nothing moved, as for an account that never traded."""
    count, total, squares = moments[..., COUNT], moments[..., SUM], moments[..., SQUARES]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        variance = (squares - total * mean) / (count - 1)
        found = mean / np.sqrt(variance)
    moves = (count > 1) & (variance > TINY * np.maximum(squares / np.maximum(count, 1), 1e-300))
    return np.where(moves, found, 0.0)


def effective_trials(moments: Floats) -> float:
    """As how many independent trials n correlated ones count: rho + (1 - rho) n, rho their average correlation.

    Correlations are those of the parts' returns. Trials that never traded count as one.
    Bailey and López de Prado (2014), appendix 3.
    """
    n = len(moments)
    if n < 2:
        return float(n)
    sums = moments[..., SUM]
    centred = sums - sums.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    moving = norm > 0
    count = int(moving.sum())
    idle = 1.0 if count < n else 0.0
    if count < 2:
        return max(1.0, count + idle)
    unit = centred[moving] / norm[moving, None]
    total = float((unit.sum(axis=0) ** 2).sum())
    correlation = (total - count) / (count * (count - 1))
    correlation = min(max(correlation, 0.0), 1.0)
    return correlation + (1 - correlation) * count + idle


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What combinatorially symmetric cross-validation finds.

    probability: share of the splits in which the trial that was best in one half is below the median in the other;
    NaN with fewer than two trials. logits: (splits,), in no order, its relative rank out of sample as log odds. degradation: slope
    of its out-of-sample Sharpe ratio on the one in sample. loss: share of splits in which it loses out of sample.
    in_sample, out_of_sample: (splits,) its Sharpe ratios.
    """

    probability: float
    logits: Floats
    degradation: float
    loss: float
    in_sample: Floats
    out_of_sample: Floats


def overfitting(moments: Floats) -> Overfitting:
    """The probability of backtest overfitting, by every split of the parts into two halves.

    Bailey, Borwein, López de Prado and Zhu (2015), "The Probability of Backtest Overfitting", Journal of
    Computational Finance 20(4). Raises ValueError for an odd number of parts.
    """
    n, blocks = moments.shape[:2]
    if blocks % 2:
        raise ValueError(f"{blocks} parts cannot be halved")
    if n < 2:
        nothing = np.empty(0)
        return Overfitting(math.nan, nothing, math.nan, math.nan, nothing, nothing)
    from analyzers.splits import judged

    # Of two splits that mirror each other one is enough: what is inside of one is outside of the other.
    halves = np.array(
        [
            [part in chosen for part in range(blocks)]
            for chosen in itertools.combinations(range(blocks), blocks // 2)
            if 0 in chosen
        ]
    )
    rank, inside, outside = judged(np.asarray(moments, dtype=np.float64), halves)
    logits = np.log(rank / (1 - rank))
    spread = float(np.var(inside))
    slope = float(np.cov(inside, outside, bias=True)[0, 1]) / spread if spread > 0 else math.nan
    return Overfitting(
        float(np.mean(logits <= 0)), logits, slope, float(np.mean(outside < 0)), inside, outside
    )


# -- intervals


def block_length(returns: Floats) -> float:
    """The mean length of blocks for the stationary bootstrap, bars, at least 1.

    Politis and White (2004), "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews
    23(1), with the correction of Patton, Politis and White (2009).
    """
    n = len(returns)
    if n < 8:
        return 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        centred = returns - returns.mean()
        power = float(centred @ centred) / n
    if not 0 < power < math.inf:
        return 1.0
    run = max(5, int(math.sqrt(math.log10(n))))
    longest = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariance = np.array([float(centred[: n - lag] @ centred[lag:]) / n for lag in range(longest + 1)])
    small = np.abs(covariance[1:] / power) < 2 * math.sqrt(math.log10(n) / n)
    lag = next((k for k in range(len(small) - run + 1) if small[k : k + run].all()), None)
    if lag is None:
        large = np.flatnonzero(~small)
        lag = int(large[-1]) + 1 if len(large) else 1
    width = min(2 * max(lag, 1), longest)
    lags = np.arange(1, width + 1)
    weights = np.minimum(1.0, 2 * (1 - lags / width))
    flat = power + 2 * float(weights @ covariance[1 : width + 1])
    slope = 2 * float((weights * lags) @ covariance[1 : width + 1])
    if flat <= 0:
        return 1.0
    length = (slope**2 / flat**2) ** (1 / 3) * n ** (1 / 3)
    return float(min(max(length, 1.0), math.ceil(min(3 * math.sqrt(n), n / 3))))


def resampled(returns: Floats, draws: int, *, seed: int, length: float | None = None) -> Floats:
    """Stationary bootstrap resamples of returns, (draws, n): blocks of geometric length, wrapped around.

    length: mean block length in bars, by `block_length` when None. Politis and Romano (1994), "The Stationary
    Bootstrap", JASA 89.
    """
    n = len(returns)
    rng = np.random.default_rng(seed)
    chance = 1 / (block_length(returns) if length is None else max(length, 1.0))
    starts = rng.random((draws, n)) < chance
    starts[:, 0] = True
    since = np.where(starts, np.arange(n), 0)
    np.maximum.accumulate(since, axis=1, out=since)
    places = rng.integers(0, n, (draws, n), dtype=np.int64)
    first = np.take_along_axis(places, since, axis=1)
    drawn: Floats = returns[(first + np.arange(n) - since) % n]
    return drawn


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and between which values it lies with the given probability."""

    value: float
    low: float
    high: float
    level: float


def intervals(
    returns: Floats, periods: float, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of what returns alone tell (`_figures`), by stationary bootstrap.

    returns: (n,) per bar. periods: bars a year. Empty for fewer than eight bars.
    """
    n = len(returns)
    if n < 8:
        return {}
    found = _figures(returns[None, :], periods)
    size = max(1, CHUNK // n)
    length = block_length(returns)
    drawn: dict[str, list[Floats]] = {name: [] for name in found}
    for number, first in enumerate(range(0, draws, size)):
        some = resampled(returns, min(size, draws - first), seed=seed + number, length=length)
        for name, values in _figures(some, periods).items():
            drawn[name].append(values)
    return {
        name: Interval(float(value[0]), *middle(np.concatenate(drawn[name]), level), level)
        for name, value in found.items()
    }


def middle(drawn: Floats, level: float) -> tuple[float, float]:
    """Between which values the middle `level` of the defined ones lies; NaN without one."""
    defined = drawn[~np.isnan(drawn)]
    if not defined.size:
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _figures(returns: Floats, periods: float) -> dict[str, Floats]:
    """Of (draws, n) returns: each (draws,)."""
    n = returns.shape[1]
    moments = np.stack([np.full(len(returns), n), returns.sum(axis=1), (returns**2).sum(axis=1)], axis=-1)
    curve = np.cumprod(1 + returns, axis=1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
    end = curve[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        yearly = np.where(end > 0, np.abs(end) ** (periods / n) - 1, -1.0)
        deepest = (1 - curve / peak).max(axis=1)
        downside = np.sqrt((np.minimum(returns, 0.0) ** 2).mean(axis=1))
        sortino = np.where(downside > 0, returns.mean(axis=1) / downside * math.sqrt(periods), np.nan)
        calmar = np.where(deepest > 0, yearly / deepest, np.nan)
    return {
        "sharpe": sharpe_of(moments) * math.sqrt(periods),
        "sortino": sortino,
        "calmar": calmar,
        "total_return": end - 1,
        "cagr": yearly,
        "max_drawdown": deepest,
        "volatility": returns.std(axis=1, ddof=1) * math.sqrt(periods),
    }


def trade_intervals(
    pnl: Floats, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of what closed trades tell: trades drawn with replacement, each on its own.

    pnl: (n,) after commission. Empty for fewer than eight trades. Efron (1979).
    """
    n = len(pnl)
    if n < 8:
        return {}
    drawn = np.random.default_rng(seed).choice(pnl, (draws, n))
    one, many = _trade_figures(pnl[None, :]), _trade_figures(drawn)
    return {
        name: Interval(float(value[0]), *middle(many[name], level), level)
        for name, value in one.items()
        if math.isfinite(value[0])
    }


def _trade_figures(pnl: Floats) -> dict[str, Floats]:
    """Of (draws, n) profits: each (draws,)."""
    won, lost = np.maximum(pnl, 0.0).sum(axis=1), -np.minimum(pnl, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(lost > 0, won / lost, np.nan)
    return {"win_rate": (pnl > 0).mean(axis=1), "profit_factor": factor, "expectancy": pnl.mean(axis=1)}


# -- the neighbourhood of the best


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Whether the best trial stands on a plateau or on a spike.

    size: trials near it. median: of their values. ratio: median over the best value, NaN unless the best is above
    zero. positive: share of them above zero.
    """

    size: int
    median: float
    ratio: float
    positive: float

    @property
    def shape(self) -> str:
        """A "plateau" where the neighbours keep at least half of the best value, else a "spike"; "unknown" if too few."""
        if self.size < 3 or not math.isfinite(self.ratio):
            return "unknown"
        return "plateau" if self.ratio >= 0.5 else "spike"


def neighbourhood(points: Floats, values: Floats, best: int, *, radius: float = 0.15) -> Neighbourhood:
    """The trials within `radius` of the best one in every dimension, or its 2 d nearest when they are fewer.

    points: (n, d) in the unit cube. values: (n,), more is better; trials without a value are left out.
    """
    others = np.isfinite(values)
    others[best] = False
    numbers = np.flatnonzero(others)
    if not len(numbers):
        return Neighbourhood(0, math.nan, math.nan, math.nan)
    distance = np.abs(points[numbers] - points[best]).max(axis=1, initial=0.0)
    nearest = max(3, 2 * points.shape[1])
    reach = max(radius, float(np.sort(distance)[min(nearest, len(distance)) - 1]))
    near = values[numbers[distance <= reach]]
    median, peak = float(np.median(near)), float(values[best])
    return Neighbourhood(len(near), median, median / peak if peak > 0 else math.nan, float(np.mean(near > 0)))
