"""The books of the paper venue: orders, queues, cash and positions, moved by Backtrader's broker rules.

No clock, no file, no coroutine: `PaperBook` is told what happens and says what follows as events. Its queues are
those of `bt.brokers.BackBroker`, because the order of events depends on them: orders submitted and not yet checked,
orders resting first in first out, children waiting for their parent, and one-cancels-other groups.

Rules that surprise, kept as they are:
- An order is checked against cash when the next market step begins, at the price it was made with; cash runs through
  all orders of that batch, so an order that cannot be paid takes those after it down too.
- Until it is checked, an order can neither be cancelled nor be reached by its group.
- A child that was submitted after its parent filled never becomes active; one whose parent is gone is rejected.
- Submitting a child of an order that was already transmitted transmits the whole bracket again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers import matching
from brokers.costs import Commission
from brokers.matching import FLAT, Execution, Holding, Match
from brokers.movements import Movement
from brokers.paper_orders import PaperOrder, new_order, trail_distance
from core.errors import VenueFatal
from core.types import (
    Bar,
    EventKind,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    OrderType,
    Quote,
    to_decimal,
)


@dataclass(slots=True, eq=False)
class PaperBook:
    """Everything the venue knows; `changed`, `news` and `movements` collect what the last call did to it.

    step: number of the last market step taken. feed: "bars" or "quotes", whichever came first. last_times and previous_times: time of a symbol's last bar (or
    quote), and of the bar before it.
    """

    cash: float
    commission: Commission
    currency: str = "USD"
    step: int = 0
    feed: str = ""
    sequence: int = 0
    orders: dict[str, PaperOrder] = field(default_factory=dict)
    positions: dict[str, Holding] = field(default_factory=dict)
    bars: dict[str, Bar] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    last_times: dict[str, datetime] = field(default_factory=dict)
    previous_times: dict[str, datetime] = field(default_factory=dict)
    submitted: deque[PaperOrder] = field(default_factory=deque)
    resting: deque[PaperOrder | None] = field(default_factory=deque)
    activating: deque[PaperOrder] = field(default_factory=deque)
    changed: dict[str, PaperOrder] = field(default_factory=dict)
    news: list[OrderEvent] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)

    # What a client asks for

    def submit(self, intent: OrderIntent) -> None:
        """Take a new order; `intent` was checked and its client id is new."""
        client_id = intent.client_id
        leader = client_id if intent.oco is None else self.orders[intent.oco].leader
        order = new_order(intent, len(self.orders) + 1, leader)
        self.orders[client_id] = self.changed[client_id] = order
        lead = self._change(leader)
        lead.group = [*(lead.group or ()), client_id]
        if not self._has_bracket(order):
            return
        top = self._change(order.top)
        top.bracket = [*(top.bracket or ()), client_id]
        if intent.transmit:
            for member in top.bracket:
                self._transmit(self._change(member))
        if self.quotes:
            self._meet_quote(intent.symbol)

    def cancel(self, client_id: str, *, bracket: bool = False) -> bool:
        """Cancel a resting order and what hangs on it; False when it does not rest.

        bracket: the call comes from its bracket, which sees to the others itself.
        """
        order = self.orders[client_id]
        if order not in self.resting:
            return False
        self.resting.remove(order)
        self._say(order, OrderStatus.CANCELLED)
        self._end_group(order)
        if not bracket:
            self._end_bracket(order)
        return True

    def amend(self, client_id: str, size: float | None, price: float | None, limit: float | None) -> bool:
        """Give a resting order another whole size, price or limit; False when it does not rest.

        A size that is already filled cancels the rest. What it already has is not announced again.
        """
        order = self.orders[client_id]
        if order not in self.resting:
            return False
        if size is not None and size <= abs(order.filled):
            return self.cancel(client_id)
        before = (order.size, order.price, order.limit)
        if size is not None:
            order.size = size if order.buy else -size
            order.remaining = order.size - order.filled
        order.price = order.price if price is None else price
        order.limit = order.limit if limit is None else limit
        if (order.size, order.price, order.limit) == before:
            return True
        order.limit_offset = order.price - order.limit if order.type in matching.TRAILS else 0.0
        state = order.state()
        self._event(order, EventKind.STATUS, reason="amended", trigger=state.trigger, limit=state.limit)
        return True

    # What the market does

    def take_bars(self, number: int, bars: Mapping[str, Bar]) -> None:
        """Market step `number`: activate, check, expire and fill against each symbol's last bar."""
        self.step = number
        self._see(bars)
        self._begin()
        self._pass(lambda order: order.intent.symbol in self.bars, self._match_bar)

    def _see(self, bars: Mapping[str, Bar]) -> None:
        for symbol, bar in bars.items():
            if symbol in self.last_times:
                self.previous_times[symbol] = self.last_times[symbol]
            self.bars[symbol] = bar
            self.last_times[symbol] = bar.time

    def take_quote(self, quote: Quote) -> None:
        """A quote: activate, check, expire and fill the orders of its symbol."""
        self.quotes[quote.symbol] = quote
        self.last_times[quote.symbol] = quote.time
        self._meet_quote(quote.symbol)

    def _meet_quote(self, symbol: str) -> None:
        self._begin()
        if symbol in self.quotes:
            self._pass(lambda order: order.intent.symbol == symbol, self._match_quote)

    def _match_bar(self, order: PaperOrder) -> Match:
        return matching.match_bar(order, self.bars[order.intent.symbol])

    def _match_quote(self, order: PaperOrder) -> Match:
        quote = self.quotes[order.intent.symbol]
        return matching.match_quote(order, float(quote.bid), float(quote.ask), quote.time)

    # Backtrader's broker.next(), in its order

    def _begin(self) -> None:
        while self.activating:
            order = self._change(self.activating.popleft().intent.client_id)
            order.active = True
        self._check_submitted()

    def _check_submitted(self) -> None:
        cash, positions = self.cash, dict(self.positions)
        while self.submitted:
            order = self._change(self.submitted.popleft().intent.client_id)
            if not self._has_bracket(order):
                continue
            symbol = order.intent.symbol
            held = positions.get(symbol, FLAT)
            cash, positions[symbol] = matching.pretend(
                cash, held, order.remaining, order.price, self.commission
            )
            if cash >= 0.0:
                self._accept(order)
            else:
                self._refuse(order)

    def _pass(self, concerns: Callable[[PaperOrder], bool], match: Callable[[PaperOrder], Match]) -> None:
        self.resting.append(None)  # what is requeued during the pass waits for the next one
        while (order := self.resting.popleft()) is not None:
            if not concerns(order):
                self.resting.append(order)
            elif self._expired(order):
                self._say(order, OrderStatus.EXPIRED)
                self._end_group(order)
                self._end_bracket(order)
            elif not order.active:
                self.resting.append(order)
            else:
                self._apply(order, match(order))
                if not order.status.terminal:
                    self.resting.append(order)
                elif order.status is OrderStatus.FILLED:
                    self._advance_bracket(order)

    def _expired(self, order: PaperOrder) -> bool:
        expires_at = order.intent.expires_at
        if expires_at is None or order.type is OrderType.MARKET:
            return False
        return self.last_times[order.intent.symbol] > expires_at

    def _apply(self, order: PaperOrder, match: Match) -> None:
        if match is matching.NOTHING:
            return
        if match.triggered:
            order.triggered = True
            self._event(order, EventKind.TRIGGERED)
        if match.price is not None:
            symbol = order.intent.symbol
            times = self.previous_times if match.previous_bar else self.last_times
            self._execute(order, match.price, times.get(symbol, self.last_times[symbol]))
        if match.noted_close is not None and match.noted_close != order.noted_close:
            self._change(order.intent.client_id).noted_close = match.noted_close
        if match.trail_by is not None and not order.status.terminal:
            self._trail(order, match.trail_by)

    def _execute(self, order: PaperOrder, price: float, time: datetime) -> None:
        symbol = order.intent.symbol
        done = self._trade(order, price)
        self.cash = done.cash
        if done.size:
            self.positions[symbol] = done.holding
            if not done.holding.size:
                del self.positions[symbol]
            order.remaining -= done.size
            order.filled += done.size
            order.fills += 1
            order.status = OrderStatus.PARTIAL if order.remaining else OrderStatus.FILLED
            fill = Fill(
                fill_id=f"{order.intent.client_id}-{order.fills}",
                client_id=order.intent.client_id,
                symbol=symbol,
                side=order.intent.side,
                size=to_decimal(abs(done.size)),
                price=to_decimal(price),
                commission=to_decimal(done.commission),
                time=time,
                commission_currency=self.currency,
            )
            self._event(order, EventKind.STATUS, fill=fill)
            self._end_group(order)
        if done.short:
            self._refuse(order)

    def _trade(self, order: PaperOrder, price: float) -> Execution:
        held = self.positions.get(order.intent.symbol, FLAT)
        return matching.execute(self.cash, held, order.remaining, price, self.commission)

    def _distance(self, order: PaperOrder) -> tuple[float | None, float | None]:
        return trail_distance(order.intent)

    def _trail(self, order: PaperOrder, by: float) -> None:
        trigger = matching.trail_trigger(order.buy, order.price, by, *self._distance(order))
        if trigger == order.price:
            return
        order.price = trigger
        if order.type is OrderType.STOP_TRAIL_LIMIT:
            order.limit = trigger - order.limit_offset
        state = order.state()
        self._event(order, EventKind.TRAIL, trigger=state.trigger, limit=state.limit)

    # Brackets and one-cancels-other groups

    def _has_bracket(self, order: PaperOrder) -> bool:
        """True if the order stands alone or its parent's bracket still exists; else it is rejected."""
        if order.intent.parent is None or self.orders[order.intent.parent].bracket is not None:
            return True
        self._say(order, OrderStatus.REJECTED)
        return False

    def _transmit(self, order: PaperOrder) -> None:
        self.submitted.append(order)
        self._say(order, OrderStatus.SUBMITTED)

    def _accept(self, order: PaperOrder) -> None:
        order.noted_close = None
        self.resting.append(order)
        self._say(order, OrderStatus.ACCEPTED)

    def _refuse(self, order: PaperOrder) -> None:
        self._say(order, OrderStatus.MARGIN, reason="not enough cash")
        self._end_group(order)
        self._end_bracket(order)

    def _end_group(self, order: PaperOrder) -> None:
        """Cancel the resting orders of the order's group, youngest in the queue first."""
        leader = self.orders[order.leader]
        if leader.group is None:
            return
        group = set(leader.group)
        self._change(order.leader).group = None
        for place in range(len(self.resting) - 1, -1, -1):
            other = self.resting[place]
            if other is not None and other.intent.client_id in group:
                del self.resting[place]
                self._say(other, OrderStatus.CANCELLED, reason=f"one cancels other: {order.intent.client_id}")

    def _end_bracket(self, order: PaperOrder) -> None:
        """One order of a bracket has ended: cancel what is left of it."""
        top = self._change(order.top)
        while top.bracket:
            self.cancel(top.bracket.pop(0), bracket=True)
        top.bracket = None

    def _advance_bracket(self, order: PaperOrder) -> None:
        """An order filled: a parent's children become active at the next step, a child ends its bracket."""
        if order.intent.parent is not None:
            self._end_bracket(order)
            return
        self._change(order.top)
        order.bracket = (order.bracket or [])[1:]
        self.activating.extend(self.orders[child] for child in order.bracket)

    # What a kind of book keeps beside all this

    def kept(self) -> dict[str, Any]:
        """As plain JSON; nothing for none."""
        return {}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take it back. Raises VenueFatal where another kind of book kept it."""
        if kept:
            raise VenueFatal(
                "the paper state was begun with costs", hint="give the venue the costs it began with"
            )

    # What is said about it

    def _change(self, client_id: str) -> PaperOrder:
        order = self.orders[client_id]
        self.changed[client_id] = order
        return order

    def _say(self, order: PaperOrder, status: OrderStatus, *, reason: str = "") -> None:
        order.status = status
        self._event(order, EventKind.STATUS, reason=reason)

    def _event(
        self,
        order: PaperOrder,
        kind: EventKind,
        *,
        fill: Fill | None = None,
        reason: str = "",
        trigger: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> None:
        intent = order.intent
        self._change(intent.client_id)
        self.sequence += 1
        time = fill.time if fill else self.last_times.get(intent.symbol, intent.bar_time)
        self.news.append(
            OrderEvent(
                sequence=self.sequence,
                client_id=intent.client_id,
                status=order.status,
                time=time,
                kind=kind,
                fill=fill,
                reason=reason,
                trigger=trigger,
                limit=limit,
                venue_order_id=str(order.number),
            )
        )
