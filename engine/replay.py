"""History through the live path, bar by bar: as fast as it can be taken, or at a pace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from engine.cerebro import timeframe_of
from engine.live_path import Feeds
from feeds.bridge import LiveData
from feeds.replay import Pacer, Replay


def replayed(frames: Mapping[str, pd.DataFrame], speed: float | None = None) -> Feeds:
    """Datas that hand over `frames`. speed: market seconds a second, or None for as fast as it can."""

    def feeds(hurrying: Callable[[], bool]) -> dict[str, LiveData]:
        pacer = Pacer(speed, hurry=hurrying)
        made: dict[str, LiveData] = {}
        for symbol, frame in frames.items():
            source = Replay(symbol, frame, pacer=pacer)
            timeframe, compression = timeframe_of(frame.index)
            made[symbol] = LiveData(source=source, name=symbol, timeframe=timeframe, compression=compression)
        return made

    return feeds
