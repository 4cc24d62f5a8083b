"""What a run did before, as its journal has it: what a run that starts again has to repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from brokers.journal import Journal
from brokers.reconcile import diverged, never_made
from core.types import OrderEvent, OrderIntent


class Record:
    """Orders, cancels and events by turn. `read` fills it; orders of now are added.

    known: every order by client id. last_turn: the last turn the journal has anything of.
    """

    def __init__(self) -> None:
        self.known: dict[str, OrderIntent] = {}
        self.last_turn = 0
        self._quiet = 0
        self._turns: dict[str, int] = {}
        self._repeated: set[str] = set()
        self._cancels: frozenset[tuple[str, int]] = frozenset()
        self._events: dict[int, list[OrderEvent]] = defaultdict(list)
        self._between: set[int] = set()

    def read(self, journal: Journal) -> None:
        """Take in all the journal has."""
        for order in journal.orders():
            self.known[order.intent.client_id] = order.intent
            self._turns[order.intent.client_id] = order.step
        self._cancels = frozenset(journal.cancels())
        for recorded in journal.events():
            self._events[recorded.step].append(recorded.event)
            if recorded.between_bars:
                self._between.add(recorded.step)
        self._quiet = journal.quiet_step()
        self.last_turn = journal.last_step()

    def add(self, intent: OrderIntent, turn: int) -> None:
        """An order that is now in the journal."""
        self.known[intent.client_id] = intent
        self._turns[intent.client_id] = turn
        self._repeated.add(intent.client_id)

    def repeat(self, asked: OrderIntent, turn: int) -> None:
        """A known order was made again. Raises InconsistentState where that was at another turn."""
        if self._turns[asked.client_id] != turn:
            raise diverged(f"order {asked.client_id} came earlier or later than before")
        self._repeated.add(asked.client_id)

    def check_cancel(self, client_id: str, turn: int) -> None:
        """Raises InconsistentState where the journal has no such cancel at this turn."""
        if (client_id, turn) not in self._cancels:
            raise diverged(f"the cancel of order {client_id} is new")

    def check_whole(self) -> None:
        """Raises InconsistentState where an order on record was not made again."""
        missing = [client_id for client_id in self.known if client_id not in self._repeated]
        if missing:
            raise diverged(f"order {missing[0]} was not made again ({len(missing)} such orders)")

    def is_whole(self, turn: int) -> bool:
        """Whether nothing can be missing of this turn: it told of events, or of none, or others came after it."""
        return turn < self.last_turn or turn in self._events or turn == self._quiet

    def between_bars(self, turn: int) -> bool:
        """Whether this turn told of events between two bars."""
        return turn in self._between

    def told(self, turn: int) -> list[OrderEvent]:
        """The events of a turn, oldest first."""
        return self._events.get(turn, [])

    def events(self) -> Iterable[OrderEvent]:
        """All events, turn by turn."""
        for turn in sorted(self._events):
            yield from self._events[turn]

    def intent_of(self, event: OrderEvent, venue: str) -> OrderIntent:
        """The order an event speaks of. Raises InconsistentState for one this run never made."""
        intent = self.known.get(event.client_id)
        if intent is None:
            raise never_made(event, venue)
        return intent
