"""What the order path asks of a journal. `store.Journal` is one; each call is durable when it returns."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.types import OrderEvent, OrderIntent


class JournalledEvent(Protocol):
    """An event as the journal returns it."""

    @property
    def event(self) -> OrderEvent:
        """What happened."""
        ...

    @property
    def step(self) -> int:
        """The turn at which the strategy was told."""
        ...

    @property
    def between_bars(self) -> bool:
        """Whether it was told between two bars."""
        ...


class JournalledOrder(Protocol):
    """An order as the journal returns it."""

    @property
    def intent(self) -> OrderIntent:
        """As it was written down."""
        ...

    @property
    def step(self) -> int:
        """The turn at which it was made."""
        ...


class Journal(Protocol):
    """What the executor needs of `store.Journal`; each call outside a transaction commits by itself."""

    @property
    def down(self) -> bool:
        """Whether what is written is durable elsewhere than in the database, which takes nothing just now."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Group several writes into one durable commit."""
        ...

    def record_intent(self, intent: OrderIntent, *, step: int) -> bool:
        """Write down an order before the venue is asked."""
        ...

    def record_rejection(self, client_id: str, reason: str, *, bar: datetime, step: int) -> OrderEvent:
        """Write down that the order was refused before the venue was asked."""
        ...

    def record_cancel(self, client_id: str, *, step: int) -> None:
        """Write down a cancel before the venue is asked."""
        ...

    def append_event(
        self, event: OrderEvent, *, bar: datetime, step: int, between_bars: bool = False
    ) -> bool:
        """Write down what the venue said, and whether the strategy hears of it between bars; False when it was known."""
        ...

    def save_stop(
        self,
        client_id: str,
        symbol: str,
        trigger: Decimal | None,
        limit: Decimal | None,
        high_water: Decimal | None,
        step: int,
    ) -> None:
        """Write down where a protective order stands."""
        ...

    def record_quiet(self, step: int) -> None:
        """Write down that the strategy was told of nothing in this turn, before it acts on that."""
        ...

    def orders(self) -> Sequence[JournalledOrder]:
        """Every order, in order of recording."""
        ...

    def cancels(self) -> Set[tuple[str, int]]:
        """Client id and turn of every cancel asked for."""
        ...

    def events(self) -> Sequence[JournalledEvent]:
        """Every event, in order of recording."""
        ...

    def last_sequence(self) -> int:
        """The venue's number of the last event written down."""
        ...

    def quiet_step(self) -> int:
        """The last turn that was written down as quiet."""
        ...

    def last_step(self) -> int:
        """The last turn anything was written down at."""
        ...
