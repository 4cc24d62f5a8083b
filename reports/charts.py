"""A run's series as the compact numbers that the page's charts draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzers.metrics import drawdowns

if TYPE_CHECKING:
    from core.results import RunResult

# Above this many candles over all symbols, neighbouring bars are drawn as one: the page stays light, and no
# screen has that many pixels.
MOST_CANDLES = 20_000
MOST_POINTS, FEWEST_POINTS = 4_000, 500

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The moments that all charts of a page share, in groups of `group` bars.

    seconds: (n,) since 1970, rising, every bar. starts: (m,) place in `seconds` where each group begins.
    """

    seconds: IntArray
    starts: IntArray
    group: int

    def place(self, seconds: IntArray) -> IntArray:
        """Number of the group that each moment falls into; what is before the first belongs to the first."""
        return np.clip(np.searchsorted(self.seconds[self.starts], seconds, side="right") - 1, 0, None)


def chart_data(result: RunResult, benchmark: pd.Series | None = None) -> dict[str, Any]:
    """Everything the charts need, as plain lists: see `tearsheet.js`, which reads it.

    Every fill of a symbol that has prices becomes exactly one marker. Missing prices are null. benchmark: prices or
    an account by time; "held" is what it would have made of the run's first value, empty without one.
    """
    axis = time_axis(result)
    equity = _at(axis, result.equity)
    return {
        "times": axis.seconds[axis.starts].tolist(),
        "intraday": bool(np.any(axis.seconds % 86_400)),
        "group": axis.group,
        "equity": _compact(_last(axis, equity)),
        "held": _held(axis, equity, benchmark),
        "drawdown": _compact(-_reduce(np.fmax, axis, drawdowns(_finite(equity)))),
        "symbols": [
            {"name": name, **_candles(axis, frame), "markers": _markers(axis, name, result.fills)}
            for name, frame in result.prices.items()
        ],
    }


def _held(axis: TimeAxis, equity: FloatArray, benchmark: pd.Series | None) -> list[float | None]:
    known = equity[np.isfinite(equity)]
    if benchmark is None or not known.size or not len(benchmark) or not float(benchmark.iloc[0]) > 0:
        return []
    moments = pd.DatetimeIndex(axis.seconds.astype("datetime64[s]"), tz="UTC")
    values = benchmark.reindex(moments, method="ffill").to_numpy(dtype=np.float64)
    return _compact(_last(axis, values / float(benchmark.iloc[0]) * float(known[0])))


def time_axis(result: RunResult) -> TimeAxis:
    """All moments of equity and prices, grouped so that the charts keep to `MOST_CANDLES`."""
    moments = [_seconds(result.equity.index), *(_seconds(frame.index) for frame in result.prices.values())]
    seconds = np.unique(np.concatenate(moments))
    points = min(MOST_POINTS, max(FEWEST_POINTS, MOST_CANDLES // max(1, len(result.prices))))
    group = max(1, -(-seconds.size // points))
    return TimeAxis(seconds, np.arange(0, seconds.size, group), group)


def _candles(axis: TimeAxis, frame: pd.DataFrame) -> dict[str, list[float | None]]:
    columns: Mapping[str, FloatArray] = {
        name: _on(axis, frame.index, frame[name].to_numpy(dtype=np.float64))
        for name in ("open", "high", "low", "close")
    }
    return {
        "open": _compact(_first(axis, columns["open"])),
        "high": _compact(_reduce(np.fmax, axis, columns["high"])),
        "low": _compact(_reduce(np.fmin, axis, columns["low"])),
        "close": _compact(_last(axis, columns["close"])),
    }


def _markers(axis: TimeAxis, symbol: str, fills: pd.DataFrame) -> list[list[float]]:
    """[group, signed size, price, opens] of each fill; opens is 1 when the position grows or turns."""
    own = fills[fills["symbol"] == symbol].sort_values("time", kind="stable")
    size = own["size"].to_numpy(dtype=np.float64)
    after = np.cumsum(size)
    before = after - size
    opens = (np.abs(after) > np.abs(before)) | (after * before < 0)
    rows = zip(axis.place(_seconds(own["time"])), size, own["price"].astype(float), opens, strict=True)
    return [[int(group), _short(units), _short(price), int(opening)] for group, units, price, opening in rows]


def _seconds(times: Any) -> IntArray:
    return np.asarray(pd.DatetimeIndex(times).as_unit("s").asi8, dtype=np.int64)


def _on(axis: TimeAxis, index: pd.Index, values: FloatArray) -> FloatArray:
    """Values at their moments on the axis, NaN elsewhere; of several within one second the last counts."""
    placed = np.full(axis.seconds.size, np.nan)
    placed[np.searchsorted(axis.seconds, _seconds(index))] = values
    return placed


def _at(axis: TimeAxis, series: pd.Series) -> FloatArray:
    """The series' last known value at every moment of the axis."""
    placed = _on(axis, series.index, series.to_numpy(dtype=np.float64))
    return np.asarray(pd.Series(placed).ffill().bfill(), dtype=np.float64)


def _finite(values: FloatArray) -> FloatArray:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _reduce(best: np.ufunc, axis: TimeAxis, values: FloatArray) -> FloatArray:
    return np.asarray(best.reduceat(values, axis.starts)) if values.size else values


def _first(axis: TimeAxis, values: FloatArray) -> FloatArray:
    return np.asarray(pd.Series(values).groupby(_groups(axis)).first(), dtype=np.float64)


def _last(axis: TimeAxis, values: FloatArray) -> FloatArray:
    return np.asarray(pd.Series(values).groupby(_groups(axis)).last(), dtype=np.float64)


def _groups(axis: TimeAxis) -> IntArray:
    return np.arange(axis.seconds.size) // axis.group


def _compact(values: FloatArray) -> list[float | None]:
    return [_short(value) if np.isfinite(value) else None for value in values.tolist()]


def _short(value: float) -> float:
    """Seven significant digits: a tenth of a pixel on any screen."""
    return float(f"{value:.7g}")
