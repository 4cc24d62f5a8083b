"""Market data in: files, the sample market, Yahoo and exchanges; cleaned, checked, cached.

`feeds.load(reference)` is the one way in. Importing this package loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feeds.bridge import BinanceData, IBKRData, LiveData, MergedData, VenueStream, YahooData
    from feeds.consensus import Consensus, merged_bar
    from feeds.market import Market, load
    from feeds.merge import MergedBars
    from feeds.price_watch import PriceSource, PriceWatch
    from feeds.quality import QualityReport
    from feeds.replay import Replay
    from feeds.ring import RingBuffer
    from feeds.source import BarSource

__all__ = [
    "BarSource",
    "BinanceData",
    "Consensus",
    "IBKRData",
    "LiveData",
    "Market",
    "MergedBars",
    "MergedData",
    "PriceSource",
    "PriceWatch",
    "QualityReport",
    "Replay",
    "RingBuffer",
    "VenueStream",
    "YahooData",
    "load",
    "merged_bar",
]

_HOME = {
    "BarSource": "feeds.source",
    "BinanceData": "feeds.bridge",
    "Consensus": "feeds.consensus",
    "IBKRData": "feeds.bridge",
    "LiveData": "feeds.bridge",
    "Market": "feeds.market",
    "MergedBars": "feeds.merge",
    "MergedData": "feeds.bridge",
    "PriceSource": "feeds.price_watch",
    "PriceWatch": "feeds.price_watch",
    "QualityReport": "feeds.quality",
    "Replay": "feeds.replay",
    "RingBuffer": "feeds.ring",
    "VenueStream": "feeds.bridge",
    "YahooData": "feeds.bridge",
    "load": "feeds.market",
    "merged_bar": "feeds.consensus",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'feeds' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
