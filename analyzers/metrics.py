"""The one source of every figure that judges a run.

Pure functions over float64 arrays. Equity is in account currency, one value a bar, oldest first; returns are
simple, per bar, as fractions; drawdowns and losses are fractions above zero. What is not defined (no trades,
no variance, no loss, a lost account) is NaN, never an infinity. Annualised by `periods_per_year`. Risk-free
rate and required return are zero.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from analyzers.periods import monthly_returns as monthly_returns
from analyzers.periods import nanoseconds
from analyzers.periods import periods_per_year as periods_per_year
from core.results import Coded, Table

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
TailMethod = Literal["historical", "normal", "cornish-fisher"]

# Returns are differences of ratios near one: what is finer than some fifty units in the last place is noise
# of the arithmetic, and a ratio over it would be a figure of 1e15 that means nothing.
ROUNDING = 1e-14
NAN = math.nan
NORMAL = NormalDist()


def summarize(
    equity: pd.Series,
    trades: pd.DataFrame | Table,
    *,
    fills: pd.DataFrame | Table | None = None,
    periods: float | None = None,
) -> dict[str, float]:
    """Every metric of one run, always with the same keys.

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
            **trade_metrics(_column(trades, "pnl_net")),
            "commission": float(np.nansum(_column(trades if fills is None else fills, "commission"))),
            "exposure": _exposure(index, trades, fills),
            "start_value": float(values[0]) if values.size else NAN,
            "end_value": float(values[-1]) if values.size else NAN,
            "bars": float(values.size),
            "periods_per_year": a_year,
        }
    return {key: value if math.isfinite(value) else NAN for key, value in found.items()}


def equity_metrics(equity: FloatArray, periods: float) -> dict[str, float]:
    """What follows from the equity curve alone. equity: (n,), finite; periods: bars a year.

    The figures are those of the functions below; what several of them need is worked out once.
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
        "tail_ratio": _tail_ratio(ordered),
        "ulcer_index": _root_mean_square(drawdown),
        "psr": _probabilistic_sharpe(returns, ratio, 0.0),
        "var_95": 0.0 - _quantile(ordered, 0.05) if ordered.size else NAN,
        "cvar_95": 0.0 - float(np.mean(ordered[: int((ordered.size - 1) * 0.05) + 1]))
        if ordered.size
        else NAN,
    }


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


def simple_returns(equity: FloatArray) -> FloatArray:
    """Return of each bar after the first, (n - 1,).

    Empty once the equity has touched zero: returns on a lost account mean nothing, and no ratio may use them.
    """
    if equity.size < 2 or equity.min() <= 0:
        return np.empty(0)
    return equity[1:] / equity[:-1] - 1.0


def total_return(equity: FloatArray) -> float:
    """End over start less one; NaN unless it started above zero."""
    return float(equity[-1] / equity[0] - 1.0) if equity.size and equity[0] > 0 else NAN


def cagr(equity: FloatArray, periods: float) -> float:
    """Compound annual growth rate, a fraction; years are returns over `periods`. -1 when all was lost."""
    if equity.size < 2 or equity[0] <= 0 or not periods > 0:
        return NAN
    growth = float(equity[-1] / equity[0])
    if growth <= 0:
        return -1.0
    exponent = math.log(growth) * periods / (equity.size - 1)
    # A few lively bars extrapolate to more than a float holds: that is no growth rate.
    return math.expm1(exponent) if exponent < 700 else NAN


def volatility(returns: FloatArray, periods: float) -> float:
    """Annualised standard deviation of returns (ddof 1), a fraction; NaN below two returns."""
    return float(returns.std(ddof=1) * math.sqrt(periods)) if returns.size > 1 else NAN


def sharpe(returns: FloatArray, periods: float) -> float:
    """Annualised mean over standard deviation (ddof 1). Sharpe (1994). NaN without variance."""
    return _ratio_of_moments(returns) * math.sqrt(periods)


def sortino(returns: FloatArray, periods: float) -> float:
    """Annualised mean over downside deviation: root mean square of min(return, 0) over all bars.

    Sortino and Price (1994). NaN below two returns, or when no bar lost.
    """
    if returns.size < 2:
        return NAN
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean()) / downside * math.sqrt(periods) if downside > ROUNDING else NAN


def calmar(equity: FloatArray, periods: float) -> float:
    """Compound annual growth over the largest drawdown, whole period. Young (1991). NaN without drawdown."""
    return _over_drawdown(cagr(equity, periods), equity)


def recovery_factor(equity: FloatArray) -> float:
    """Total return over the largest drawdown, both fractions; NaN without drawdown."""
    return _over_drawdown(total_return(equity), equity)


def drawdowns(equity: FloatArray) -> FloatArray:
    """Fraction below the highest equity so far, (n,), each in [0, 1]; 1 once the equity is zero or less."""
    if not equity.size:
        return np.empty(0)
    peak = np.maximum.accumulate(equity)
    # Divided only where the peak is above zero: an account that starts without money has lost all of it.
    below = np.divide(peak - equity, peak, out=np.ones_like(equity), where=peak > 0)
    return np.asarray(np.clip(below, 0.0, 1.0))


def longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Length in bars of the longest unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0


def omega(returns: FloatArray) -> float:
    """Sum of gains over sum of losses, threshold zero. Keating and Shadwick (2002). NaN without losses."""
    losses = -float(returns[returns < 0].sum())
    return float(returns[returns > 0].sum()) / losses if returns.size > 1 and losses > ROUNDING else NAN


def tail_ratio(returns: FloatArray) -> float:
    """Size of the 95th percentile of returns over the size of the 5th; NaN when the 5th is zero."""
    return _tail_ratio(np.sort(returns))


def ulcer_index(equity: FloatArray) -> float:
    """Root mean square of the drawdown over all bars, a fraction. Martin and McCann (1989)."""
    return _root_mean_square(drawdowns(equity))


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


def probabilistic_sharpe(returns: FloatArray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`, both per bar, not annualised.

    Corrects for length, skewness and kurtosis. Bailey and Lopez de Prado (2012), eq. 11. NaN below three
    returns or without variance.
    """
    return _probabilistic_sharpe(returns, _ratio_of_moments(returns), benchmark)


