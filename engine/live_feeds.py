"""A venue's own bars for the live path: history first, then as they close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.cerebro import parse_timeframe
from engine.live_path import Feeds
from feeds.bridge import BinanceData, IBKRData, LiveData
from feeds.source import Feed
from feeds.together import Together

KINDS: Mapping[str, type[LiveData]] = {"binance": BinanceData, "ibkr": IBKRData}


def venue_feeds(
    venue: str,
    symbols: Sequence[str],
    timeframe: str,
    *,
    settings: Any,
    backfill: int,
    since: datetime | None,
    folder: Path,
    on_state: Callable[[str, Feed], None],
    on_bar: Callable[[str], None] | None = None,
) -> Feeds:
    """Datas of `venue`, one a symbol.

    settings: of its stream. backfill: bars before now that come first; since: the first bar instead. folder: where
    each data remembers where it began, so that a run that goes on is shown the same bars. on_state, on_bar: see
    `LiveData`.
    """
    length, compression = parse_timeframe(timeframe)

    def feeds(hurrying: Callable[[], bool]) -> dict[str, LiveData]:
        made = {
            symbol: KINDS[venue](
                dataname=symbol,
                name=symbol,
                timeframe=length,
                compression=compression,
                backfill=backfill,
                fromdate=since,
                remember=folder / f"bars-{number}.json",
                settings=settings,
                on_state=on_state,
                on_bar=on_bar,
            )
            for number, symbol in enumerate(symbols)
        }
        if len(made) > 1:
            together = Together(folder / "together.txt")
            for data in made.values():
                data.join(together)
        return made

    return feeds
