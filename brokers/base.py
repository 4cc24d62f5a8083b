"""What a venue is. Paper, Binance and IBKR pass one contract suite against this protocol.

Errors are split by who reacts: `OrderRejected` (journal it), `OutcomeUnknown` (query before anything else),
`VenueTransient` (retry reads only), `VenueFatal` (halt new orders).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from brokers.movements import Movement
from core.types import Bar, Instrument, OrderEvent, OrderIntent, OrderState, Position, Quote


class Venue(Protocol):
    """Where orders go. All methods are coroutines but `events`, which is an async iterator."""

    name: str

    @property
    def sequence(self) -> int:
        """Number of the last event handed to `events()`; 0 before the first."""
        ...

    async def connect(self) -> None:
        """Open the session and load the venue's state."""
        ...

    async def close(self) -> None:
        """End the session; orders resting at the venue stay there."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """What can be traded, by symbol."""
        ...

    async def balances(self) -> Mapping[str, Decimal]:
        """Cash by currency."""
        ...

    async def positions(self) -> Mapping[str, Position]:
        """What is held, by symbol; flat symbols are absent."""
        ...

    async def open_orders(self) -> Sequence[OrderState]:
        """Orders that can still fill, oldest first."""
        ...

    async def order(self, client_id: str) -> OrderState | None:
        """What the venue knows of this order, or None if it never took it."""
        ...

    async def fills(self, since: int) -> Sequence[OrderEvent]:
        """Every event after number `since`, oldest first: what a client that was away has missed."""
        ...

    async def submit(self, intent: OrderIntent) -> None:
        """Hand over one order. Returns when the venue has it; what becomes of it comes as events.

        Sending the same client id again changes nothing.
        """
        ...

    async def cancel(self, client_id: str) -> bool:
        """Cancel an order; False when there was nothing left to cancel."""
        ...

    async def amend(
        self,
        client_id: str,
        *,
        size: Decimal | None = None,
        price: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> bool:
        """Change a resting order in place; False when it can no longer be changed."""
        ...

    async def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask, or None before the first price."""
        ...

    def events(self) -> AsyncIterator[OrderEvent]:
        """What happens to orders, as it happens; ends when the venue is closed."""
        ...


@runtime_checkable
class SimulatedVenue(Venue, Protocol):
    """A venue that is told the market, because it has none of its own."""

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """Market step `number` (1, 2, ...): these bars are now complete; match resting orders against them.

        A symbol absent from `bars` keeps its last bar. A number already taken changes nothing, so a session
        that starts again may repeat the steps it is unsure of.
        """
        ...


@runtime_checkable
class PromptVenue(SimulatedVenue, Protocol):
    """A simulated venue of which nothing is heard late: what a call brings about has been told when it returns."""

    prompt: bool


@runtime_checkable
class ChargingVenue(SimulatedVenue, Protocol):
    """A simulated venue at which more happens to an account than its fills."""

    @property
    def charges(self) -> bool:
        """Whether it does."""
        ...

    def movements(self, step: int | None = None) -> Sequence[Movement]:
        """What happened, oldest first: at one market step, or at all of them."""
        ...


@runtime_checkable
class AttendedVenue(Venue, Protocol):
    """A venue that follows some orders itself while its session lasts."""

    async def give_up(self) -> int:
        """Cancel these orders, as far as they are still on their way; how many there were."""
        ...
