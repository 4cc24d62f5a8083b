"""Parts of a market by position: bars outside of a part are not there for whoever gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from feeds.market import Market
from optimize.trials import Span


def times_of(frames: Mapping[str, pd.DataFrame]) -> pd.DatetimeIndex:
    """The times of a market's bars, of all its symbols, rising: what positions count."""
    indexes = [pd.DatetimeIndex(frame.index) for frame in frames.values()]
    union = indexes[0]
    for index in indexes[1:]:
        union = union.union(index)
    return union


def cut(market: Market, times: pd.DatetimeIndex, span: Span) -> Market:
    """The bars a run over `span` may see: its warm-up and what is measured. Symbols without any are left out."""
    first, last = times[span.start], times[span.last - 1]
    frames = {}
    for symbol, frame in market.frames.items():
        index = pd.DatetimeIndex(frame.index)
        part = frame.iloc[index.searchsorted(first) : index.searchsorted(last, side="right")]
        if len(part):
            frames[symbol] = part
    return replace(
        market,
        frames=frames,
        info=replace(
            market.info,
            start=first.to_pydatetime(),
            end=last.to_pydatetime(),
            bars=sum(map(len, frames.values())),
        ),
    )


__all__ = ["cut", "times_of"]
