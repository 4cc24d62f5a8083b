"""The books of a paper venue that charges costs: `PaperBook`, with the decisions of `brokers.conditions`.

What happens to the account beside its fills is told as `Movement`s of the step. A position that margin makes it close
it asks for with a movement "liquidation": the next market order in the symbol, marked as one for risk, is taken for
it; until that is done no other order in the symbol is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers import conditions, matching
from brokers.conditions import Conditions, Piece
from brokers.costs import Costs, funding_of, spread_of
from brokers.margin import Books, affords, margin_call
from brokers.matching import FLAT, NOTHING, STOP_LIMITS, STOPS, Execution, Holding, Match
from brokers.movements import Movement, movements
from brokers.order_scaling import moved_prices
from brokers.paper_book import PaperBook
from brokers.paper_orders import PaperOrder, trail_distance
from brokers.schedule import Every, Schedule
from core.errors import VenueFatal
from core.plain import decode, encode
from core.types import SPLIT, Bar, EventKind, ExitReason, Fill, OrderIntent, OrderType

STOPS_AT_MARKET = STOPS - STOP_LIMITS
ASKED_FOR = ""
"""The order of a liquidation that was asked for, and has not come."""


@dataclass(slots=True, eq=False)
class CostedBook(PaperBook):
    """A `PaperBook` under `costs`. `super()` does not find its way in a class with slots: the base is named.

    market: conditions by symbol. made: how many bars its symbol had when an order came. leaving: cancels on their way,
    with the symbol's bars, its time and the number of orders when they were asked for. marks: close each symbol was last valued at. closing: by
    symbol the client id of the order that closes it for want of margin. scales: by what splits have multiplied an order.
    """

    costs: Costs = field(default_factory=Costs)
    market: dict[str, Conditions] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    leaving: list[tuple[str, int, datetime, int]] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)
    closing: dict[str, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    _piece: Piece | None = None
    _spreads: dict[str, Schedule | float] = field(default_factory=dict)
    _fundings: dict[str, Schedule | Every | None] = field(default_factory=dict)

    # What a client asks for

    def submit(self, intent: OrderIntent) -> None:
        """Take a new order, and note when it came."""
        symbol = intent.symbol
        self.made[intent.client_id] = self._conditions(symbol).bars
        risk = intent.exit_reason is ExitReason.RISK and intent.type is OrderType.MARKET
        if risk and self.closing.get(symbol) == ASKED_FOR:
            self.closing[symbol] = intent.client_id
        PaperBook.submit(self, intent)

    def cancel(self, client_id: str, *, bracket: bool = False) -> bool:
        """Cancel a resting order, at once or when the wish has arrived; False when it does not rest, or not yet."""
        order = self.orders[client_id]
        if bracket or not self.costs.delays:
            return PaperBook.cancel(self, client_id, bracket=bracket)
        market = self._conditions(order.intent.symbol)
        if not order.status.terminal and market.bar is not None:
            self.leaving.append((client_id, market.bars, market.bar.time, len(self.orders)))
            self._change(client_id)
        return False

    # What the market does

    def take_bars(self, number: int, bars: Mapping[str, Bar]) -> None:
        """Market step `number`: charge, then as every book; then see whether equity covers what is held."""
        PaperBook.take_bars(self, number, bars)
        for symbol, bar in self.bars.items():
            self.marks[symbol] = bar.close
        self._settle_margin()

    def _see(self, bars: Mapping[str, Bar]) -> None:
        for symbol, bar in bars.items():
            self._charge(symbol, bar)
        PaperBook._see(self, bars)
        for symbol, bar in bars.items():
            self.market[symbol] = self._conditions(symbol).take(bar, self.costs.model.bars)
        self._cancel_arrived()

    def _charge(self, symbol: str, bar: Bar) -> None:
        before = self._conditions(symbol).bar
        if before is None or not self.costs.carries(symbol):
            return
        if symbol not in self._fundings:
            self._fundings[symbol] = funding_of(self.costs, symbol)
        size, funding = self.positions.get(symbol, FLAT).size, self._fundings[symbol]
        for movement in movements(self.costs, funding, symbol, size, before.close, before.time, bar.time):
            self.movements.append(movement)
            self.cash += movement.cash
            if movement.ratio != 1.0 or movement.lowered:
                self._scale(symbol, movement)

    def _scale(self, symbol: str, movement: Movement) -> None:
        ratio = movement.ratio
        held = self.positions.get(symbol)
        if held is not None:
            self.positions[symbol] = Holding(held.size * ratio, held.price / ratio)
        for client_id, order in self.orders.items():
            if order.intent.symbol == symbol and not order.status.terminal:
                self._scale_order(self._change(client_id), movement)
        self.market[symbol] = self._conditions(symbol).scaled(ratio, movement.lowered)
        if symbol in self.marks:
            self.marks[symbol] = self.marks[symbol] / ratio - movement.lowered

    def _scale_order(self, order: PaperOrder, movement: Movement) -> None:
        ratio = movement.ratio
        order.size, order.filled = order.size * ratio, order.filled * ratio
        order.remaining = order.remaining * ratio
        order.price, order.limit = moved_prices(order.buy, order.type, order.price, order.limit, movement)
        order.limit_offset = order.limit_offset / ratio
        if order.noted_close is not None:
            order.noted_close = order.noted_close / ratio
        if ratio != 1.0:
            client_id = order.intent.client_id
            self.scales[client_id] = self.scales.get(client_id, 1.0) * ratio

    def _distance(self, order: PaperOrder) -> tuple[float | None, float | None]:
        amount, fraction = trail_distance(order.intent)
        scale = self.scales.get(order.intent.client_id, 1.0)
        return (amount / scale if amount else amount), fraction

    def _cancel_arrived(self) -> None:
        leaving, self.leaving = self.leaving, []
        for client_id, bars, time, last in leaving:
            order = self.orders[client_id]
            if not conditions.has_arrived(self.costs, time, bars, self._conditions(order.intent.symbol)):
                if not order.status.terminal:
                    self.leaving.append((client_id, bars, time, last))
            elif order in self.resting:
                self._withdraw(order, last)

    def _withdraw(self, order: PaperOrder, last: int) -> None:
        """Cancel, and with it what had joined its group when that was asked for; later ones stay a group."""
        leader = self.orders[order.leader]
        later = [client_id for client_id in leader.group or () if self.orders[client_id].number > last]
        if later:
            leader.group = [client_id for client_id in leader.group or () if client_id not in later]
        PaperBook.cancel(self, order.intent.client_id)
        if later:
            leader.group = later

    # Fills

    def _match_bar(self, order: PaperOrder) -> Match:
        market = self._conditions(order.intent.symbol)
        if market.bar is None or not self._has_arrived(order):
            return NOTHING
        return conditions.match(order, market.bar, in_part=bool(order.filled))

    def _has_arrived(self, order: PaperOrder) -> bool:
        client_id, symbol = order.intent.client_id, order.intent.symbol
        if not self.costs.delays or self.closing.get(symbol) == client_id:
            return True
        return conditions.has_arrived(
            self.costs, order.created, self.made[client_id], self._conditions(symbol)
        )

    def _expired(self, order: PaperOrder) -> bool:
        expires_at = order.intent.expires_at
        if order.type is not OrderType.MARKET or expires_at is None or not self.costs.makes_wait:
            return PaperBook._expired(self, order)
        late = self.last_times[order.intent.symbol] > expires_at
        return late and order.active and self._has_arrived(order)

    def _apply(self, order: PaperOrder, match: Match) -> None:
        if match.price is None:
            PaperBook._apply(self, order, match)
            return
        symbol, before = order.intent.symbol, order.filled
        if symbol not in self._spreads:
            self._spreads[symbol] = spread_of(self.costs, symbol)
        market = self._conditions(symbol)
        piece = self._piece = conditions.piece_of(
            self.costs,
            self._spreads[symbol],
            order,
            match,
            market,
            remaining=order.remaining,
            ordered=order.size,
            held=self.positions.get(symbol, FLAT).size,
        )
        PaperBook._apply(self, order, match._replace(price=piece.price if piece.size else None))
        traded = abs(order.filled - before)
        if traded:
            self.marks.setdefault(symbol, piece.price)
            self.market[symbol] = market.filled(traded, before=match.previous_bar)
            left = 0.0 if order.status.terminal else order.remaining
            self.movements.extend(conditions.noted(symbol, market, traded, piece, left))
        if not order.status.terminal and order.type in STOPS_AT_MARKET and not order.triggered:
            order.triggered = True
            self._event(order, EventKind.TRIGGERED)

    def _trade(self, order: PaperOrder, price: float) -> Execution:
        size = order.remaining if self._piece is None else self._piece.size
        if conditions.takes_the_rest(order.remaining, size):
            order.remaining = size
        symbol, terms = order.intent.symbol, self.costs.margin
        held = self.positions.get(symbol, FLAT)
        if terms is None:
            return matching.execute(self.cash, held, size, price, self.commission)
        opened = matching.change_position(held, size, price)[1]
        books = self._books()
        after = books.after(symbol, size, price, self.commission.amount(size, price))
        refused = bool(opened) and not affords(books, after, symbol, price, self.marks, terms)
        traded = size - opened if refused else size
        done = matching.execute(self.cash, held, traded, price, self.commission, on_credit=True)
        return replace(done, short=refused)

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
        if fill is not None and order.intent.client_id in self.scales:
            reason = SPLIT
        PaperBook._event(self, order, kind, fill=fill, reason=reason, trigger=trigger, limit=limit)

    # Margin

    def _books(self) -> Books:
        return Books(self.cash, {symbol: held.size for symbol, held in self.positions.items()})

    def _check_submitted(self) -> None:
        terms = self.costs.margin
        if terms is None:
            PaperBook._check_submitted(self)
            return
        books = self._books()
        while self.submitted:
            order = self._change(self.submitted.popleft().intent.client_id)
            if not self._has_bracket(order):
                continue
            symbol, size, price = order.intent.symbol, order.remaining, order.price
            after = books.after(symbol, size, price, self.commission.amount(size, price))
            if self._barred(order) or not affords(books, after, symbol, price, self.marks, terms):
                self._refuse(order)
                continue
            books = after
            self.marks.setdefault(symbol, price)
            self._accept(order)

    def _barred(self, order: PaperOrder) -> bool:
        """Whether the venue is closing the position that the order is about."""
        closing = self.closing.get(order.intent.symbol, ASKED_FOR)
        return bool(closing) and closing != order.intent.client_id and not self._done(closing)

    def _done(self, client_id: str) -> bool:
        return client_id == ASKED_FOR or self.orders[client_id].status.terminal

    def _settle_margin(self) -> None:
        if self.costs.margin is None:
            return
        self.closing = {s: client_id for s, client_id in self.closing.items() if not self._done(client_id)}
        call = margin_call(self._books(), self.marks, self.closing, self.costs.margin)
        if call is None:
            return
        times = [self.last_times[symbol] for symbol in call.symbols]
        self.movements.append(Movement("margin_call", call.symbols[0], max(times), amount=call.lacking))
        for symbol, time in zip(call.symbols, times, strict=True):
            resting = [order for order in self.resting if order is not None and order.intent.symbol == symbol]
            for order in resting:
                PaperBook.cancel(self, order.intent.client_id)
            units = -self.positions[symbol].size
            self.movements.append(Movement("liquidation", symbol, time, units=units))
            self.closing[symbol] = ASKED_FOR

    def _conditions(self, symbol: str) -> Conditions:
        return self.market.get(symbol) or Conditions()

    # What is kept

    def kept(self) -> dict[str, Any]:
        """As plain JSON."""
        alive = {c for c in self.made if not self.orders[c].status.terminal}
        return {
            "market": {symbol: encode(market) for symbol, market in self.market.items()},
            "made": {c: bars for c, bars in self.made.items() if c in alive},
            "leaving": [(c, bars, time.isoformat(), last) for c, bars, time, last in self.leaving],
            "marks": self.marks,
            "closing": self.closing,
            "scales": {c: scale for c, scale in self.scales.items() if c in alive},
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take it back. Raises VenueFatal where a book without costs wrote the file."""
        if not kept:
            raise VenueFatal(
                "the paper state was begun without costs", hint="start a new run for the costs to count"
            )
        self.market = {symbol: decode(Conditions, raw) for symbol, raw in kept["market"].items()}
        self.made = dict(kept["made"])
        self.leaving = [(c, n, datetime.fromisoformat(time), last) for c, n, time, last in kept["leaving"]]
        self.marks, self.closing = dict(kept["marks"]), dict(kept["closing"])
        self.scales = dict(kept["scales"])
