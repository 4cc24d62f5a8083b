"""Bars for the live path: a venue's own, or merged with others'; history first, then as they close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from engine.cerebro import parse_timeframe
from engine.live_path import Feeds
from feeds.bridge import BinanceData, IBKRData, LiveData, MergedData, VenueStream
from feeds.consensus import Agreed
from feeds.source import Feed
from feeds.together import Together

KINDS: Mapping[str, type[LiveData]] = {"binance": BinanceData, "ibkr": IBKRData}


@dataclass(frozen=True, slots=True)
class Merging:
    """Whose bars are merged with the venue's; see `feeds.MergedData`. agreed: by symbol, as soon as there are datas."""

    others: Sequence[VenueStream]
    quorum: int
    tolerance: float
    grace: float
    agreed: dict[str, Callable[[], Agreed]] = field(default_factory=dict)

    def data_of(self, venue: VenueStream) -> Callable[..., LiveData]:
        """What makes a data of the venue's bars and the others'."""
        make: Any = MergedData
        return partial(
            make,
            sources=[venue, *self.others],
            quorum=self.quorum,
            tolerance=self.tolerance,
            grace=self.grace,
        )


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
    merging: Merging | None = None,
) -> Feeds:
    """Datas of `venue`, one a symbol; merged with other exchanges' where `merging` says so.

    settings: of its stream. backfill: bars before now that come first; since: the first bar instead. folder: where
    each data remembers where it began, so that a run that goes on is shown the same bars. on_state, on_bar: see
    `LiveData`.
    """
    length, compression = parse_timeframe(timeframe)

    make: Callable[..., LiveData] = KINDS[venue]
    if merging is not None:
        make = merging.data_of(VenueStream(venue, settings=settings))

    def feeds(hurrying: Callable[[], bool]) -> dict[str, LiveData]:
        made = {
            symbol: make(
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
        if merging is not None:
            merging.agreed.update({symbol: data.p.source.agreed for symbol, data in made.items()})
        if len(made) > 1:
            together = Together(folder / "together.txt")
            for data in made.values():
                data.join(together)
        return made

    return feeds
