"""What Backtrader takes silently, or answers with a riddle: checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import ConfigError, DataError, UnknownNameError, UserError

if TYPE_CHECKING:
    from core.config import CostSettings

ENGINES: Mapping[str, str] = {
    "auto": "the fastest of the three that keeps stock Backtrader's answer",
    "compiled": "the strategy and the broker as machine code",
    "lean": "the strategy as it is, in a loop without waste",
    "cerebro": "stock Backtrader",
}
"""Engines that may be asked for, and what they are."""
PRICES = ("open", "high", "low", "close")
COLUMNS = {*PRICES, "volume"}


def check_engine(name: str) -> None:
    """UnknownNameError when there is no engine of that name."""
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)


def check_money(cash: float, commission: float) -> None:
    """Cash above zero; commission a fraction of the traded value in [0, 1)."""
    if not (math.isfinite(cash) and cash > 0):
        raise ConfigError(f"cash is {cash:g}", hint="start with more than 0")
    if not 0 <= commission < 1:
        raise ConfigError(
            f"commission is {commission:g}",
            hint="give a fraction of the traded value from 0 up to 1, such as 0.001 for 0.1%",
        )


def check_uncharged(costs: CostSettings, what: str) -> None:
    """ConfigError where `broker.costs` asks for anything; what: the command that would not charge it."""
    if costs != type(costs)():
        raise ConfigError(
            f"{what} charges the commission alone, and broker.costs asks for more",
            hint="leave broker.costs out here, and charge them in engine.backtest or engine.scenarios",
        )


def check_frames(frames: Mapping[str, pd.DataFrame]) -> None:
    """At least one frame; each with bars, the five columns, times that only rise, and finite prices."""
    if not frames:
        raise DataError("there is no data to run on", hint="name at least one with --data")
    for name, frame in frames.items():
        if _sound(frame):
            continue
        missing = [column for column in (*PRICES, "volume") if column not in frame.columns]
        if missing:
            raise DataError(
                f"{name} has no column {', '.join(missing)}", hint="bars need open, high, low, close, volume"
            )
        if frame.empty:
            raise DataError(f"{name} has no bars", hint="widen the dates, or name other data")
        if not isinstance(frame.index, pd.DatetimeIndex):
            raise DataError(f"{name} is not indexed by time", hint="give it a DatetimeIndex")
        if not (frame.index.is_monotonic_increasing and frame.index.is_unique):
            raise DataError(
                f"{name} has times that repeat or go back", hint="sort the bars and drop duplicates"
            )
        finite = np.isfinite(frame[list(PRICES)].to_numpy(dtype=np.float64)).all(axis=1)
        if not finite.all():
            when = frame.index[~finite][0]
            raise DataError(
                f"{name} has a price that is not a number at {when}", hint="fill or drop that bar"
            )


def _sound(frame: pd.DataFrame) -> bool:
    """Whether nothing is wrong, seen at once: floats only, all finite, over times that only rise."""
    index = frame.index
    if len(frame) == 0 or not isinstance(index, pd.DatetimeIndex) or set(frame.columns) != COLUMNS:
        return False
    times, values = index.asi8, frame.to_numpy()
    rising = not index.hasnans and bool((times[1:] > times[:-1]).all())
    return rising and values.dtype == np.float64 and bool(np.isfinite(values).all())


def check_names(frames: Mapping[str, pd.DataFrame], resample: Sequence[str]) -> None:
    """No timeframe twice, and none whose data would take another data's name."""
    first = next(iter(frames))
    taken = set(frames)
    for spec in resample:
        name = f"{first} {spec}"
        if name in taken:
            raise UserError(f"two datas would be named {name!r}", hint="name each timeframe once")
        taken.add(name)
