"""What the checks of a run look at, each worked out once, when it is first asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from core.results import RunResult

FloatArray = npt.NDArray[np.float64]
Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """check: its name in `analyzers.diagnosis.CHECKS`. evidence: the figures, in a sentence. advice: what to do."""

    check: str
    severity: Severity
    title: str
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class FilledBars:
    """Fills beside the bars they fell on, those that have one; all arrays (n,).

    size: signed. open, high, low, close, volume: of the bar, NaN or missing volume as NaN. before: close of the bar
    before, NaN at the first. price: of the fill. value: price x |size|.
    """

    size: FloatArray
    price: FloatArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    before: FloatArray

    @property
    def value(self) -> FloatArray:
        """Value traded by each fill, in account currency."""
        return np.abs(self.size) * self.price


class Facts:
    """One run as the checks read it."""

    def __init__(self, result: RunResult, figures: Mapping[str, float]) -> None:
        self.result = result
        self._figures = figures

    def figure(self, name: str) -> float:
        """A metric; NaN where it is not defined or not there."""
        return float(self._figures.get(name, math.nan))

    @cached_property
    def equity(self) -> FloatArray:
        """(n,) as recorded, values that are not finite included."""
        return np.asarray(self.result.equity.to_numpy(dtype=np.float64))

    @cached_property
    def finite(self) -> FloatArray:
        """The equity's finite values."""
        return np.asarray(self.equity[np.isfinite(self.equity)])

    @cached_property
    def returns(self) -> FloatArray:
        """Return of each bar; empty for a lost account."""
        from analyzers.metrics import simple_returns

        return simple_returns(self.finite)

    @cached_property
    def pnl(self) -> FloatArray:
        """(trades,) results after commission, finite ones."""
        return self._trade_column("pnl_net")

    @property
    def profit(self) -> float:
        """What the run earned, in account currency; NaN without bars."""
        return float(self.finite[-1] - self.finite[0]) if self.finite.size else math.nan

    @property
    def paid(self) -> float:
        """Commission of all fills, in account currency."""
        return float(np.nansum(self.result.fills["commission"].to_numpy(dtype=np.float64)))

    @cached_property
    def traded(self) -> float:
        """Value of all fills, in account currency."""
        fills = self.result.fills
        return float(
            np.nansum(np.abs(fills["size"].to_numpy(np.float64)) * fills["price"].to_numpy(np.float64))
        )

    @cached_property
    def held(self) -> pd.DataFrame:
        """Units held at the end of each bar of the equity, a column a symbol."""
        import pandas as pd

        index = self.result.equity.index
        fills = self.result.fills
        columns = {}
        for symbol in dict.fromkeys(fills["symbol"]):
            own = fills[fills["symbol"] == symbol]
            place = np.minimum(index.searchsorted(pd.DatetimeIndex(own["time"])), len(index) - 1)
            moved = np.zeros(len(index))
            np.add.at(moved, place, own["size"].to_numpy(np.float64))
            columns[symbol] = _settled(np.cumsum(moved), own["size"].to_numpy(np.float64))
        return pd.DataFrame(columns, index=index)

    @cached_property
    def invested(self) -> FloatArray:
        """(n,) value of all positions at each bar's close, longs and shorts alike; NaN without prices."""
        total = np.zeros(len(self.result.equity))
        for symbol in self.held.columns:
            frame = self.result.prices.get(str(symbol))
            if frame is None or not len(frame):
                return np.full(len(total), np.nan)
            closes = frame["close"].reindex(self.result.equity.index, method="ffill").to_numpy(np.float64)
            units = np.abs(self.held[symbol].to_numpy(np.float64))
            total += np.where(units > 0, units * closes, 0.0)
        return total

    @cached_property
    def filled(self) -> FilledBars:
        """Every fill of a symbol that has prices, with its bar."""
        import pandas as pd

        parts = []
        for symbol, own in self.result.fills.groupby("symbol", sort=False):
            frame = self.result.prices.get(str(symbol))
            if frame is None or not len(frame):
                continue
            # Bars are stamped at their close: a fill within one belongs to the next stamp.
            place = np.minimum(frame.index.searchsorted(pd.DatetimeIndex(own["time"])), len(frame) - 1)
            bar = {name: frame[name].to_numpy(np.float64) for name in ("open", "high", "low", "close")}
            volume = frame["volume"].to_numpy(np.float64) if "volume" in frame.columns else None
            before = np.r_[np.nan, bar["close"][:-1]]
            parts.append(
                (
                    own["size"].to_numpy(np.float64),
                    own["price"].to_numpy(np.float64),
                    *(bar[name][place] for name in ("open", "high", "low", "close")),
                    np.full(len(own), np.nan) if volume is None else volume[place],
                    before[place],
                )
            )
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 8
        return FilledBars(*joined)

    def _trade_column(self, name: str) -> FloatArray:
        values = self.result.trades[name].to_numpy(dtype=np.float64)
        return np.asarray(values[np.isfinite(values)])


def _settled(position: FloatArray, sizes: FloatArray) -> FloatArray:
    """Positions without the traces that sums of floats leave where all was sold."""
    trace = 1e-9 * float(np.abs(sizes).max(initial=0.0))
    return np.where(np.abs(position) <= trace, 0.0, position)


def money(value: float) -> str:
    """An amount for a sentence: two decimals, more for small ones."""
    decimals = 2 if abs(value) >= 1 or value == 0 else min(8, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
