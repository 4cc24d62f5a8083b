"""The charts of a report, as `reports.plots` draws them, at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzers.metrics import NORMAL
from analyzers.periods import nanoseconds
from reports import plots
from reports.figures import show
from reports.plots import Plot

if TYPE_CHECKING:
    from reports.document import Report

FloatArray = npt.NDArray[np.float64]
Size = tuple[float, float]


def seconds(index: pd.Index) -> FloatArray:
    """Times as seconds since 1970."""
    return np.asarray(nanoseconds(index) / 1e9, dtype=np.float64)


def account(report: Report, size: Size) -> Plot:
    """Equity, and what the benchmark would have made of the start value."""
    equity = report.equity
    lines = [("account", seconds(equity.index), equity.to_numpy(dtype=np.float64), "accent")]
    held = report.benchmark
    if held is not None and len(equity) and len(held) and float(held.iloc[0]) > 0:
        values = held.to_numpy(dtype=np.float64) / float(held.iloc[0]) * float(equity.iloc[0])
        lines.insert(0, (f"{held.name} held", seconds(held.index), values, "muted"))
    return plots.over_time(lines, unit="money", size=size, said="Account value over time")


def underwater(report: Report, size: Size) -> Plot:
    """How far the account is below its highest value so far."""
    below = report.drawdown
    line = ("drawdown", seconds(below.index), -below.to_numpy(dtype=np.float64), "loss")
    return plots.over_time([line], unit="percent", size=size, said="Drawdown over time", filled=True)


def rolling_sharpe(report: Report, size: Size) -> Plot | None:
    """Sharpe over the last bars; None where the run is too short."""
    return _rolling(report, "sharpe", "ratio", "Rolling Sharpe", size)


def rolling_volatility(report: Report, size: Size) -> Plot | None:
    """Volatility over the last bars; None where the run is too short."""
    return _rolling(report, "volatility", "percent", "Rolling volatility", size)


def _rolling(report: Report, name: str, unit: str, said: str, size: Size) -> Plot | None:
    table = report.rolling
    if table.empty or not np.isfinite(table[name]).any():
        return None
    line = (name, seconds(table.index), table[name].to_numpy(dtype=np.float64), "accent")
    return plots.over_time([line], unit=unit, size=size, said=said, level=0.0)


def spread(report: Report, size: Size) -> Plot | None:
    """How the returns are spread, with the normal curve of the same mean and deviation; None with too few."""
    found = report.distribution
    if found is None:
        return None
    middles, many = (found.edges[:-1] + found.edges[1:]) / 2, found.counts.sum()
    # Of the returns that are drawn: bars without a position are none of them.
    mean = float(np.average(middles, weights=found.counts))
    deviation = float(np.sqrt(np.average((middles - mean) ** 2, weights=found.counts)))
    curve = None
    if deviation > 0:
        heights = np.array([NORMAL.pdf((middle - mean) / deviation) for middle in middles])
        curve = heights / deviation * np.diff(found.edges) * many
    return plots.bars(
        found.edges,
        found.counts.astype(np.float64),
        curve=curve,
        size=size,
        said=f"Histogram of returns a {found.of}, from {show(found.worst, 'percent')} to {show(found.best, 'percent')}",
    )


def paths(report: Report, size: Size) -> Plot | None:
    """The fan of the Monte Carlo; None without one."""
    found = report.monte_carlo
    if found is None:
        return None
    fan = found.fan
    return plots.fan(
        np.asarray(fan.times, dtype=np.float64),
        [float(level) for level in fan.levels],
        np.asarray(fan.values, dtype=np.float64),
        size=size,
        said="Fan of what the account could have become, over its start value",
    )


__all__ = ["account", "paths", "rolling_sharpe", "rolling_volatility", "seconds", "spread", "underwater"]
