"""What the returns of a run are worth for their risk.

equity: (n,) float64 in account currency, one value a bar, oldest first, finite. returns: (n,) simple, per bar, as
fractions, finite. What is not defined (too few bars, no variance, no loss, a lost account) is NaN, never an infinity.
Annualised by `periods`, bars a year, where a name says so: means by that number, deviations by its root. Risk-free
rate and required return are zero.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Returns are differences of ratios near one: what is finer than some fifty units in the last place is noise
# of the arithmetic, and a ratio over it would be a figure of 1e15 that means nothing.
ROUNDING = 1e-14
NAN = math.nan
NORMAL = NormalDist()


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
    return ratio_of_moments(returns) * math.sqrt(periods)


def sharpe_error(returns: FloatArray, periods: float) -> float:
    """Standard error of the annualised Sharpe ratio, for independent returns of any shape.

    With the skewness and kurtosis of the returns: Mertens (2002); for normal ones Lo (2002), eq. 9. The error that
    `probabilistic_sharpe` divides by. NaN below three returns or without variance.
    """
    ratio = ratio_of_moments(returns)
    if returns.size < 3 or math.isnan(ratio):
        return NAN
    variance = _sharpe_variance(ratio, *shape(returns))
    return math.sqrt(variance / (returns.size - 1) * periods) if variance > 0 else NAN


def sortino(returns: FloatArray, periods: float) -> float:
    """Annualised mean over downside deviation: root mean square of min(return, 0) over all bars.

    Sortino and Price (1994). NaN below two returns, or when no bar lost.
    """
    if returns.size < 2:
        return NAN
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean()) / downside * math.sqrt(periods) if downside > ROUNDING else NAN


def omega(returns: FloatArray) -> float:
    """Sum of gains over sum of losses, threshold zero. Keating and Shadwick (2002). NaN without losses."""
    losses = -float(returns[returns < 0].sum())
    return float(returns[returns > 0].sum()) / losses if returns.size > 1 and losses > ROUNDING else NAN


def kelly(returns: FloatArray) -> float:
    """The multiple of what was held that would have grown fastest: mean over variance (ddof 1) of returns.

    Below zero for a losing run; 2 says twice the size. Thorp (2006), eq. 7.3, for small returns and a size that is
    kept at all times. An estimate with a large error: people bet a half of it or less. NaN without variance.
    """
    ratio = ratio_of_moments(returns)
    return NAN if math.isnan(ratio) else ratio / float(returns.std(ddof=1))


def probabilistic_sharpe(returns: FloatArray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`, both per bar, not annualised.

    Corrects for length, skewness and kurtosis. Bailey and Lopez de Prado (2012), eq. 11. NaN below three
    returns or without variance.
    """
    return probabilistic_sharpe_of(returns, ratio_of_moments(returns), benchmark)


def probabilistic_sharpe_of(returns: FloatArray, ratio: float, benchmark: float) -> float:
    """`probabilistic_sharpe` where the Sharpe ratio per bar is known."""
    if returns.size < 3 or math.isnan(ratio):
        return NAN
    skewness, excess = shape(returns)
    return sharpe_probability(ratio, returns.size, benchmark, skewness, excess)


def sharpe_probability(
    ratio: float, bars: int, benchmark: float = 0.0, skewness: float = 0.0, excess: float = 0.0
) -> float:
    """`probabilistic_sharpe` of a Sharpe ratio per bar and the shape of its returns. excess: kurtosis less three."""
    variance = _sharpe_variance(ratio, skewness, excess)
    if bars < 2 or not variance > 0:
        return NAN
    return NORMAL.cdf((ratio - benchmark) * math.sqrt((bars - 1) / variance))


def ratio_of_moments(returns: FloatArray) -> float:
    """The Sharpe ratio per bar, not annualised; NaN below two returns or without variance."""
    if returns.size < 2:
        return NAN
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > ROUNDING else NAN


def shape(returns: FloatArray) -> tuple[float, float]:
    """Skewness and excess kurtosis from population moments; zeros without variance."""
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    if variance <= ROUNDING**2:
        return 0.0, 0.0
    standard = centred / math.sqrt(variance)
    squares = standard * standard  # numpy's general power is ten times slower
    return float(np.mean(squares * standard)), float(np.mean(squares * squares)) - 3.0


def _sharpe_variance(ratio: float, skewness: float, excess: float) -> float:
    """Variance of the Sharpe ratio per bar, times the number of bars less one."""
    return 1.0 - skewness * ratio + (excess + 2.0) / 4.0 * ratio**2


__all__ = [
    "cagr",
    "kelly",
    "omega",
    "probabilistic_sharpe",
    "ratio_of_moments",
    "shape",
    "sharpe",
    "sharpe_error",
    "sharpe_probability",
    "simple_returns",
    "sortino",
    "total_return",
    "volatility",
]