def _probabilistic_sharpe(returns: FloatArray, ratio: float, benchmark: float) -> float:
    if returns.size < 3 or math.isnan(ratio):
        return NAN
    skewness, excess = _shape(returns)
    return sharpe_probability(ratio, returns.size, benchmark, skewness, excess)


def sharpe_probability(
    ratio: float, bars: int, benchmark: float = 0.0, skewness: float = 0.0, excess: float = 0.0
) -> float:
    """`probabilistic_sharpe` of a Sharpe ratio per bar and the shape of its returns. excess: kurtosis less three."""
    variance = 1.0 - skewness * ratio + (excess + 2.0) / 4.0 * ratio**2
    if bars < 2 or not variance > 0:
        return NAN
    return NORMAL.cdf((ratio - benchmark) * math.sqrt((bars - 1) / variance))


def value_at_risk(returns: FloatArray, tail: float = 0.05, method: TailMethod = "historical") -> float:
    """The loss of one bar that is exceeded with probability `tail`; a fraction, above zero for a loss.

    historical: the percentile, interpolated. normal: mean and deviation (ddof 1). cornish-fisher: that,
    corrected for skewness and kurtosis, Favre and Galeano (2002). NaN below one (two) returns.
    """
    if returns.size < (1 if method == "historical" else 2):
        return NAN
    if method == "historical":
        return 0.0 - float(np.percentile(returns, 100 * tail))
    z = NORMAL.inv_cdf(tail)
    return _loss_at(returns, z, z**2, z**3, method)


def conditional_value_at_risk(
    returns: FloatArray, tail: float = 0.05, method: TailMethod = "historical"
) -> float:
    """The mean loss of one bar within the worst `tail`; a fraction, above zero for a loss.

    historical: mean of the worst floor((n - 1) * tail) + 1 returns. normal and cornish-fisher: the mean of
    the quantile of `value_at_risk` below `tail`, in closed form (Maillard, 2012).
    """
    if returns.size < (1 if method == "historical" else 2):
        return NAN
    if method == "historical":
        last = int((returns.size - 1) * tail)
        return 0.0 - float(np.mean(np.partition(returns, last)[: last + 1]))
    z = NORMAL.inv_cdf(tail)
    hazard = NORMAL.pdf(z) / tail
    # Moments of a standard normal below z.
    return _loss_at(returns, -hazard, 1.0 - z * hazard, -(z**2 + 2.0) * hazard, method)


