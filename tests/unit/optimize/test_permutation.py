"""Markets without memory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feeds.market import load
from optimize.permutation import permuted


def frame(bars: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + 0.01 * rng.standard_normal(bars))
    open_ = np.concatenate([[100.0], close[:-1]]) * (1 + 0.002 * rng.standard_normal(bars))
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.004,
            "low": np.minimum(open_, close) * 0.996,
            "close": close,
            "volume": rng.integers(1, 100, bars).astype(float),
        },
        index=pd.date_range("2020-01-01", periods=bars, tz="UTC"),
    )


def test_the_bars_are_the_same_in_another_order() -> None:
    market = load({"A": frame()})
    before, after = market.frames["A"], permuted(market, 3).frames["A"]
    assert after.iloc[0].equals(before.iloc[0])
    assert np.isclose(after["close"].iloc[-1], before["close"].iloc[-1])
    assert after.index.equals(before.index)
    for column in ("high", "low", "close"):
        ours, theirs = (np.sort(each[column] / each["open"]) for each in (after, before))
        assert np.allclose(ours, theirs)
    gaps = [np.sort((each["open"] / each["close"].shift()).dropna()) for each in (after, before)]
    assert np.allclose(*gaps)
    assert np.array_equal(np.sort(after["volume"]), np.sort(before["volume"]))
    assert not np.allclose(after["close"], before["close"])
    assert (after["high"] >= after[["open", "close"]].max(axis=1) * (1 - 1e-12)).all()


def test_seeded() -> None:
    market = load({"A": frame()})
    assert permuted(market, 3).frames["A"].equals(permuted(market, 3).frames["A"])
    assert not permuted(market, 3).frames["A"].equals(permuted(market, 4).frames["A"])


def test_symbols_of_the_same_times_stay_correlated() -> None:
    first = frame()
    market = load({"A": first, "B": first * 2.0, "C": frame(300, 9)})
    made = permuted(market, 3).frames
    assert np.allclose(made["B"]["close"], made["A"]["close"] * 2.0)
    assert len(made["C"]) == 300


def test_what_was_serial_is_gone() -> None:
    bars = frame(3000)
    trend = np.cumprod(1 + 0.01 * np.sin(np.arange(3000) / 20))
    for column in ("open", "high", "low", "close"):
        bars[column] = bars[column] * trend
    market = load({"A": bars})

    def memory(close: pd.Series) -> float:
        returns = np.log(close).diff().dropna()
        return float(returns.autocorr(1))

    assert memory(market.frames["A"]["close"]) > 0.2
    assert abs(memory(permuted(market, 1).frames["A"]["close"])) < 0.06
