"""A Backtrader data over any source of bars that arrive one by one.

Usable in a plain script: `cerebro.adddata(LiveData(source=Replay("GOOG", frame)))`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import backtrader as bt

from core.types import Bar


class BarSource(Protocol):
    """Hands over complete bars in the order of time."""

    symbol: str

    def next(self) -> Bar | None:
        """The next bar, or None when there is none yet, or none any more (see `ended`)."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no bar will come any more."""
        ...

    def seconds_to_next(self) -> float:
        """How long until it makes sense to ask again; 0 when a bar is ready."""
        ...


class LiveData(bt.feed.DataBase):
    """Bars from `source`, as they come; turns Backtrader's preload and runonce off."""

    params = (("source", None), ("qcheck", 0.0))

    def islive(self) -> bool:
        """True: Backtrader must take bars one at a time."""
        return True

    def start(self) -> None:
        """Tell the strategy that what comes now is live."""
        super().start()
        self.put_notification(self.LIVE)

    @property
    def ended(self) -> bool:
        """Whether the source has no more bars."""
        return bool(self.p.source.ended)

    @property
    def known_bars(self) -> int | None:
        """How many bars there will be, where the source knows."""
        return getattr(self.p.source, "known_bars", None)

    def seconds_to_next(self) -> float:
        """How long until the source may have a bar."""
        return float(self.p.source.seconds_to_next())

    def _load(self) -> bool | None:
        bar = self.p.source.next()
        if bar is None:
            return False if self.ended else None
        self.lines.datetime[0] = bt.date2num(_naive(bar.time))
        self.lines.open[0] = bar.open
        self.lines.high[0] = bar.high
        self.lines.low[0] = bar.low
        self.lines.close[0] = bar.close
        self.lines.volume[0] = bar.volume
        return True


def _naive(time: datetime) -> datetime:
    """Backtrader calculates in naive UTC."""
    return time.replace(tzinfo=None)