def _ratio_of_moments(returns: FloatArray) -> float:
    if returns.size < 2:
        return NAN
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > ROUNDING else NAN


def _quantile(ordered: FloatArray, share: float) -> float:
    """`np.percentile`, linear, of values already sorted, n > 0: numpy's own arithmetic."""
    place = share * (ordered.size - 1)
    below = math.floor(place)
    above = min(below + 1, ordered.size - 1)
    low, high, weight = float(ordered[below]), float(ordered[above]), place - below
    return high - (high - low) * (1.0 - weight) if weight >= 0.5 else low + (high - low) * weight


def _tail_ratio(ordered: FloatArray) -> float:
    if not ordered.size:
        return NAN
    high, low = abs(_quantile(ordered, 0.95)), abs(_quantile(ordered, 0.05))
    return high / low if low > ROUNDING else NAN


def _root_mean_square(values: FloatArray) -> float:
    return math.sqrt(float(np.mean(values**2))) if values.size else NAN


def _over_drawdown(value: float, equity: FloatArray) -> float:
    deepest = float(drawdowns(equity).max()) if equity.size else 0.0
    return value / deepest if deepest > ROUNDING else NAN


def _shape(returns: FloatArray) -> tuple[float, float]:
    """Skewness and excess kurtosis from population moments; zeros without variance."""
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    if variance <= ROUNDING**2:
        return 0.0, 0.0
    standard = centred / math.sqrt(variance)
    squares = standard * standard  # numpy's general power is ten times slower
    return float(np.mean(squares * standard)), float(np.mean(squares * squares)) - 3.0


def _loss_at(returns: FloatArray, z: float, z2: float, z3: float, method: TailMethod) -> float:
    """Loss at a normal quantile given as its first three powers (or at the mean of each below it)."""
    if method == "cornish-fisher":
        skewness, excess = _shape(returns)
        z = (
            z
            + (z2 - 1.0) * skewness / 6.0
            + (z3 - 3.0 * z) * excess / 24.0
            - (2.0 * z3 - 5.0 * z) * skewness**2 / 36.0
        )
    return -(float(returns.mean()) + z * float(returns.std(ddof=1)))


def _column(table: pd.DataFrame | Table, name: str) -> FloatArray:
    if isinstance(table, Table):
        return np.asarray(table.columns[name], dtype=np.float64)
    return table[name].to_numpy(dtype=np.float64) if name in table.columns else np.empty(0)


def _exposure(index: pd.Index, trades: pd.DataFrame | Table, fills: pd.DataFrame | Table | None) -> float:
    """Fraction of bars at whose close something is held; NaN without bars."""
    if not len(index):
        return NAN
    held = np.zeros(len(index), dtype=np.bool_)
    if fills is not None:
        times, symbols, sizes = _executions(fills)
        bars = nanoseconds(index)
        for symbol in set(symbols.tolist()):
            mine = symbols == symbol
            held |= _held(bars, times[mine], sizes[mine])
    elif len(_column(trades, "pnl_net")):
        made = trades.frame() if isinstance(trades, Table) else trades
        for start, end in zip(made["entry_time"], made["exit_time"], strict=True):
            held[index.searchsorted(start) : index.searchsorted(end)] = True
    return float(held.mean())


def _executions(fills: pd.DataFrame | Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], FloatArray]:
    """Times in nanoseconds, symbols (or codes of them) and signed sizes of the fills."""
    import pandas as pd

    if isinstance(fills, Table):
        symbol = fills.columns["symbol"]
        codes = symbol.codes if isinstance(symbol, Coded) else symbol
        return np.asarray(fills.columns["time"]).view(np.int64), codes, _column(fills, "size")
    return nanoseconds(fills["time"]), pd.factorize(fills["symbol"])[0], _column(fills, "size")


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
