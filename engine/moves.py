"""Bars taken apart into the moves of the price within and between them, so that a shock can change those alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import DataError

FloatArray = NDArray[np.float64]
PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True)
class Moves:
    """One symbol's bars as logarithms of price ratios, each (n,).

    gap: open over the close before; the first is zero. body: close over open. above: high over the larger of open and
    close, and below: the smaller of both over low, each >= 0. first: the first open. frame: the bars they come from.
    """

    gap: FloatArray
    body: FloatArray
    above: FloatArray
    below: FloatArray
    first: float
    frame: pd.DataFrame

    @property
    def bars(self) -> int:
        """How many."""
        return len(self.gap)

    @property
    def steps(self) -> FloatArray:
        """Log return of each bar, close over the close before."""
        return self.gap + self.body

    def changed(self, **columns: Any) -> Moves:
        """With some of the columns replaced."""
        return replace(self, **columns)

    def bars_again(self) -> pd.DataFrame:
        """The bars these moves make: volume, index and other columns are those of `frame`."""
        path = self.first * np.exp(np.cumsum(np.ravel(np.column_stack([self.gap, self.body]))))
        opening, close = path[0::2], path[1::2]
        made = self.frame.copy()
        made["open"], made["close"] = opening, close
        # Where the wick is nothing the extreme is the very price, not one that rounding moved.
        made["high"] = np.maximum(opening, close) * np.exp(self.above)
        made["low"] = np.minimum(opening, close) * np.exp(-self.below)
        return made


def moves_of(symbol: str, frame: pd.DataFrame) -> Moves:
    """The moves of one symbol's bars. Raises DataError unless all prices are finite and above zero."""
    values = frame[PRICES].to_numpy(dtype=np.float64)
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise DataError(
            f"{symbol} has bars without a price above zero", hint="shocks scale prices: clean the bars first"
        )
    opening, high, low, close = np.log(values).T
    gap = opening - np.r_[opening[0], close[:-1]]
    above, below = high - np.maximum(opening, close), np.minimum(opening, close) - low
    return Moves(gap, close - opening, np.maximum(above, 0), np.maximum(below, 0), float(values[0, 0]), frame)


def moved(frames: Mapping[str, pd.DataFrame]) -> dict[str, Moves]:
    """`moves_of` every symbol."""
    return {symbol: moves_of(symbol, frame) for symbol, frame in frames.items()}
