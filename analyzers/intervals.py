"""Between which values the figures of a run may lie: what another draw of the same market could have shown.

Returns are resampled in blocks (Politis and Romano, 1994), trades one by one (Efron, 1979): see
`analyzers.overfitting`. Percentile intervals; they say nothing of a market that is different.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzers.metrics import simple_returns, summarize
from analyzers.overfitting import Interval, intervals, middle, trade_intervals
from analyzers.returns import NAN, ROUNDING, FloatArray
from analyzers.trade_figures import column

if TYPE_CHECKING:
    from core.results import RunResult

DRAWS = 2_000
LONG, SEGMENTS = 5_000, 2_500
"""Returns, or trades, beyond which a run is cut into at most so many segments, and these are drawn."""
TOGETHER = 250
"""Draws that are held at one time."""


def intervals_of(result: RunResult, *, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """For total_return, cagr, volatility, sharpe, sortino, calmar, max_drawdown, win_rate, expectancy, profit_factor.

    level: the probability that an interval holds. A figure that is not defined has no key; neither have those of
    returns with fewer than eight bars, or of trades with fewer than eight trades, or a lost account's. A run of more
    than `LONG` returns is drawn in whole segments of it, which keeps what is within them as it was: Carlstein (1986).
    """
    equity = result.equity[np.isfinite(result.equity.to_numpy(dtype=np.float64))]
    trades = result.unread("trades")
    known = summarize(equity, trades, periods=_periods(result))
    returns = simple_returns(equity.to_numpy(dtype=np.float64))
    pnl = column(trades, "pnl_net")
    pnl = pnl[np.isfinite(pnl)]
    of_returns = intervals if returns.size <= LONG else _of_segments
    of_trades = trade_intervals if pnl.size <= LONG else _of_many_trades
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = of_returns(returns, known["periods_per_year"], draws=DRAWS, level=level, seed=seed)
        found |= of_trades(pnl, draws=DRAWS, level=level, seed=seed)
    return {
        name: replace(each, value=known[name])
        for name, each in found.items()
        if math.isfinite(known[name]) and math.isfinite(each.low) and math.isfinite(each.high)
    }


@dataclass(frozen=True, slots=True)
class Segments:
    """What the figures of any row of segments follow from. Each (k,), logarithms but for the last two.

    growth: over the segment. highest, lowest: within it, from its start, which counts. fall: the largest within it.
    sums: (k, 4) of its returns: how many, their sum, that of squares, that of squares of those below zero.
    """

    growth: FloatArray
    highest: FloatArray
    lowest: FloatArray
    fall: FloatArray
    sums: FloatArray

    @classmethod
    def cut(cls, returns: FloatArray, count: int) -> Segments:
        """At most `count` segments of equal length, the last one shorter."""
        length = math.ceil(returns.size / count)
        rows = math.ceil(returns.size / length)
        # A return of zero behind the last changes nothing.
        table = np.pad(returns, (0, rows * length - returns.size)).reshape(rows, length)
        curve = np.concatenate([np.zeros((rows, 1)), np.cumsum(np.log1p(table), axis=1)], axis=1)
        fall = (np.maximum.accumulate(curve, axis=1) - curve).max(axis=1)
        counts = np.full(rows, float(length))
        counts[-1] = returns.size - (rows - 1) * length
        moments = [table.sum(axis=1), (table**2).sum(axis=1), (np.minimum(table, 0.0) ** 2).sum(axis=1)]
        sums = np.stack([counts, *moments], axis=1)
        return cls(curve[:, -1], curve.max(axis=1), curve.min(axis=1), fall, sums)

    def figures(self, places: npt.NDArray[np.int64], periods: float) -> dict[str, FloatArray]:
        """Of the segments in these orders, (draws, m): each figure (draws,); NaN where not defined."""
        ends = np.cumsum(self.growth[places], axis=1)
        starts = ends - self.growth[places]
        high = np.maximum.accumulate(np.maximum(starts + self.highest[places], 0.0), axis=1)
        before = np.concatenate([np.zeros((len(places), 1)), high[:, :-1]], axis=1)
        falls = np.maximum(before - (starts + self.lowest[places]), self.fall[places])
        deepest = -np.expm1(-falls.max(axis=1))
        count, total, squares, below = (self.sums[:, i][places].sum(axis=1) for i in range(4))
        mean, root = total / count, math.sqrt(periods)
        deviation = np.sqrt((squares - total * mean) / (count - 1))
        downside = np.sqrt(below / count)
        yearly = np.expm1(ends[:, -1] * periods / count)
        return {
            "sharpe": np.where(deviation > ROUNDING, mean / deviation * root, NAN),
            "sortino": np.where(downside > ROUNDING, mean / downside * root, NAN),
            "calmar": np.where(deepest > ROUNDING, yearly / deepest, NAN),
            "total_return": np.expm1(ends[:, -1]),
            "cagr": yearly,
            "max_drawdown": deepest,
            "volatility": deviation * root,
        }


def _of_segments(
    returns: FloatArray, periods: float, *, draws: int, level: float, seed: int
) -> dict[str, Interval]:
    """Percentile intervals by drawing segments with replacement."""
    segments = Segments.cut(returns, SEGMENTS)
    drawn = [segments.figures(places, periods) for places in _places(segments.growth.size, draws, seed)]
    return _between(drawn, level)


def _of_many_trades(pnl: FloatArray, *, draws: int, level: float, seed: int) -> dict[str, Interval]:
    """Percentile intervals by drawing groups of trades that followed each other, with replacement."""
    begins = np.arange(0, pnl.size, math.ceil(pnl.size / SEGMENTS))
    columns = (np.ones_like(pnl), pnl > 0, np.maximum(pnl, 0.0), np.maximum(-pnl, 0.0))
    sums = [np.add.reduceat(each.astype(np.float64), begins) for each in columns]
    drawn = []
    for places in _places(begins.size, draws, seed):
        count, wins, won, lost = (each[places].sum(axis=1) for each in sums)
        factor = np.where(lost > 0, won / lost, NAN)
        drawn.append({"win_rate": wins / count, "profit_factor": factor, "expectancy": (won - lost) / count})
    return _between(drawn, level)


def _places(count: int, draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of `count` places with replacement, `draws` in all, some at a time."""
    rng = np.random.default_rng(seed)
    for first in range(0, draws, TOGETHER):
        yield rng.integers(0, count, (min(TOGETHER, draws - first), count))


def _between(drawn: Sequence[Mapping[str, FloatArray]], level: float) -> dict[str, Interval]:
    return {
        name: Interval(NAN, *middle(np.concatenate([some[name] for some in drawn]), level), level)
        for name in drawn[0]
    }


def _periods(result: RunResult) -> float | None:
    given = result.metrics.get("periods_per_year", math.nan)
    return given if math.isfinite(given) else None


__all__ = ["Interval", "intervals_of"]
