"""How orders come to trade: triggers, trails, price-time matching, linked orders and brackets."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from brokers.simulators.books import Books
from brokers.simulators.fees import FeeSchedule
from brokers.simulators.ladder import Ladder, whole_lots
from brokers.simulators.market import Tick
from brokers.simulators.orders import (
    LIMITED,
    STOPS,
    TRAILS,
    Change,
    Execution,
    LinkRule,
    Listing,
    Order,
    TimeInForce,
)
from brokers.simulators.rules import Rules, reached
from core.types import OrderStatus, OrderType, Side


class Matching:
    """Trades the orders of `books`.

    ask_portion: asked when an order is about to trade; a fraction fills only that much of it until the next tick.
    """

    def __init__(self, books: Books, fees: FeeSchedule, rules: Rules) -> None:
        self._books = books
        self._fees = fees
        self._rules = rules
        self.ask_portion: Callable[[Order], Decimal | None] = lambda order: None

    def on_tick(self, tick: Tick) -> None:
        """Expire, trail, trigger, then match by price and time."""
        here = [order for order in self._books.open.values() if order.symbol == tick.symbol]
        for order in here:
            if order.open and order.expires_at is not None and order.expires_at <= self._books.now():
                self.end(order, OrderStatus.EXPIRED, Change.EXPIRED, "expired")
            elif order.open:
                self._watch(order, tick)
        for order in sorted(here, key=_precedence):
            self._match(order)

    def work(self, order: Order) -> None:
        """Let one order trade against the market as it stands."""
        tick = self._books.state.ticks.get(order.symbol)
        if tick is not None and order.open:
            self._watch(order, tick)
            self._match(order)

    def _watch(self, order: Order, tick: Tick) -> None:
        """Trail and trigger a stop."""
        if order.triggered or order.status is OrderStatus.INTENT or order.type not in STOPS:
            return
        if order.type in TRAILS and self._trail(order, tick.last):
            self._books.say(order, Change.TRAILED)
        if order.trigger is None or not reached(order, tick.last):
            return
        order.triggered = True
        self._books.say(order, Change.TRIGGERED)
        if self._rule(order) is LinkRule.TOUCH:
            self.end_siblings(order, OrderStatus.EXPIRED, Change.EXPIRED)

    def _trail(self, order: Order, price: Decimal) -> bool:
        """Follow the market with a trailing stop; True when its trigger moved."""
        sign = order.side.sign
        if order.anchor is not None and (price - order.anchor) * sign >= 0:
            return False
        distance = order.trail_amount
        if distance is None:
            distance = price * (order.trail_percent or Decimal(0))
        step = self._books.listing(order.symbol).tick_size
        trigger = ((price + sign * distance) / step).to_integral_value() * step
        if order.trigger is not None and (trigger - order.trigger) * sign >= 0:
            return False
        if order.limit is not None and order.trigger is not None and not order.fixed_limit:
            order.limit += trigger - order.trigger
        order.anchor, order.trigger = price, trigger
        return True

    def _match(self, order: Order) -> None:
        if not order.working:
            return
        ladder, listing = self._books.ladder(order.symbol), self._books.listing(order.symbol)
        limit = order.limit if order.type in LIMITED else None
        wanted = self._affordable(order, listing, ladder)
        parts = ladder.match(order.side, wanted, limit)
        portion = self.ask_portion(order) if parts else None
        if portion is not None:
            wanted = max(whole_lots(wanted * portion, listing.lot_size), listing.lot_size)
            parts = ladder.match(order.side, wanted, limit)
        if order.time_in_force is TimeInForce.FOK and sum(size for _, size in parts) < order.remaining:
            parts = []
        for price, size in parts:
            paid = limit if order.resting and limit is not None else price
            ladder.take(order.side, size)
            self._execute(order, size, paid)
        if order.open and self._leaves(order, portioned=portion is not None):
            self.end(order, OrderStatus.EXPIRED, Change.EXPIRED, "no more to trade with")
        order.resting = order.open and limit is not None

    def _affordable(self, order: Order, listing: Listing, ladder: Ladder) -> Decimal:
        """What is left of an order, cut to the cash there is: a stop may trigger far beyond its price."""
        account = self._books.account(order.account)
        if order.side is Side.SELL or order.type in LIMITED or account.leverage is not None:
            return order.remaining
        cash = self._books.free_of(order.account, order)(listing.quote)
        return min(order.remaining, ladder.size_for(Side.BUY, cash, listing.lot_size))

    def _leaves(self, order: Order, *, portioned: bool) -> bool:
        """Whether what did not fill at once ends."""
        if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            return True
        unlimited = order.type not in LIMITED
        return unlimited and not portioned and self._rules.market_remainder_expires

    def _execute(self, order: Order, size: Decimal, price: Decimal) -> None:
        listing, account = self._books.listing(order.symbol), self._books.account(order.account)
        fee, asset = self._fees.fee(listing, order, size, price, maker=order.resting)
        account.add(listing.base, size * order.side.sign)
        account.add(listing.quote, -size * price * order.side.sign)
        account.add(asset, -fee)
        account.trade(order.symbol, size * order.side.sign, price)
        account.updated = self._books.now()
        order.filled += size
        order.value += size * price
        order.fees += fee
        order.status = OrderStatus.PARTIAL if order.remaining else OrderStatus.FILLED
        execution = Execution(
            self._books.state.next_execution, order.id, order.account, order.symbol, order.side, size, price,
            fee, asset, order.resting, self._books.now(),
        )  # fmt: skip
        self._books.state.next_execution += 1
        self._books.state.executions.append(execution)
        if not order.open:
            self._books.open.pop(order.id, None)
        self._books.say(order, Change.TRADE, execution)
        self._after_fill(order, size)

    def _after_fill(self, order: Order, size: Decimal) -> None:
        rule = self._rule(order)
        if rule is LinkRule.TOUCH:
            self.end_siblings(order, OrderStatus.EXPIRED, Change.EXPIRED)
        elif rule is LinkRule.REDUCE and order.open:
            for sibling in self._siblings(order):
                if sibling.remaining > size:
                    sibling.size -= size
                    self._books.say(sibling, Change.AMENDED)
        elif rule is LinkRule.REDUCE:
            self.end_siblings(order, OrderStatus.CANCELLED, Change.CANCELLED)
        if order.status is OrderStatus.FILLED:
            self._release_children(order)

    def _release_children(self, parent: Order) -> None:
        """Let the children of a filled parent work; of one that ended in part, for the part that filled."""
        for child in [c for c in self._books.open.values() if c.parent == parent.id]:
            if child.status is not OrderStatus.INTENT:
                continue
            if not parent.filled:
                self.end(child, OrderStatus.CANCELLED, Change.CANCELLED, "its parent ended")
                continue
            child.size = min(child.size, parent.filled)
            child.status = OrderStatus.ACCEPTED
            self._books.say(child, Change.RELEASED)
            self.work(child)

    def end(self, order: Order, status: OrderStatus, change: Change, reason: str = "") -> None:
        """End an order; its children work for what it filled, or end with it."""
        order.status = status
        self._books.open.pop(order.id, None)
        self._books.say(order, change, reason=reason)
        self._release_children(order)

    def end_siblings(self, order: Order, status: OrderStatus, change: Change) -> None:
        """End the other orders of its list."""
        for sibling in self._siblings(order):
            self.end(sibling, status, change, "the other order of its list was touched")

    def _siblings(self, order: Order) -> list[Order]:
        if order.group is None:
            return []
        members = self._books.state.lists[order.group].orders
        return [self._books.open[key] for key in members if key in self._books.open and key != order.id]

    def _rule(self, order: Order) -> LinkRule | None:
        return None if order.group is None else self._books.state.lists[order.group].rule


def _precedence(order: Order) -> tuple[int, Decimal, int]:
    """Market orders first, then the better price, then the earlier."""
    if order.limit is None or order.type is OrderType.STOP_TRAIL:
        return 0, Decimal(0), order.priority
    return 1, -order.limit * order.side.sign, order.priority
