"""How far each trade went against its entry, and in its favour, while it was held.

Sweeney (1996), "Maximum Adverse Excursion", with the whole of the bars between entry and exit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analyzers.periods import nanoseconds
from analyzers.returns import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def excursions(trades: pd.DataFrame, prices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Largest move against and for each trade: index as `trades`, columns mae and mfe, fractions of the entry price.

    Both are zero or more. trades: columns of `core.results.TRADE_COLUMNS`. prices: by symbol, columns high and low,
    DatetimeIndex. The bar of the entry counts whole; of the bar of the exit only the exit price, because what came
    after it was not held: a trade within one bar has its two prices alone. Bars without a high or a low are left out.
    NaN where a symbol has no prices, or the entry price is not above zero.
    """
    import pandas as pd

    found = np.full((len(trades), 2), np.nan)
    for symbol in pd.unique(trades["symbol"]):
        frame = prices.get(symbol)
        if frame is not None and len(frame):
            mine = np.flatnonzero((trades["symbol"] == symbol).to_numpy())
            found[mine] = _of_symbol(trades.iloc[mine], frame)
    return pd.DataFrame(found, index=trades.index, columns=["mae", "mfe"])


def excursion_metrics(trades: pd.DataFrame, prices: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """mae, mfe: means of `excursions` over the trades for which they are known; NaN without one."""
    found = excursions(trades, prices).to_numpy()
    known = found[np.isfinite(found).all(axis=1)]
    mae, mfe = known.mean(axis=0) if len(known) else (np.nan, np.nan)
    return {"mae": float(mae), "mfe": float(mfe)}


def _of_symbol(trades: pd.DataFrame, frame: pd.DataFrame) -> FloatArray:
    """(k, 2) mae and mfe of the trades of one symbol."""
    bars = nanoseconds(frame.index)
    first = np.searchsorted(bars, nanoseconds(trades["entry_time"]))
    last = np.maximum(np.searchsorted(bars, nanoseconds(trades["exit_time"])), first)
    entry, left = (trades[name].to_numpy(dtype=np.float64) for name in ("entry_price", "exit_price"))
    highest = np.fmax(_extremes(np.fmax, frame["high"], first, last), np.fmax(entry, left))
    lowest = np.fmin(_extremes(np.fmin, frame["low"], first, last), np.fmin(entry, left))
    long = trades["size"].to_numpy(dtype=np.float64) > 0
    usable = np.where((entry > 0) & np.isfinite(entry) & np.isfinite(left), entry, np.nan)
    up, down = (highest - usable) / usable, (usable - lowest) / usable
    return np.stack([np.where(long, down, up), np.where(long, up, down)], axis=1)


def _extremes(
    extreme: np.ufunc,
    values: pd.Series,
    first: np.ndarray[tuple[int], np.dtype[np.intp]],
    last: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> FloatArray:
    """The extreme of values[first:last] for each pair; NaN for none."""
    # One more cell: `reduceat` asks for places within the array.
    padded = np.append(values.to_numpy(dtype=np.float64), np.nan)
    places = np.stack([first, last], axis=1).ravel()
    found = np.asarray(extreme.reduceat(padded, places)[::2], dtype=np.float64)
    return np.where(last > first, found, np.nan)


__all__ = ["excursion_metrics", "excursions"]
