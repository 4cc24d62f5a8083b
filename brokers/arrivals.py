"""What a venue tells of orders, in its order: first what was missed while nobody ran, then what comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime

from brokers.base import Venue
from brokers.reconcile import check_numbers
from core.errors import InconsistentState, VenueFatal, VenueTransient
from core.types import OrderEvent

ASK_ATTEMPTS = 5
ASK_PAUSE_SECONDS = 0.2


class Arrivals:
    """Events nobody was told of yet. on_news: called on the listening thread for each one that comes."""

    def __init__(self, venue: Venue, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._venue = venue
        self._missed: deque[OrderEvent] = deque()
        self._arrived: deque[OrderEvent] = deque()
        self._seen = 0
        self._news = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self._listening = True

    async def catch_up(self, since: int) -> None:
        """Ask for everything after event number `since`. Raises InconsistentState where the venue has not come so far."""
        self._missed.extend(await self._venue.fills(since))
        self._seen = self._venue.sequence
        check_numbers(since, self._seen, self._venue.name)

    def listen(self) -> None:
        """Take in what comes from now on."""
        self._listener = asyncio.create_task(self._listen(), name="venue events")

    async def stop(self) -> None:
        """Wait for the end of the venue's events; it has to be closed."""
        if self._listener is not None:
            await self._listener

    @property
    def missed(self) -> int:
        """How many happened while nobody ran and are still to be told."""
        return len(self._missed)

    @property
    def arrived(self) -> int:
        """How many came since the last were taken."""
        return len(self._arrived)

    def __iter__(self) -> Iterator[OrderEvent]:
        """All that are still to be told, oldest first; they stay."""
        yield from self._missed
        yield from self._arrived

    async def take(self, until: datetime) -> list[OrderEvent]:
        """What is to be told now, once everything the venue has numbered is here; of what was missed, up to `until`."""
        await self.complete()
        fresh: list[OrderEvent] = []
        while self._missed and self._missed[0].time <= until:
            fresh.append(self._missed.popleft())
        if not self._missed:
            # Behind what was missed: the journal's last number stands for all before it.
            fresh.extend(self._arrived)
            self._arrived.clear()
        return fresh

    async def complete(self) -> None:
        """Wait until everything the venue has numbered is here. Raises VenueFatal where no more will come."""
        while self._seen < self._venue.sequence:
            if not self._listening:
                raise VenueFatal(
                    f"{self._venue.name} stopped reporting events", hint="start again with --resume"
                )
            self._news.clear()
            await self._news.wait()

    async def _listen(self) -> None:
        try:
            async for event in self._venue.events():
                if event.sequence > self._seen:
                    self._arrived.append(event)
                    self._seen = event.sequence
                    self._news.set()
                    self._on_news()
        finally:
            self._listening = False
            self._news.set()


async def has_arrived(venue: Venue, client_id: str) -> bool:
    """Whether the venue has an order nobody heard of, asked by client id; never resent.

    Raises InconsistentState where it does not answer.
    """
    for attempt in range(ASK_ATTEMPTS):
        try:
            return await venue.order(client_id) is not None
        except VenueTransient:
            await asyncio.sleep(ASK_PAUSE_SECONDS * 2**attempt)
    raise InconsistentState(
        f"nobody can say whether order {client_id} reached {venue.name}",
        hint="look it up at the venue by that client id, then start again with --resume",
    )
