"""What a bad bar costs: value at risk, the mean loss beyond it, and how the tails compare.

returns: (n,) float64, simple, per bar, as fractions, finite. Losses are fractions above zero, of one bar: they are not
annualised. What is not defined is NaN.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from analyzers.returns import NAN, NORMAL, ROUNDING, FloatArray, shape

TailMethod = Literal["historical", "normal", "cornish-fisher"]

FAR = 3.0
"""Normal quantile of one bar in 740: what an expansion does beyond it weighs little in a mean of the worst 5%."""


def value_at_risk(returns: FloatArray, tail: float = 0.05, method: TailMethod = "historical") -> float:
    """The loss of one bar that is exceeded with probability `tail`; a fraction, above zero for a loss.

    historical: the percentile, interpolated. normal: mean and deviation (ddof 1). cornish-fisher: that,
    corrected for skewness and kurtosis, Favre and Galeano (2002). NaN below one (two) returns, and for cornish-fisher
    where skewness or kurtosis are beyond what the expansion can bear: Maillard (2012).
    """
    if returns.size < (1 if method == "historical" else 2):
        return NAN
    if method == "historical":
        return 0.0 - float(np.percentile(returns, 100 * tail))
    z = NORMAL.inv_cdf(tail)
    return _loss_at(returns, z, z**2, z**3, z, method)


def conditional_value_at_risk(
    returns: FloatArray, tail: float = 0.05, method: TailMethod = "historical"
) -> float:
    """The mean loss of one bar within the worst `tail`; a fraction, above zero for a loss.

    historical: mean of the worst floor((n - 1) * tail) + 1 returns. normal and cornish-fisher: the mean of
    the quantile of `value_at_risk` below `tail`, in closed form (Maillard, 2012); NaN where that is.
    """
    if returns.size < (1 if method == "historical" else 2):
        return NAN
    if method == "historical":
        last = int((returns.size - 1) * tail)
        return 0.0 - float(np.mean(np.partition(returns, last)[: last + 1]))
    z = NORMAL.inv_cdf(tail)
    hazard = NORMAL.pdf(z) / tail
    # Moments of a standard normal below z.
    return _loss_at(returns, -hazard, 1.0 - z * hazard, -(z**2 + 2.0) * hazard, z, method)


def tail_ratio(returns: FloatArray) -> float:
    """Size of the 95th percentile of returns over the size of the 5th; NaN when the 5th is zero."""
    return tail_ratio_of(np.sort(returns))


def tail_ratio_of(ordered: FloatArray) -> float:
    """`tail_ratio` of returns that are sorted already."""
    if not ordered.size:
        return NAN
    high, low = abs(quantile(ordered, 0.95)), abs(quantile(ordered, 0.05))
    return high / low if low > ROUNDING else NAN


def tail_metrics(returns: FloatArray) -> dict[str, float]:
    """What `equity_metrics` does not say of the losses: those by the normal law and by Cornish and Fisher."""
    return {
        "var_95_normal": value_at_risk(returns, method="normal"),
        "cvar_95_normal": conditional_value_at_risk(returns, method="normal"),
        "var_95_cornish_fisher": value_at_risk(returns, method="cornish-fisher"),
        "cvar_95_cornish_fisher": conditional_value_at_risk(returns, method="cornish-fisher"),
    }


def quantile(ordered: FloatArray, share: float) -> float:
    """`np.percentile`, linear, of values already sorted, n > 0: numpy's own arithmetic."""
    place = share * (ordered.size - 1)
    below = math.floor(place)
    above = min(below + 1, ordered.size - 1)
    low, high, weight = float(ordered[below]), float(ordered[above]), place - below
    return high - (high - low) * (1.0 - weight) if weight >= 0.5 else low + (high - low) * weight


def _loss_at(
    returns: FloatArray, z: float, z2: float, z3: float, quantile: float, method: TailMethod
) -> float:
    """Loss at a normal quantile given as its first three powers (or at the mean of each below it)."""
    if method == "cornish-fisher":
        skewness, excess = shape(returns)
        if not _rises(max(FAR, abs(quantile)), skewness, excess):
            return NAN
        z = (
            z
            + (z2 - 1.0) * skewness / 6.0
            + (z3 - 3.0 * z) * excess / 24.0
            - (2.0 * z3 - 5.0 * z) * skewness**2 / 36.0
        )
    return -(float(returns.mean()) + z * float(returns.std(ddof=1)))


def _rises(far: float, skewness: float, excess: float) -> bool:
    """Whether the Cornish-Fisher expansion rises between the normal quantiles -far and far, as quantiles have to.

    Where its slope, a parabola, is below zero, a rarer loss would be a smaller one. Maillard (2012), section 3, asks the
    same of all quantiles, which no sample with thinner tails than a normal law's can meet.
    """
    a = excess / 8.0 - skewness**2 / 6.0
    b = skewness / 3.0
    c = 1.0 - excess / 8.0 + 5.0 * skewness**2 / 36.0
    places = [-far, far]
    if a > 0 and abs(b) < 2.0 * a * far:
        places.append(-b / (2.0 * a))
    return all(a * place**2 + b * place + c >= 0 for place in places)


__all__ = [
    "TailMethod",
    "conditional_value_at_risk",
    "quantile",
    "tail_metrics",
    "tail_ratio",
    "tail_ratio_of",
    "value_at_risk",
]
