"""Bars made on the spot, for tests that need no market."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

MakeBars = Callable[..., pd.DataFrame]


@pytest.fixture
def make_bars() -> MakeBars:
    def make(
        bars: int = 120, *, spacing: str = "1D", seed: int = 7, start: str = "2020-01-01"
    ) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        index = pd.date_range(start, periods=bars, freq=spacing, tz="UTC", name="time")
        close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, bars)))
        opening = close * np.exp(random.normal(0.0, 0.005, bars))
        return pd.DataFrame(
            {
                "open": opening,
                "high": np.maximum(opening, close) * 1.01,
                "low": np.minimum(opening, close) * 0.99,
                "close": close,
                "volume": np.full(bars, 1000.0),
            },
            index=index,
        )

    return make
