"""An exchange without a protocol: accounts, orders, price-time matching against a market path, exact money.

Pure and synchronous: nothing here waits, reads a socket or draws a random number, so the same calls give the same
executions. Takers pay the market's levels (`ladder`); an order that rested is filled at its own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal

from brokers.simulators.books import Books
from brokers.simulators.fees import FeeSchedule
from brokers.simulators.market import Tick
from brokers.simulators.matching import Matching
from brokers.simulators.orders import Account, Change, LinkRule, Listing, Order, OrderList, Ticket
from brokers.simulators.rules import Rules, check_funds, check_sense
from core.errors import OrderRejected
from core.types import OrderStatus


class Exchange:
    """One exchange, several accounts. now: the time of what happens here. `books` answers every question."""

    def __init__(
        self,
        listings: Iterable[Listing],
        fees: FeeSchedule,
        now: Callable[[], datetime],
        rules: Rules | None = None,
    ) -> None:
        self.books = Books(listings, now)
        self.rules = rules or Rules()
        self.matching = Matching(self.books, fees, self.rules)

    def open_account(
        self, name: str, balances: Mapping[str, Decimal], leverage: Decimal | None = None
    ) -> Account:
        """An account with these balances; one that exists is left as it is."""
        return self.books.state.accounts.setdefault(name, Account(name, dict(balances), leverage))

    def check(self, ticket: Ticket) -> None:
        """Raise OrderRejected for a ticket this exchange would not take; nothing changes."""
        self._check_all([ticket])

    def submit(self, ticket: Ticket, group: OrderList | None = None) -> Order:
        """Take one order, into a list that exists where one is given, and match it."""
        self.check(ticket)
        order = self._admit(ticket, group)
        self.matching.work(order)
        return order

    def submit_list(
        self,
        tickets: Sequence[Ticket],
        rule: LinkRule,
        client_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> OrderList:
        """Take orders of one symbol that are linked by `rule`: all or none."""
        self._check_all(tickets)
        first = tickets[0]
        made = OrderList(
            self.books.state.next_list,
            first.account,
            first.symbol,
            client_id,
            rule,
            self.books.now(),
            tags=dict(tags or {}),
        )
        self.books.state.next_list += 1
        self.books.state.lists[made.id] = made
        orders = [self._admit(ticket, made) for ticket in tickets]
        for order in orders:
            self.matching.work(order)
        return made

    def link(self, order_id: int, group: int) -> None:
        """Add an open order to a list."""
        self.books.state.orders[order_id].group = group
        self.books.state.lists[group].orders.append(order_id)

    def cancel(self, order_id: int, reason: str = "") -> Order:
        """Cancel an open order, and what hangs on it."""
        order = self.books.open.get(order_id)
        if order is None:
            raise OrderRejected("the order is not open", rule="unknown-order")
        self.matching.end(order, OrderStatus.CANCELLED, Change.CANCELLED, reason)
        self.matching.end_siblings(order, OrderStatus.CANCELLED, Change.CANCELLED)
        return order

    def amend(
        self,
        order_id: int,
        *,
        size: Decimal | None = None,
        limit: Decimal | None = None,
        trigger: Decimal | None = None,
    ) -> Order:
        """Change an open order. It keeps its place in the queue only when its size alone falls."""
        order = self.books.open.get(order_id)
        if order is None:
            raise OrderRejected("the order is not open", rule="unknown-order")
        changed = replace(
            order, size=size or order.size, limit=limit or order.limit, trigger=trigger or order.trigger
        )
        if changed.size <= order.filled:
            raise OrderRejected("the new size has already filled", rule="size", value=changed.size)
        listing, ladder = self.books.listing(order.symbol), self.books.ladder(order.symbol)
        check_sense(changed, listing, ladder, self.rules)
        left = replace(changed, size=changed.remaining)
        check_funds(
            [left],
            self.books.account(order.account),
            self.books.free_of(order.account, order),
            listing,
            ladder,
        )
        if changed.limit != order.limit or changed.size > order.size:
            order.priority = self.books.next_priority()
        order.size, order.limit, order.trigger = changed.size, changed.limit, changed.trigger
        self.books.say(order, Change.AMENDED)
        self.matching.work(order)
        return order

    def on_tick(self, tick: Tick) -> None:
        """The market moves."""
        self.books.state.ticks[tick.symbol] = tick
        self.books.offer(tick)
        self.matching.on_tick(tick)

    def _check_all(self, tickets: Sequence[Ticket]) -> None:
        first = tickets[0]
        account = self.books.account(first.account)
        listing, ladder = self.books.listing(first.symbol), self.books.ladder(first.symbol)
        taken = {order.client_id for order in self.books.open_orders(first.account)}
        for ticket in tickets:
            check_sense(ticket, listing, ladder, self.rules)
            if self.rules.unique_client_ids and ticket.client_id and ticket.client_id in taken:
                raise OrderRejected("an open order has this client id", rule="duplicate")
            taken.add(ticket.client_id)
        check_funds(tickets, account, self.books.free_of(first.account), listing, ladder)

    def _admit(self, ticket: Ticket, group: OrderList | None = None) -> Order:
        now = self.books.now()
        parent = self.books.state.orders.get(ticket.parent) if ticket.parent is not None else None
        held = parent is not None and parent.status is not OrderStatus.FILLED
        given = asdict(ticket)
        order = Order(
            **given,
            id=self.books.state.next_order,
            created=now,
            updated=now,
            priority=self.books.next_priority(),
        )
        order.status = OrderStatus.INTENT if held else OrderStatus.ACCEPTED
        if order.quote_size is not None:
            ladder, lot = self.books.ladder(order.symbol), self.books.listing(order.symbol).lot_size
            order.size = ladder.size_for(order.side, order.quote_size, lot)
        self.books.state.next_order += 1
        self.books.state.orders[order.id] = self.books.open[order.id] = order
        if group is not None:
            self.link(order.id, group.id)
        self.books.say(order, Change.NEW)
        return order
