"""What the trades of a run were worth, and what they cost.

pnl: (n,) float64, result of each closed trade in account currency after commission; NaN is left out. What is not
defined (no trades, none won, none lost) is NaN. Nothing here is annualised but the turnover.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from analyzers.periods import nanoseconds
from analyzers.returns import NAN, ROUNDING, FloatArray
from core.results import Coded, Table

if TYPE_CHECKING:
    import pandas as pd

CHARGES = ("slippage_paid", "borrow_paid", "funding_paid")
"""Sums in `RunResult.costs` that are paid beside the commissions."""


def trade_metrics(pnl: FloatArray) -> dict[str, float]:
    """What follows from the closed trades. pnl: (n,) in account currency after commission; NaN left out.

    average_loss is a size, above zero, so that expectancy = win_rate * average_win - loss_rate * average_loss;
    a trade of exactly zero is neither won nor lost. profit_factor is NaN when nothing was lost.
    """
    pnl = pnl[np.isfinite(pnl)]
    won, lost = pnl[pnl > 0], -pnl[pnl < 0]
    some = pnl.size > 0
    return {
        "sqn": sqn(pnl),
        "trades": float(pnl.size),
        "win_rate": won.size / pnl.size if some else NAN,
        "profit_factor": float(won.sum() / lost.sum()) if lost.size else NAN,
        "expectancy": float(pnl.mean()) if some else NAN,
        "average_win": float(won.mean()) if won.size else NAN,
        "average_loss": float(lost.mean()) if lost.size else NAN,
        "best_trade": float(pnl.max()) if some else NAN,
        "worst_trade": float(pnl.min()) if some else NAN,
    }


def sqn(pnl: FloatArray) -> float:
    """System quality number: root of the count of trades, times mean over deviation (ddof 1) of their result.

    Tharp (2008), with the result in account currency where he has multiples of the initial risk. NaN below
    two trades, or when all have the same result.
    """
    if pnl.size < 2:
        return NAN
    deviation = float(pnl.std(ddof=1))
    noise = ROUNDING * float(np.abs(pnl).max())
    return math.sqrt(pnl.size) * float(pnl.mean()) / deviation if deviation > noise else NAN


def kelly_bet(win_rate: float, payoff: float, loss_rate: float | None = None) -> float:
    """The fraction of the account to stake on a bet that wins `payoff` times the stake, or loses the stake.

    win_rate, loss_rate: probabilities; what is left of 1 gives the stake back. loss_rate: the rest when None. Below
    zero for a bet not worth taking. Kelly (1956): p - q / b, which maximises the mean log growth. NaN unless payoff
    is above zero.
    """
    lost = 1.0 - win_rate if loss_rate is None else loss_rate
    decided = win_rate + lost
    if not (payoff > 0 and math.isfinite(payoff) and decided > 0):
        return NAN
    return (win_rate - lost / payoff) / decided


def bet_metrics(pnl: FloatArray) -> dict[str, float]:
    """payoff_ratio: mean win over mean loss. kelly_trades: `kelly_bet` of it and of the share won and lost.

    Both NaN unless there are wins and losses: of one kind alone no odds can be told.
    """
    pnl = pnl[np.isfinite(pnl)]
    won, lost = pnl[pnl > 0], -pnl[pnl < 0]
    if not won.size or not lost.size:
        return {"payoff_ratio": NAN, "kelly_trades": NAN}
    payoff = float(won.mean() / lost.mean())
    return {
        "payoff_ratio": payoff,
        "kelly_trades": kelly_bet(won.size / pnl.size, payoff, lost.size / pnl.size),
    }


def average_bars(trades: pd.DataFrame) -> float:
    """Mean of how many bars the closed trades lasted; NaN without one."""
    bars = column(trades, "bars")
    bars = bars[np.isfinite(bars)]
    return float(bars.mean()) if bars.size else NAN


def turnover(sizes: FloatArray, prices: FloatArray, equity: FloatArray, periods: float) -> float:
    """Value bought and sold a year, over the mean equity: 2 is the whole account in and out once a year.

    sizes (signed), prices: (k,) of the fills. equity: (n,) finite; years are its returns over `periods`. A contract
    counts as its price, without a multiplier. Zero without fills; NaN below two bars or when the mean equity is not
    above zero.
    """
    mean = float(equity.mean()) if equity.size > 1 else NAN
    if not (mean > 0 and periods > 0):
        return NAN
    return float(np.nansum(np.abs(sizes * prices))) / mean * periods / (equity.size - 1)


def charged(costs: Mapping[str, float]) -> float:
    """What a run paid beside its commissions, in account currency; below zero where funding brought more.

    costs: of a `core.results.RunResult`. Slippage is in the prices of the fills already, and counts here all the same.
    """
    return math.fsum(costs.get(name, 0.0) for name in CHARGES)


def cost_share(paid: float, equity: FloatArray) -> float:
    """What was paid over the profit before it was paid: 0.25 when costs took a quarter, above 1 when all and more.

    paid: all costs in account currency. equity: (n,) finite. NaN where there was no profit before costs.
    """
    if not equity.size:
        return NAN
    before = float(equity[-1] - equity[0]) + paid
    return paid / before if before > ROUNDING * abs(float(equity[0])) else NAN


def exposure(index: pd.Index, trades: pd.DataFrame | Table, fills: pd.DataFrame | Table | None) -> float:
    """Fraction of bars at whose close something is held; NaN without bars.

    index: times of the bars. fills: what is held is their sum; without them, trades count from entry to exit.
    """
    if not len(index):
        return NAN
    held = np.zeros(len(index), dtype=np.bool_)
    if fills is not None:
        times, symbols, sizes = _executions(fills)
        bars = nanoseconds(index)
        for symbol in set(symbols.tolist()):
            mine = symbols == symbol
            held |= _held(bars, times[mine], sizes[mine])
    elif len(column(trades, "pnl_net")):
        made = trades.frame() if isinstance(trades, Table) else trades
        for start, end in zip(made["entry_time"], made["exit_time"], strict=True):
            held[index.searchsorted(start) : index.searchsorted(end)] = True
    return float(held.mean())


def column(table: pd.DataFrame | Table, name: str) -> FloatArray:
    """A column of numbers; empty where a DataFrame does not have it."""
    if isinstance(table, Table):
        return np.asarray(table.columns[name], dtype=np.float64)
    return table[name].to_numpy(dtype=np.float64) if name in table.columns else np.empty(0)


def _executions(fills: pd.DataFrame | Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], FloatArray]:
    """Times in nanoseconds, symbols (or codes of them) and signed sizes of the fills."""
    import pandas as pd

    if isinstance(fills, Table):
        symbol = fills.columns["symbol"]
        codes = symbol.codes if isinstance(symbol, Coded) else symbol
        return np.asarray(fills.columns["time"]).view(np.int64), codes, column(fills, "size")
    return nanoseconds(fills["time"]), pd.factorize(fills["symbol"])[0], column(fills, "size")


def _held(
    bars: npt.NDArray[np.int64], times: npt.NDArray[np.int64], size: FloatArray
) -> npt.NDArray[np.bool_]:
    """At which bars one symbol is held. bars: (n,) rising; times: of its fills, in any order; all nanoseconds."""
    order = np.argsort(times, kind="stable")
    position = np.concatenate(([0.0], np.cumsum(size[order])))
    position[np.abs(position) < 1e-9 * np.abs(size).max()] = 0.0
    first = np.searchsorted(bars, times[order])  # the bar of each fill, whose close it is held at
    lasting = np.diff(np.concatenate(([0], first, [len(bars)])))
    return np.repeat(position != 0, lasting)


__all__ = [
    "average_bars",
    "bet_metrics",
    "charged",
    "column",
    "cost_share",
    "exposure",
    "kelly_bet",
    "sqn",
    "trade_metrics",
    "turnover",
]
