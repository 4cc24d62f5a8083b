"""Bars from a thread that listens to a thread that trades: a queue that wakes whoever waits for it."""

from __future__ import annotations

import queue
import time as wall
from collections import deque
from collections.abc import Callable, Iterable

from core.types import Bar
from feeds.source import BarSource, Feed

LONGEST_WAIT = 3600.0


class LiveSource(BarSource):
    """Complete bars of one symbol, put by one thread and taken by another.

    start and stop: called when the first bar is wanted, and when no more are. on_news: set by whoever waits; called
    on the listening thread whenever `next` has something new, or raises. feed: the state as far as it was taken;
    state: as the listening thread has it.
    """

    def __init__(
        self,
        symbol: str,
        *,
        start: Callable[[LiveSource], None] = lambda source: None,
        stop: Callable[[LiveSource], None] = lambda source: None,
    ) -> None:
        self.symbol = symbol
        self._on_start, self._on_stop = start, stop
        self.on_news = self._nobody
        self.feed = Feed.DELAYED
        self._told: deque[Bar | Feed] = deque()
        self.state = self.feed
        self._failure: BaseException | None = None
        self._closed = False
        self._heard_at = wall.monotonic()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    # -- the thread that trades

    def start(self) -> None:
        """The first bar is wanted."""
        self._on_start(self)

    def stop(self) -> None:
        """No more are wanted."""
        self._on_stop(self)

    def next(self) -> Bar | Feed | None:
        """The next bar or change of state; None when there is none yet, or none any more (see `ended`).

        Raises what the listening thread failed with, after the last bar.
        """
        if self._told:
            told = self._told.popleft()
            if isinstance(told, Feed):
                self.feed = told
            return told
        if self._failure is not None:
            raise self._failure
        return None

    @property
    def ended(self) -> bool:
        """Whether no bar will come any more."""
        return self._closed and not self._told

    @property
    def silent_seconds(self) -> float:
        """Since the venue was last heard of."""
        return wall.monotonic() - self._heard_at

    def seconds_to_next(self) -> float:
        """0 when there is something to take; else news comes by itself."""
        return 0.0 if self._told or self._failure is not None or self._closed else LONGEST_WAIT

    def wait(self, seconds: float) -> None:
        """Sleep until there is news, where nobody else waits for it."""
        if self.on_news == self._nobody and self.seconds_to_next() > 0:
            try:
                self._news.get(timeout=seconds)
            except queue.Empty:
                return

    # -- the thread that listens

    def put(self, told: Iterable[Bar | Feed]) -> None:
        """Hand over bars, and the state before or after them; what it was already is not told again."""
        before = len(self._told)
        for each in told:
            if each is not self.state:
                self._told.append(each)
                self.state = each if isinstance(each, Feed) else self.state
        if len(self._told) > before:
            self.on_news()

    def heard(self) -> None:
        """The venue has said something."""
        self._heard_at = wall.monotonic()

    def fail(self, error: BaseException) -> None:
        """No bar will come any more, because of this."""
        self._failure = error
        self.on_news()

    def end(self) -> None:
        """No bar will come any more."""
        self._closed = True
        self.on_news()

    def _nobody(self) -> None:
        self._news.put(None)
