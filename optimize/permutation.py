"""Markets without memory: the same bars in another order, on which nothing can be learned.

A search that does as well on many of them as on the real market has found what any search finds in noise. Masters
(2018), "Permutation and Randomization Tests for Trading System Development".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from feeds.market import Market

Order = NDArray[np.int64]
PRICES = ("open", "high", "low", "close")


def permuted(market: Market, seed: int) -> Market:
    """The market with its bars in a random order: gaps between bars, and moves within them, each shuffled.

    The first bar and, but for rounding, the last close stay, and so do drift and volatility over the whole. Symbols
    with bars at the same times are shuffled alike, so that they stay correlated.
    """
    orders: dict[bytes, tuple[Order, Order]] = {}
    frames = {}
    for symbol, frame in market.frames.items():
        index = pd.DatetimeIndex(frame.index)
        key = index.asi8.tobytes()
        if key not in orders:
            rng = np.random.default_rng([seed, len(orders)])
            count = max(0, len(frame) - 1)
            orders[key] = rng.permutation(count), rng.permutation(count)
        frames[symbol] = _shuffled(frame, *orders[key])
    return replace(market, frames=frames)


def _shuffled(frame: pd.DataFrame, gaps: Order, moves: Order) -> pd.DataFrame:
    logs = np.log(frame[list(PRICES)].to_numpy(dtype=np.float64))
    opening = logs[1:, 0] - logs[:-1, 3]  # close to the next open
    within = logs[1:] - logs[1:, :1]  # from the open
    within, opening = within[moves], opening[gaps]
    steps = opening + np.concatenate([[0.0], within[:-1, 3]]) if len(opening) else opening
    opens = logs[0, 3] + np.cumsum(steps)
    prices = np.exp(np.vstack([logs[:1], opens[:, None] + within]))
    prices[0] = frame.iloc[0][list(PRICES)]
    columns = dict(zip(PRICES, prices.T, strict=True))
    if "volume" in frame:
        volume = frame["volume"].to_numpy()
        columns["volume"] = np.concatenate([volume[:1], volume[1:][moves]])
    return frame.assign(**columns)


__all__ = ["permuted"]
