"""What the journal says is held and open, against what the venue says: pure comparison, named differences."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from brokers.movements import Movement
from brokers.order_scaling import moved_prices
from core.errors import InconsistentState
from core.types import (
    EventKind,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderStatus,
    Position,
    Side,
    is_dust,
    to_decimal,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which journal and venue disagree."""

    what: str
    journal: str
    venue: str

    def __str__(self) -> str:
        return f"{self.what}: the journal says {self.journal}, the venue {self.venue}"


class Ledger:
    """Cash, positions and open orders as the events tell them; cash starts at `cash`.

    heard: client ids of the orders any event spoke of. void: of those that ended without a fill.
    """

    def __init__(self, cash: Decimal = Decimal(0)) -> None:
        self.cash = cash
        self.positions: dict[str, Decimal] = {}
        self.traded: dict[str, Decimal] = {}
        self.remaining: dict[str, tuple[OrderIntent, Decimal]] = {}
        self.triggers: dict[str, Decimal] = {}
        self.heard: set[str] = set()
        self.void: set[str] = set()

    def apply(self, event: OrderEvent, intent: OrderIntent) -> None:
        """Take one event in."""
        self.heard.add(event.client_id)
        if event.trigger is not None:
            self.triggers[event.client_id] = event.trigger
        if event.kind is not EventKind.STATUS:
            return
        _, remaining = self.remaining.get(event.client_id, (intent, intent.size))
        if event.fill is not None:
            remaining -= event.fill.size
            held = self.positions.get(intent.symbol, Decimal(0)) + event.fill.size * event.fill.side.sign
            self.traded[intent.symbol] = self.traded.get(intent.symbol, Decimal(0)) + event.fill.size
            self.positions[intent.symbol] = held
            self.cash -= event.fill.size * event.fill.side.sign * event.fill.price + event.fill.commission
            if is_dust(held, self.traded[intent.symbol]):
                del self.positions[intent.symbol]
        if event.status.terminal:
            if remaining >= intent.size:
                self.void.add(event.client_id)
            self.remaining.pop(event.client_id, None)
            self.triggers.pop(event.client_id, None)
        else:
            self.remaining[event.client_id] = (intent, remaining)

    def move(self, movement: Movement) -> None:
        """Take in what happened to the account beside its fills: money, and splits of what is held and what rests."""
        self.cash += to_decimal(movement.cash)
        symbol, ratio = movement.symbol, to_decimal(movement.ratio)
        if ratio == 1 and not movement.lowered:
            return
        for sizes in (self.positions, self.traded):
            if symbol in sizes:
                sizes[symbol] *= ratio
        for client_id, (intent, remaining) in self.remaining.items():
            if intent.symbol != symbol:
                continue
            self.remaining[client_id] = replace(intent, size=intent.size * ratio), remaining * ratio
            if client_id in self.triggers:
                self.triggers[client_id] = _moved_trigger(intent, self.triggers[client_id], movement)

    def tell(self, events: Iterable[tuple[OrderEvent, OrderIntent]], moved: Iterable[Movement] = ()) -> None:
        """Take in events, and what else happened, each before the first event of its time."""
        waiting = deque(moved)
        for event, intent in events:
            while waiting and waiting[0].time <= event.time:
                self.move(waiting.popleft())
            self.apply(event, intent)
        for movement in waiting:
            self.move(movement)

    def waits_for(self, orders: int) -> bool:
        """Whether something can still be told of one of so many orders, which are all there are."""
        return bool(self.remaining) or len(self.heard) < orders

    def bracket_waiting_for(self, last: OrderIntent, orders: Iterable[OrderIntent]) -> list[OrderIntent]:
        """The orders a venue holds back until `last` completes their bracket; none where `last` completes none."""
        if last.parent is None or not last.transmit:
            return []
        bracket = [order for order in orders if last.parent in (order.client_id, order.parent)]
        return [order for order in bracket if not order.transmit and order.client_id not in self.heard]

    def entering(self) -> dict[tuple[str, Side], Decimal]:
        """Units of open orders that would add to what is held, per symbol and side.

        Children of a bracket and orders against the position protect it and do not count.
        """
        total: dict[tuple[str, Side], Decimal] = {}
        for intent, remaining in self.remaining.values():
            held = self.positions.get(intent.symbol, Decimal(0))
            if intent.parent is None and held * intent.side.sign >= 0:
                key = (intent.symbol, intent.side)
                total[key] = total.get(key, Decimal(0)) + remaining
        return total


