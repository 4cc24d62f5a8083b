"""Made-up markets, the same in every run of the benchmarks."""

from __future__ import annotations

from typing import Any


def market(bars: int, seed: int = 1) -> Any:
    """One-minute bars of a seeded random walk."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.001, bars)))
    opening = np.concatenate([[100.0], close[:-1]])
    prices = {
        "open": opening,
        "high": np.maximum(opening, close) * 1.0005,
        "low": np.minimum(opening, close) * 0.9995,
        "close": close,
        "volume": np.full(bars, 1000.0),
    }
    index = pd.date_range("2024-01-01", periods=bars, freq="1min", tz="UTC", name="time")
    return pd.DataFrame(prices, index=index)
