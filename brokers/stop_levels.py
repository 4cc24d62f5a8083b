"""Where the protective orders of a run stand at the venue, written down with the events that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from brokers.base import Venue
from brokers.journal import Journal
from core.types import Bar, EventKind, OrderEvent, OrderIntent, OrderState, OrderStatus, OrderType, to_decimal

STOP_TYPES = frozenset(
    {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT}
)


class StopLevels:
    """The levels of the stop kinds, at first and at every move."""

    def __init__(self, venue: Venue, journal: Journal) -> None:
        self._venue = venue
        self._journal = journal

    async def ask(
        self, events: Sequence[OrderEvent], intents: Mapping[str, OrderIntent]
    ) -> dict[str, OrderState]:
        """What the venue says of the protective orders these events speak of, by client id."""
        levels = {}
        for client_id in dict.fromkeys(event.client_id for event in events if _sets_stop(event)):
            if intents[client_id].type in STOP_TYPES:
                state = await self._venue.order(client_id)
                if state is not None:
                    levels[client_id] = state
        return levels

    def keep(
        self, event: OrderEvent, levels: Mapping[str, OrderState], bars: Mapping[str, Bar], turn: int
    ) -> None:
        """Write down where the order stands, if this event says so. bars: the last of each symbol."""
        level = levels.get(event.client_id)
        if level is None or not _sets_stop(event):
            return
        trigger, limit = (
            (event.trigger, event.limit) if event.trigger is not None else (level.trigger, level.limit)
        )
        bar = bars.get(level.symbol)
        high_water = to_decimal(bar.close) if bar and event.kind is EventKind.TRAIL else None
        self._journal.save_stop(event.client_id, level.symbol, trigger, limit, high_water, turn)


def _sets_stop(event: OrderEvent) -> bool:
    return event.kind is EventKind.TRAIL or event.status is OrderStatus.ACCEPTED