def _moved_trigger(intent: OrderIntent, trigger: Decimal, movement: Movement) -> Decimal:
    """In floats, as the venue and the strategy's broker calculate it."""
    price = float(trigger)
    return to_decimal(moved_prices(intent.side is Side.BUY, intent.type, price, price, movement)[0])


def differences(
    ledger: Ledger, positions: Mapping[str, Position], open_orders: Sequence[OrderState]
) -> list[Difference]:
    """Every disagreement on positions, on open orders and on where stops stand."""
    found: list[Difference] = []
    for symbol in sorted({*ledger.positions, *positions}):
        ours = ledger.positions.get(symbol, Decimal(0))
        theirs = positions[symbol].size if symbol in positions else Decimal(0)
        if not is_dust(ours - theirs, ledger.traded.get(symbol, Decimal(0))):
            found.append(Difference(f"position in {symbol}", f"{ours:f}", f"{theirs:f}"))
    # A venue may hold an order back until its bracket is whole (INTENT): it is not open yet.
    at_venue = {order.client_id: order for order in open_orders if order.status is not OrderStatus.INTENT}
    for client_id in sorted({*ledger.remaining, *at_venue}):
        found.extend(_order_differences(client_id, ledger, at_venue.get(client_id)))
    return found


def _order_differences(client_id: str, ledger: Ledger, state: OrderState | None) -> list[Difference]:
    known = ledger.remaining.get(client_id)
    if known is None:
        return [
            Difference(f"order {client_id}", "it is not open", f"it is {state.status if state else 'gone'}")
        ]
    if state is None or state.status in (OrderStatus.FILLED, OrderStatus.CANCELLED):
        return [Difference(f"order {client_id}", "it is open", "it is not")]
    found = []
    if not is_dust(state.size - state.filled - known[1], state.size):
        left = f"{state.size - state.filled:f}"
        found.append(
            Difference(f"order {client_id}", f"{known[1]:f} units are left", f"{left} units are left")
        )
    trigger = ledger.triggers.get(client_id)
    if trigger is not None and state.trigger is not None and trigger != state.trigger:
        found.append(Difference(f"stop {client_id}", f"it stands at {trigger:f}", f"at {state.trigger:f}"))
    return found


def missing(ledger: Ledger, balances: Mapping[str, Decimal]) -> list[Difference]:
    """Of what was bought on a spot market (BASE/QUOTE), what the account has less of than the run.

    More of it is no difference: it may be another's, or have been there before.
    """
    found = []
    for symbol, size in sorted(ledger.positions.items()):
        asset, _, quote = symbol.partition("/")
        held = balances.get(asset, Decimal(0))
        if quote and held < size and not is_dust(size - held, ledger.traded.get(symbol, size)):
            found.append(Difference(f"balance of {asset}", f"{size:f} are the run's", f"has {held:f}"))
    return found


def check_reconciled(
    ledger: Ledger, positions: Mapping[str, Position], open_orders: Sequence[OrderState], venue: str
) -> None:
    """Raise InconsistentState, listing every difference, unless journal and venue agree."""
    found = differences(ledger, positions, open_orders)
    if found:
        listing = "; ".join(map(str, found))
        raise InconsistentState(
            f"the journal and {venue} disagree: {listing}",
            hint="nothing was sent; correct the account or the run before you resume",
            differences=[str(difference) for difference in found],
        )


def check_numbers(journal: int, numbered: int, venue: str) -> None:
    """What happened next would have numbers the journal has, and be taken for known. Raises InconsistentState."""
    if journal > numbered:
        raise InconsistentState(
            f"the journal has event {journal} of {venue}, which has numbered {numbered}",
            hint="the file in which the venue's events are kept is another's, or lost: bring it back",
        )


def diverged(what: str) -> InconsistentState:
    """What is raised when a run that goes on does not do what it did before."""
    return InconsistentState(
        f"the strategy did not repeat its decisions: {what}",
        hint="its code, parameters, data or limits changed since the run began; start a new run instead",
    )


def never_made(event: OrderEvent, venue: str) -> InconsistentState:
    """What is raised when a venue tells of an order that is none of this run's."""
    return InconsistentState(
        f"{venue} reports order {event.client_id}, which this run never made",
        hint="another program may trade on this account; stop it, or give this bot its own account",
    )
