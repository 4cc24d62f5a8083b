"""The one source of every figure that judges a run.

Pure functions over float64 arrays. Equity is in account currency, one value a bar, oldest first; returns are
simple, per bar, as fractions; drawdowns and losses are fractions above zero. What is not defined (no trades,
no variance, no loss, a lost account) is NaN, never an infinity. Annualised by `periods_per_year`. Risk-free
rate and required return are zero. `docs/metrics.md` lists them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analyzers.benchmark import alpha, benchmark_metrics, beta, correlation, information_ratio
from analyzers.breakdown import by_exit_reason, by_regime
from analyzers.drawdown import (
    calmar,
    drawdown_metrics,
    drawdown_table,
    drawdowns,
    longest_run,
    recovery_factor,
    root_mean_square,
    ulcer_index,
)
from analyzers.excursions import excursion_metrics, excursions
from analyzers.periods import monthly_returns, periods_per_year
from analyzers.returns import (
    NAN,
    NORMAL,
    ROUNDING,
    FloatArray,
    cagr,
    kelly,
    omega,
    probabilistic_sharpe,
    probabilistic_sharpe_of,
    sharpe,
    sharpe_error,
    sharpe_probability,
    simple_returns,
    sortino,
    total_return,
    volatility,
)
from analyzers.tails import (
    TailMethod,
    conditional_value_at_risk,
    quantile,
    tail_metrics,
    tail_ratio,
    tail_ratio_of,
    value_at_risk,
)
from analyzers.trade_figures import (
    average_bars,
    bet_metrics,
    charged,
    column,
    cost_share,
    exposure,
    kelly_bet,
    sqn,
    trade_metrics,
    turnover,
)

if TYPE_CHECKING:
    import pandas as pd

    from core.results import RunResult, Table


def summarize(
    equity: pd.Series,
    trades: pd.DataFrame | Table,
    *,
    fills: pd.DataFrame | Table | None = None,
    periods: float | None = None,
) -> dict[str, float]:
    """The figures that every run carries, always with the same keys.

    equity: one value a bar, DatetimeIndex; bars without a finite value are left out. trades: closed trades,
    columns of `core.results.TRADE_COLUMNS` (only pnl_net, commission, entry_time and exit_time are read).
    fills: gives exposure and commission including what is still open; without it both come from the trades.
    periods: bars a year; None takes it from the index. The first value of equity is the start value.
    """
    values = equity.to_numpy(dtype=np.float64)
    finite = np.isfinite(values)
    index = equity.index
    if not finite.all():
        values, index = values[finite], index[finite]
    a_year = periods_per_year(index) if periods is None else float(periods)
    # Values near the largest float overflow; what comes of that is not a figure either.
    with np.errstate(over="ignore", invalid="ignore"):
        found = {
            **equity_metrics(values, a_year),
            **trade_metrics(column(trades, "pnl_net")),
            "commission": float(np.nansum(column(trades if fills is None else fills, "commission"))),
            "exposure": exposure(index, trades, fills),
            "start_value": float(values[0]) if values.size else NAN,
            "end_value": float(values[-1]) if values.size else NAN,
            "bars": float(values.size),
            "periods_per_year": a_year,
        }
    return {key: value if math.isfinite(value) else NAN for key, value in found.items()}


def figures(result: RunResult, *, benchmark: pd.Series | None = None) -> dict[str, float]:
    """Every figure of a run, always with the same keys; NaN where one is not defined.

    Those of `summarize`, and what is too slow or too special for every run: see `docs/metrics.md`. benchmark: prices
    or an account, DatetimeIndex; without one its figures are NaN. Bars a year are those of `result.metrics`, where
    they are known. Raises ConfigError for a benchmark that is not a series with times.
    """
    given = result.metrics.get("periods_per_year", NAN)
    return figures_of(
        result.equity,
        result.trades,
        result.fills,
        prices=result.prices,
        benchmark=benchmark,
        paid=charged(result.costs),
        periods=given if math.isfinite(given) else None,
    )


def figures_of(
    equity: pd.Series,
    trades: pd.DataFrame,
    fills: pd.DataFrame,
    *,
    prices: Mapping[str, pd.DataFrame],
    benchmark: pd.Series | None = None,
    paid: float = 0.0,
    periods: float | None = None,
) -> dict[str, float]:
    """`figures` of what a run left: the fields of `core.results.RunResult` of these names, periods bars a year.

    paid: beside the commission, in account currency.
    """
    summary = summarize(equity, trades, fills=fills, periods=periods)
    a_year = summary["periods_per_year"]
    known = equity[np.isfinite(equity.to_numpy(dtype=np.float64))]
    values = known.to_numpy(dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        returns = simple_returns(values)
        found = {
            **summary,
            "sharpe_error": sharpe_error(returns, a_year),
            "kelly": kelly(returns),
            **tail_metrics(returns),
            **drawdown_metrics(values),
            **bet_metrics(column(trades, "pnl_net")),
            "average_bars": average_bars(trades),
            **excursion_metrics(trades, prices),
            "turnover": turnover(column(fills, "size"), column(fills, "price"), values, a_year),
            "cost_share": cost_share(summary["commission"] + paid, values),
            **benchmark_metrics(known, benchmark),
        }
    return {key: value if math.isfinite(value) else NAN for key, value in found.items()}


def equity_metrics(equity: FloatArray, periods: float) -> dict[str, float]:
    """What follows from the equity curve alone. equity: (n,), finite; periods: bars a year.

    The figures are those of the functions of these names; what several of them need is worked out once.
    """
    returns = simple_returns(equity)
    drawdown = drawdowns(equity)
    ordered = np.sort(returns)
    mean = float(returns.mean()) if returns.size else NAN
    deviation = float(returns.std(ddof=1)) if returns.size > 1 else NAN
    ratio = mean / deviation if deviation > ROUNDING else NAN
    deepest = float(drawdown.max()) if drawdown.size else 0.0
    growth, yearly = total_return(equity), cagr(equity, periods)
    root = math.sqrt(periods)
    return {
        "total_return": growth,
        "cagr": yearly,
        "volatility": deviation * root,
        "sharpe": ratio * root,
        "sortino": sortino(returns, periods),
        "calmar": yearly / deepest if deepest > ROUNDING else NAN,
        "max_drawdown": deepest if drawdown.size else NAN,
        "max_drawdown_bars": float(longest_run(drawdown > 0)) if drawdown.size else NAN,
        "recovery_factor": growth / deepest if deepest > ROUNDING else NAN,
        "omega": omega(returns),
        "tail_ratio": tail_ratio_of(ordered),
        "ulcer_index": root_mean_square(drawdown),
        "psr": probabilistic_sharpe_of(returns, ratio, 0.0),
        "var_95": 0.0 - quantile(ordered, 0.05) if ordered.size else NAN,
        "cvar_95": 0.0 - float(np.mean(ordered[: int((ordered.size - 1) * 0.05) + 1]))
        if ordered.size
        else NAN,
    }


__all__ = [
    "NORMAL",
    "ROUNDING",
    "FloatArray",
    "TailMethod",
    "alpha",
    "average_bars",
    "benchmark_metrics",
    "bet_metrics",
    "beta",
    "by_exit_reason",
    "by_regime",
    "cagr",
    "calmar",
    "charged",
    "conditional_value_at_risk",
    "correlation",
    "cost_share",
    "drawdown_metrics",
    "drawdown_table",
    "drawdowns",
    "equity_metrics",
    "excursion_metrics",
    "excursions",
    "exposure",
    "figures",
    "figures_of",
    "information_ratio",
    "kelly",
    "kelly_bet",
    "longest_run",
    "monthly_returns",
    "omega",
    "periods_per_year",
    "probabilistic_sharpe",
    "quantile",
    "recovery_factor",
    "sharpe",
    "sharpe_error",
    "sharpe_probability",
    "simple_returns",
    "sortino",
    "sqn",
    "summarize",
    "tail_metrics",
    "tail_ratio",
    "total_return",
    "trade_metrics",
    "turnover",
    "ulcer_index",
    "value_at_risk",
    "volatility",
]
