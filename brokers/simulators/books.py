"""What an exchange has written down: accounts, orders, executions and events, and how to look things up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from brokers.simulators.ladder import Ladder
from brokers.simulators.market import Tick
from brokers.simulators.orders import Account, Change, Event, Execution, Listing, Order, OrderList
from brokers.simulators.rules import locked
from core.errors import OrderRejected
from core.types import Side


@dataclass(slots=True)
class ExchangeState:
    """Everything that must outlive the process."""

    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    lists: dict[int, OrderList] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ticks: dict[str, Tick] = field(default_factory=dict)
    next_order: int = 1
    next_list: int = 1
    next_execution: int = 1
    next_priority: int = 1


_STATE = TypeAdapter(ExchangeState)


class Books:
    """The records of one exchange. now: the time of what happens here."""

    def __init__(self, listings: Iterable[Listing], now: Callable[[], datetime]) -> None:
        self.listings: Mapping[str, Listing] = {listing.symbol: listing for listing in listings}
        self.state = ExchangeState()
        self.open: dict[int, Order] = {}
        self.now = now
        self._ladders: dict[str, Ladder] = {}
        self._listeners: list[Callable[[Event], None]] = []

    # -- state

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain data, fit for JSON."""
        plain: dict[str, Any] = _STATE.dump_python(self.state, mode="json")
        return plain

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Continue from a snapshot."""
        self.state = _STATE.validate_python(plain)
        self.open = {order.id: order for order in self.state.orders.values() if order.open}
        self._ladders.clear()
        for tick in self.state.ticks.values():
            self.offer(tick)

    def offer(self, tick: Tick) -> None:
        """The market offers new levels."""
        self._ladders[tick.symbol] = Ladder(tick, self.listing(tick.symbol).tick_size)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event, at once."""
        self._listeners.append(listener)

    # -- accounts

    def account(self, name: str) -> Account:
        """The account of that name."""
        if name not in self.state.accounts:
            raise OrderRejected(f"unknown account {name!r}", rule="account")
        return self.state.accounts[name]

    def locked(self, account: str) -> dict[str, Decimal]:
        """What open orders hold back, by asset; an order list holds back its largest order."""
        return locked(self.open_orders(account), self.listings)

    def free(self, account: str, asset: str) -> Decimal:
        """What may still be spent."""
        held = self.account(account).balances.get(asset, Decimal(0))
        return held - self.locked(account).get(asset, Decimal(0))

    # -- looking

    def tick(self, symbol: str) -> Tick | None:
        """The last tick, or None before the first."""
        return self.state.ticks.get(symbol)

    def depth(self, symbol: str, side: Side, depth: int) -> list[tuple[Decimal, Decimal]]:
        """Levels a taker of `side` would meet, best first."""
        ladder = self._ladders.get(symbol)
        return list(ladder.levels(side, depth)) if ladder else []

    def orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Every order of an account, oldest first."""
        return _of(self.state.orders.values(), account, symbol)

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Orders that can still fill, oldest first."""
        return _of(self.open.values(), account, symbol)

    def find(
        self, account: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order | None:
        """An order by its id, or the newest of that client id, open ones first."""
        if order_id is not None:
            order = self.state.orders.get(order_id)
            return order if order is not None and order.account == account else None
        same = [order for order in self.orders(account) if order.client_id == client_id]
        return max(same, key=lambda order: (order.open, order.id), default=None)

    def executions(self, account: str, symbol: str | None = None) -> list[Execution]:
        """Trades of an account, oldest first."""
        return [
            execution
            for execution in self.state.executions
            if execution.account == account and symbol in (None, execution.symbol)
        ]

    def say(self, order: Order, change: Change, execution: Execution | None = None, reason: str = "") -> None:
        """Write down what happened to an order, and tell every listener."""
        order.updated = self.now()
        event = Event(
            len(self.state.events) + 1,
            order.updated,
            change,
            replace(order, tags=dict(order.tags)),
            execution,
            reason,
        )
        self.state.events.append(event)
        for listener in self._listeners:
            listener(event)

    def free_of(self, account: str, besides: Order | None = None) -> Callable[[str], Decimal]:
        """What may be spent of an asset, were it not for the order `besides`."""
        others = [order for order in self.open_orders(account) if order is not besides]
        held_back = locked(others, self.listings)
        balances = self.account(account).balances
        return lambda asset: balances.get(asset, Decimal(0)) - held_back.get(asset, Decimal(0))

    def next_priority(self) -> int:
        """The next place in the queue."""
        self.state.next_priority += 1
        return self.state.next_priority

    def listing(self, symbol: str) -> Listing:
        """What is listed under that symbol."""
        if symbol not in self.listings:
            raise OrderRejected(f"unknown symbol {symbol!r}", rule="symbol")
        return self.listings[symbol]

    def ladder(self, symbol: str) -> Ladder:
        """What the market offers now."""
        if symbol not in self._ladders:
            raise OrderRejected(f"{symbol} has no price yet", rule="market")
        return self._ladders[symbol]


def _of(orders: Iterable[Order], account: str, symbol: str | None) -> list[Order]:
    return [order for order in orders if order.account == account and symbol in (None, order.symbol)]
