"""Frames that were loaded a moment ago: not checked again as long as not one number in them is another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import pandas as pd

from feeds.market import Market, Source, load

if TYPE_CHECKING:
    from core.config import DataSettings

MOST = 8
"""Markets that are remembered."""
MOST_BARS = 200_000


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame as it was. index, columns: its own, which never change; times, numbers: what they and it held."""

    frame: ref[pd.DataFrame]
    index: pd.DatetimeIndex
    columns: pd.Index
    times: Any
    numbers: Any

    def is_still(self, frame: pd.DataFrame) -> bool:
        """Whether a frame is this one, unchanged."""
        return (
            self.frame() is frame
            and self.index is frame.index
            and self.columns is frame.columns
            and np.array_equal(self.times, self.index.asi8)
            and np.array_equal(self.numbers, _numbers(frame))
        )


_known: list[tuple[dict[Any, _Frame], Market]] = []
"""By symbol (None for a frame without one), the market loaded last first."""


def load_again(data: Source, settings: DataSettings | None = None) -> Market:
    """`feeds.market.load`; at once for the very frames it was given a moment ago. The bars are a copy each time."""
    frames = _frames_of(data) if settings is None else None
    if frames is None:
        return load(data, settings=settings)
    for known, market in _known:
        if list(known) == list(frames) and all(known[name].is_still(frames[name]) for name in frames):
            return _copied(market)
    market = load(data)
    known = {
        name: _Frame(ref(frame), index, frame.columns, index.asi8.copy(), _numbers(frame).copy())
        for name, frame in frames.items()
        if isinstance(index := frame.index, pd.DatetimeIndex)
    }
    _known.insert(0, (known, _copied(market)))
    del _known[MOST:]
    return market


def _copied(market: Market) -> Market:
    frames = {symbol: frame.copy() for symbol, frame in market.frames.items()}
    return replace(market, frames=frames, info=replace(market.info, quality=market.report.as_dict()))


def _frames_of(data: Source) -> dict[Any, pd.DataFrame] | None:
    """Frames of nothing but floats over times, by symbol; None for all else."""
    frames: dict[Any, Any] = (
        {None: data} if isinstance(data, pd.DataFrame) else dict(data) if isinstance(data, Mapping) else {}
    )
    for frame in frames.values():
        if type(frame) is not pd.DataFrame or not isinstance(frame.index, pd.DatetimeIndex):
            return None
        if frame.to_numpy().dtype != np.float64:
            return None
    return frames if frames and sum(map(len, frames.values())) <= MOST_BARS else None


def _numbers(frame: pd.DataFrame) -> Any:
    """The floats of a frame as whole numbers, which are equal only where not a bit differs."""
    return np.ascontiguousarray(frame.to_numpy().T).view(np.int64)


__all__ = ["load_again"]
