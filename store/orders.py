"""What becomes of an order: which steps are legal, and what each does to it. Pure; the journal stores it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Context, Decimal

from core.errors import IllegalTransition, InconsistentState
from core.types import SPLIT, EventKind, OrderEvent, OrderIntent, OrderStatus

# Sums of products of two 17-digit numbers stay exact; averages are rounded to as many digits.
EXACT = Context(prec=60)
AVERAGE = Context(prec=28)

_AFTER_ACCEPTED = frozenset(
    {
        OrderStatus.ACCEPTED,
        OrderStatus.PARTIAL,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
        OrderStatus.MARGIN,
        OrderStatus.REJECTED,
    }
)
LEGAL: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.INTENT: _AFTER_ACCEPTED | {OrderStatus.SUBMITTED},
    OrderStatus.SUBMITTED: _AFTER_ACCEPTED | {OrderStatus.SUBMITTED},
    OrderStatus.ACCEPTED: _AFTER_ACCEPTED,
    OrderStatus.PARTIAL: _AFTER_ACCEPTED - {OrderStatus.ACCEPTED, OrderStatus.REJECTED},
}
_EXECUTED = frozenset({OrderStatus.PARTIAL, OrderStatus.FILLED})


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order has come. filled_value is the sum of size times price; trigger and limit stand now."""

    size: Decimal
    status: OrderStatus = OrderStatus.INTENT
    filled: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    trigger: Decimal | None = None
    limit: Decimal | None = None
    venue_order_id: str = ""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One journalled order.

    sent: True once the venue has said anything of it, None before. step: the turn it was made at.
    """

    intent: OrderIntent
    standing: Standing
    sent: bool | None
    step: int

    @property
    def status(self) -> OrderStatus:
        """Where the order stands."""
        return self.standing.status

    @property
    def filled(self) -> Decimal:
        """Units executed so far, >= 0."""
        return self.standing.filled

    @property
    def average_price(self) -> Decimal | None:
        """Mean execution price to 28 digits, or None before the first fill."""
        standing = self.standing
        return AVERAGE.divide(standing.filled_value, standing.filled) if standing.filled else None

    @property
    def trigger(self) -> Decimal | None:
        """The trigger price as it stands now."""
        return self.standing.trigger

    @property
    def limit(self) -> Decimal | None:
        """The limit price as it stands now."""
        return self.standing.limit


@dataclass(frozen=True, slots=True)
class JournalledEvent:
    """An event, and the bar and the turn at which the strategy was told of it.

    A refusal of our own, which no venue numbered, has a negative sequence. between_bars: it was told before the next
    bar came.
    """

    event: OrderEvent
    bar: datetime
    step: int
    between_bars: bool = False


@dataclass(frozen=True, slots=True)
class StopRecord:
    """The level a protective order stands at; `changes` counts how often it has moved since it was set."""

    client_id: str
    symbol: str
    trigger: Decimal | None
    limit: Decimal | None
    high_water: Decimal | None
    step: int
    changes: int


def advance(standing: Standing, event: OrderEvent) -> Standing:
    """The order after `event`.

    Raises IllegalTransition for a step that does not exist, and InconsistentState when fills and status do
    not add up: a fill of another order, more filled than ordered, FILLED with something left and no reason given
    (a venue that trades whole lots, or takes its commission off what was bought, gives one). What a split has made of an
    order is in other units than its size, and not compared with it.
    """
    allowed = LEGAL.get(standing.status, frozenset())
    unmoved = event.kind is not EventKind.STATUS and event.status is standing.status
    if event.status not in allowed and not (unmoved and not standing.status.terminal):
        raise IllegalTransition(
            f"order {event.client_id} cannot go from {standing.status} to {event.status}",
            client_id=event.client_id,
            sequence=event.sequence,
        )
    moved = replace(
        standing,
        status=event.status,
        trigger=standing.trigger if event.trigger is None else event.trigger,
        limit=standing.limit if event.limit is None else event.limit,
        venue_order_id=event.venue_order_id or standing.venue_order_id,
    )
    if event.fill is not None:
        moved = _filled(moved, event)
    elif event.status in _EXECUTED and event.status is not standing.status:
        raise _inconsistent(event, f"is reported {event.status} without a fill")
    if event.status is OrderStatus.FILLED and moved.filled != moved.size and not event.reason:
        raise _inconsistent(event, f"is reported filled with {moved.filled} of {moved.size}")
    return moved


def _filled(standing: Standing, event: OrderEvent) -> Standing:
    fill = event.fill
    if fill is None or fill.client_id != event.client_id:
        raise _inconsistent(event, "is reported with a fill of another order")
    if event.status not in _EXECUTED:
        raise _inconsistent(event, f"is reported {event.status} with a fill")
    filled = EXACT.add(standing.filled, fill.size)
    if fill.size <= 0 or (filled > standing.size and event.reason != SPLIT):
        raise _inconsistent(event, f"is reported filled with {filled} of {standing.size}")
    return replace(
        standing,
        filled=filled,
        filled_value=EXACT.add(standing.filled_value, EXACT.multiply(fill.size, fill.price)),
        commission=EXACT.add(standing.commission, fill.commission),
    )


def _inconsistent(event: OrderEvent, what: str) -> InconsistentState:
    return InconsistentState(
        f"order {event.client_id} {what} (event {event.sequence})",
        hint="compare the journal with the venue before going on",
        client_id=event.client_id,
        sequence=event.sequence,
    )
