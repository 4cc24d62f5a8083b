"""Seeded synthetic markets: small, and rich in what makes engines part (gaps, ties, no volume, late starts)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Random = np.random.Generator
NAMES = ("ALPHA", "BETA", "GAMMA")


def _walk(random: Random, bars: int, drift: float, spread: float) -> np.ndarray:
    return 80.0 * np.exp(np.cumsum(random.normal(drift, spread, bars)))


def _bars(random: Random, close: np.ndarray, gap: float, reach: float) -> pd.DataFrame:
    """Bars around known closes; gap, reach: deviations of the open from the close before, and of the wicks."""
    bars = len(close)
    opening = np.r_[close[0], close[:-1]] * np.exp(random.normal(0.0, gap, bars))
    high = np.maximum(opening, close) * np.exp(np.abs(random.normal(0.0, reach, bars)))
    low = np.minimum(opening, close) * np.exp(-np.abs(random.normal(0.0, reach, bars)))
    volume = np.floor(random.uniform(1e3, 1e5, bars))
    return pd.DataFrame({"open": opening, "high": high, "low": low, "close": close, "volume": volume})


def trend(random: Random, bars: int) -> pd.DataFrame:
    """A trend that turns once."""
    drift = np.where(np.arange(bars) < bars * 0.6, 0.003, -0.003)
    return _bars(random, 80.0 * np.exp(np.cumsum(random.normal(drift, 0.012))), 0.003, 0.006).round(2)


def chop(random: Random, bars: int) -> pd.DataFrame:
    """Round and round the same price."""
    level = np.zeros(bars)
    for bar in range(1, bars):
        level[bar] = 0.85 * level[bar - 1] + random.normal(0.0, 0.018)
    return _bars(random, 60.0 * np.exp(level), 0.004, 0.008).round(2)


def gappy(random: Random, bars: int) -> pd.DataFrame:
    """Large gaps, bars without volume, and one split."""
    frame = _bars(random, _walk(random, bars, 0.0005, 0.02), 0.025, 0.008)
    frame.loc[random.random(bars) < 0.15, "volume"] = 0.0
    frame.loc[frame.index >= int(bars * 0.55), ["open", "high", "low", "close"]] /= 2.0
    return frame.round(3)


def coarse(random: Random, bars: int) -> pd.DataFrame:
    """Prices on a grid of halves: limits are touched exactly, averages tie, some bars stand still."""
    close = 40.0 + np.cumsum(random.integers(-2, 3, bars)) * 0.5
    close = np.maximum(close, 10.0)
    opening = np.r_[close[0], close[:-1]] + random.integers(-1, 2, bars) * 0.5
    high = np.maximum(opening, close) + random.integers(0, 3, bars) * 0.5
    low = np.minimum(opening, close) - random.integers(0, 3, bars) * 0.5
    volume = random.integers(0, 5, bars) * 100.0
    return pd.DataFrame({"open": opening, "high": high, "low": low, "close": close, "volume": volume})


def flat(random: Random, bars: int) -> pd.DataFrame:
    """A walk with a stretch in which nothing moves."""
    frame = _bars(random, _walk(random, bars, 0.0, 0.015), 0.005, 0.006).round(2)
    first, last = int(bars * 0.45), int(bars * 0.6)
    frame.loc[first:last, ["open", "high", "low", "close"]] = float(frame["close"].iloc[first])
    return frame


def minute(random: Random, bars: int) -> pd.DataFrame:
    """Small steps, as within a day."""
    return _bars(random, _walk(random, bars, 0.0, 0.0025), 0.0006, 0.0012).round(3)


KINDS: dict[str, Callable[[Random, int], pd.DataFrame]] = {
    "trend": trend,
    "chop": chop,
    "gappy": gappy,
    "coarse": coarse,
    "flat": flat,
    "minute": minute,
}


def session_times(bars: int, step: int = 15) -> pd.DatetimeIndex:
    """Times of bars from 9:30 to 16:00 on weekdays, `step` minutes apart."""
    day = pd.timedelta_range("9h30min", "16h", freq=f"{step}min")
    days = pd.date_range("2023-03-01", periods=-(-bars // len(day)), freq="B", tz="UTC")
    times = [start + offset for start in days for offset in day]
    return pd.DatetimeIndex(times[:bars], name="time")


def times(kind: str, bars: int) -> pd.DatetimeIndex:
    """Times of the bars of one data of this kind."""
    if kind == "minute":
        return session_times(bars)
    return pd.date_range("2021-01-04", periods=bars, freq="B", tz="UTC", name="time").as_unit("ns")


def frames(
    kind: str, seed: int, bars: int = 160, starts: tuple[int, ...] = (0,), holes: bool = False
) -> dict[str, pd.DataFrame]:
    """One frame for each of `starts` (its first bar); the datas share a part of their movement.

    holes: later datas miss some bars.
    """
    random = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    index = times(kind, bars)
    market = {}
    for number, first in enumerate(starts):
        frame = KINDS[kind](random, bars).set_axis(index)
        if number and holes:
            frame = frame[random.random(bars) > 0.08]
        market[NAMES[number]] = frame[frame.index >= index[first]]
    return market
