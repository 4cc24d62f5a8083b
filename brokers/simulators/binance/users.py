"""The user stream: who subscribed to which account, and what its events say to them."""

from __future__ import annotations

from brokers.simulators.binance.answers import Json, milliseconds
from brokers.simulators.binance.connection import Connection
from brokers.simulators.binance.reports import account_position, execution_report, list_status
from brokers.simulators.orders import Change, Event, OrderList
from brokers.simulators.simulation import Simulation

LIST_LENGTH = 2


class UserStreams:
    """Turns the exchange's events into messages."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._books = simulation.exchange.books
        self._subscriptions: dict[int, tuple[Connection, str]] = {}
        self._next = 0
        self._books.listen(self._note)

    def subscribe(self, connection: Connection, account: str) -> int:
        """Send an account's events to a connection; returns the subscription's id."""
        key = self._next
        self._next += 1
        self._subscriptions[key] = (connection, account)
        return key

    def unsubscribe(self, connection: Connection, key: int | None) -> None:
        """End one subscription of a connection, or all of them."""
        ended = [
            own
            for own, (holder, _) in self._subscriptions.items()
            if holder is connection and key in (None, own)
        ]
        for own in ended:
            del self._subscriptions[own]

    @property
    def count(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    def _note(self, event: Event) -> None:
        now = milliseconds(self._simulation.clock.now())
        report = execution_report(event, now)
        if report is None:
            return
        order = event.order
        listing = self._books.listing(order.symbol)
        messages = [report]
        messages.append(account_position(self._books, order.account, (listing.base, listing.quote), now))
        made = None if order.group is None else self._books.state.lists[order.group]
        if made is not None and self._list_turns(made, event):
            messages.append(list_status(self._books, made, now))
        self._send(order.account, messages)

    def _list_turns(self, made: OrderList, event: Event) -> bool:
        """Whether this event began or ended the list."""
        orders = [self._books.state.orders[key] for key in made.orders]
        if event.change is Change.NEW:
            return len(orders) == LIST_LENGTH
        return not any(order.open for order in orders)

    def _send(self, account: str, messages: list[Json]) -> None:
        for key, (connection, wanted) in list(self._subscriptions.items()):
            if wanted == account:
                for message in messages:
                    connection.report(key, message)
