"""How far and how long an account was below its highest value.

equity: (n,) float64 in account currency, one value a bar, oldest first, finite. Drawdowns are fractions of the highest
equity so far, above zero for a loss, in [0, 1]. What is not defined is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzers.returns import NAN, ROUNDING, FloatArray, cagr, total_return

if TYPE_CHECKING:
    import pandas as pd


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
    begins, ends = runs(flags)
    return int((ends - begins).max()) if begins.size else 0


def runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First bar of each unbroken run of True, and the bar after its last: each (k,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return edges[::2], edges[1::2]


def calmar(equity: FloatArray, periods: float) -> float:
    """Compound annual growth over the largest drawdown, whole period. Young (1991). NaN without drawdown."""
    return _over_drawdown(cagr(equity, periods), equity)


def recovery_factor(equity: FloatArray) -> float:
    """Total return over the largest drawdown, both fractions; NaN without drawdown."""
    return _over_drawdown(total_return(equity), equity)


def ulcer_index(equity: FloatArray) -> float:
    """Root mean square of the drawdown over all bars, a fraction. Martin and McCann (1989)."""
    return root_mean_square(drawdowns(equity))


def drawdown_metrics(equity: FloatArray) -> dict[str, float]:
    """What `equity_metrics` does not say of the drawdowns.

    average_drawdown: mean over the drawdowns of how deep each was, the one that still lasts included; NaN without one.
    max_drawdown_recovery_bars: from the lowest bar of the largest one (the first, of equal ones) to the bar that is as
    high as before again; NaN where that never came, or nothing was lost. time_under_water: fraction of the bars below
    an earlier high; NaN without bars.
    """
    below = drawdowns(equity)
    begins, ends, troughs = episodes(below)
    back = NAN
    if begins.size:
        largest = int(np.argmax(below[troughs]))
        back = float(ends[largest] - troughs[largest]) if ends[largest] < equity.size else NAN
    return {
        "average_drawdown": float(below[troughs].mean()) if begins.size else NAN,
        "max_drawdown_recovery_bars": back,
        "time_under_water": float((below > 0).mean()) if below.size else NAN,
    }


def episodes(
    below: FloatArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First bar, the bar after the last, and the lowest bar of every drawdown, each (k,), in order of time.

    below: (n,) from `drawdowns`. A fall that is mere rounding of the same equity is no drawdown.
    """
    begins, ends = runs(below > 0)
    if not begins.size:
        return begins, ends, begins
    depth = np.maximum.reduceat(below, begins)  # bars between two drawdowns are zero
    real = depth > ROUNDING
    begins, ends = begins[real], ends[real]
    pairs = zip(begins, ends, strict=True)
    troughs = np.array([first + int(np.argmax(below[first:last])) for first, last in pairs], np.int64)
    return begins, ends, troughs


def drawdown_table(equity: pd.Series, count: int = 10) -> pd.DataFrame:
    """The deepest drawdowns, deepest first, at most `count` of them.

    equity: one value a bar, DatetimeIndex; bars without a finite value are left out. Columns: start (time of the last
    high), trough, end (as high again; NaT where it never was), depth (a fraction), bars (below the high, as many as
    there are so far), recovery_bars (trough to end; NaN where it never came).
    """
    import pandas as pd

    known = equity[np.isfinite(equity.to_numpy(dtype=np.float64))]
    below = drawdowns(known.to_numpy(dtype=np.float64))
    begins, ends, troughs = episodes(below)
    deepest = np.argsort(-below[troughs], kind="stable")[:count]
    begins, ends, troughs = begins[deepest], ends[deepest], troughs[deepest]
    times, over = pd.DatetimeIndex(known.index), ends < len(known)
    end = pd.Series(times[np.minimum(ends, max(len(known) - 1, 0))]).where(over)
    return pd.DataFrame(
        {
            # An account that starts without money has no high before its first bar.
            "start": times[np.maximum(begins - 1, 0)],
            "trough": times[troughs],
            "end": end,
            "depth": below[troughs],
            "bars": ends - begins,
            "recovery_bars": np.where(over, ends - troughs, NAN),
        }
    )


def root_mean_square(values: FloatArray) -> float:
    """Of all values; NaN without one."""
    return math.sqrt(float(np.mean(values**2))) if values.size else NAN


def _over_drawdown(value: float, equity: FloatArray) -> float:
    deepest = float(drawdowns(equity).max()) if equity.size else 0.0
    return value / deepest if deepest > ROUNDING else NAN


__all__ = [
    "calmar",
    "drawdown_metrics",
    "drawdown_table",
    "drawdowns",
    "episodes",
    "longest_run",
    "recovery_factor",
    "root_mean_square",
    "runs",
    "ulcer_index",
]
