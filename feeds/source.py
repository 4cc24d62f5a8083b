"""Where bars come from one by one: what a source of your own has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum

from core.types import Bar


class Feed(StrEnum):
    """What a source is at present.

    DELAYED: bars of the past. LIVE: bars as they happen. DISCONNECTED: nothing is heard, and what was heard is old.
    """

    DELAYED = "delayed"
    LIVE = "live"
    DISCONNECTED = "disconnected"


class BarSource(ABC):
    """Hands over complete bars of `symbol` in the order of time.

    feed: what it is at first. on_news: set by whoever waits for bars; call it, from any thread, when `next` has
    something new.
    """

    symbol: str
    feed: Feed = Feed.LIVE
    on_news: Callable[[], None] = staticmethod(lambda: None)

    @abstractmethod
    def next(self) -> Bar | Feed | None:
        """The next bar or change of state; None when there is none yet, or none any more (see `ended`)."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether no bar will come any more."""

    @abstractmethod
    def seconds_to_next(self) -> float:
        """How long until it makes sense to ask again, unless there is news before; 0 when a bar is ready."""

    def start(self) -> None:
        """The first bar is wanted."""
        return

    def stop(self) -> None:
        """No more are wanted."""
        return

    def wait(self, seconds: float) -> None:
        """Sleep until there is news, at most so long, where nobody set `on_news`."""
        return
