from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

MakeBars = Callable[..., pd.DataFrame]


@pytest.fixture
def make_bars() -> MakeBars:
    """A valid market of `periods` bars: a rising zigzag, volume 1000, 1001, ..."""

    def make(
        periods: int = 200, freq: str = "min", start: str = "2024-03-04", tz: str | None = "UTC"
    ) -> pd.DataFrame:
        index = pd.date_range(start, periods=periods, freq=freq, tz=tz, name="time").as_unit("ns")
        steps = np.arange(periods, dtype="float64")
        close = 100 + steps * 0.25 + np.where(steps % 2 == 0, 0.5, -0.5)
        open_ = np.concatenate(([100.0], close[:-1]))
        return pd.DataFrame(
            {
                "open": open_,
                "high": np.maximum(open_, close) + 0.25,
                "low": np.minimum(open_, close) - 0.25,
                "close": close,
                "volume": 1000 + steps,
            },
            index=index,
        )

    return make
