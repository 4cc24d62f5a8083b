"""Between which values the figures of a run may lie: what another draw of the same market could have shown.

Returns are resampled in blocks (Politis and Romano, 1994), trades one by one (Efron, 1979): see
`analyzers.overfitting`. Percentile intervals; they say nothing of a market that is different.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzers.metrics import simple_returns, summarize
from analyzers.overfitting import Interval, intervals, trade_intervals
from analyzers.trade_figures import column

if TYPE_CHECKING:
    from core.results import RunResult

DRAWS, LEAST = 2_000, 200
CELLS = 40_000_000
"""Returns drawn in all, at most: a run of many bars gets fewer draws, `LEAST` at least."""


def intervals_of(result: RunResult, *, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """For total_return, cagr, volatility, sharpe, sortino, calmar, max_drawdown, win_rate, expectancy, profit_factor.

    level: the probability that an interval holds. A figure that is not defined has no key; neither have those of
    returns with fewer than eight bars, or of trades with fewer than eight trades, or a lost account's.
    """
    equity = result.equity[np.isfinite(result.equity.to_numpy(dtype=np.float64))]
    trades = result.unread("trades")
    known = summarize(equity, trades, periods=_periods(result))
    returns = simple_returns(equity.to_numpy(dtype=np.float64))
    pnl = column(trades, "pnl_net")
    draws = min(DRAWS, max(LEAST, CELLS // max(returns.size, 1)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = intervals(returns, known["periods_per_year"], draws=draws, level=level, seed=seed)
        found |= trade_intervals(pnl[np.isfinite(pnl)], level=level, seed=seed)
    return {
        name: replace(each, value=known[name])
        for name, each in found.items()
        if math.isfinite(known[name]) and math.isfinite(each.low) and math.isfinite(each.high)
    }


def _periods(result: RunResult) -> float | None:
    given = result.metrics.get("periods_per_year", math.nan)
    return given if math.isfinite(given) else None


__all__ = ["Interval", "intervals_of"]
