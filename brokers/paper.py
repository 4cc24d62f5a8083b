"""The paper venue: a simulated exchange that fills by Backtrader's broker rules, and survives being killed.

Fed with bars (`step`), it gives the same events, fills, commissions and cash as Backtrader's own broker for the same
orders, to the last bit: see `brokers.matching` for when an order fills and `brokers.paper_book` for the rest.

Fed with quotes (`on_quote`), orders fill without waiting for a bar:
- an order is checked against cash as soon as its symbol has a quote; what may fill at that quote fills at once;
- market orders fill at the ask or the bid; limits once the quote is at the limit or better, at the quote; stops once
  the quote is at the trigger or beyond, at the quote; trailing stops follow the quote they would fill at;
- a close order fills at the first quote at or after the end of its session;
- quoted sizes do not limit fills; brackets, groups, expiry (by the quote's time) and cash are as with bars; the
  children of a bracket become active at the next quote or order after their parent filled.
A venue lives on bars or on quotes, never on both.

With a state file, every call that changes anything commits its whole effect in one transaction before its events are
handed over or the call returns. Steps that change nothing are not written: a venue that starts again may ask for steps
again from the one after `last_step`, and finds what it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from brokers.costs import Commission, Costs
from brokers.movements import Movement
from brokers.paper_book import PaperBook
from brokers.paper_costs import CostedBook
from brokers.paper_state import PaperState
from core.errors import OrderRejected, TradingError, VenueFatal, VenueTransient
from core.types import (
    Bar,
    Instrument,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderType,
    Position,
    Quote,
    to_decimal,
)


class PaperVenue:
    """A simulated exchange; see the module for its rules.

    cash: starting cash, ignored when `state` already holds a book. commission: fraction of the value traded.
    state: file that outlives the process; None keeps everything in memory. instruments: what can be traded; none
    given, any symbol can. on_step: called with "venue.<submit|cancel|amend|step|quote>.<begin|committed>" around
    each commit, so that a test can stop the process there. costs: what is charged beside the commission.
    """

    name = "paper"
    prompt = True

    def __init__(
        self,
        cash: float,
        commission: float,
        *,
        state: Path | None = None,
        currency: str = "USD",
        instruments: Sequence[Instrument] = (),
        on_step: Callable[[str], None] | None = None,
        costs: Costs | None = None,
    ) -> None:
        self._cash = float(cash)
        self._commission = Commission(float(commission))
        self._costs = costs if costs is not None and costs.active else None
        self._moved: dict[int, list[Movement]] = {}
        self._currency = currency
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._path = state
        self._on_step = on_step
        self._state: PaperState | None = None
        self._book: PaperBook | None = None
        self._events: list[OrderEvent] = []
        self._handed_over = 0
        self._committed_step = 0
        self._open = False
        self._failed = False
        self._wake = asyncio.Event()

    @property
    def sequence(self) -> int:
        """Number of the last event handed to `events()`; 0 before the first."""
        return len(self._events)

    @property
    def last_step(self) -> int:
        """Number of the last market step taken; 0 before the first."""
        return self._loaded().step

    async def connect(self) -> None:
        """Open the session; with a state file, load what it holds."""
        if self._open:
            return
        if self._path is not None:
            book = self._fresh_book()
            self._state = PaperState(self._path)
            self._events = self._state.load(book)
            if self._costs is not None:
                self._moved = self._state.movements()
            self._book = book
        elif self._book is None:
            self._book = self._fresh_book()
        self._committed_step = self._loaded().step
        self._handed_over = len(self._events)
        self._wake = asyncio.Event()
        self._open, self._failed = True, False

    async def close(self) -> None:
        """End the session and `events()`; orders keep resting."""
        if not self._open:
            return
        self._open = False
        book = self._loaded()
        if self._state is not None:
            if not self._failed and book.step != self._committed_step:
                self._state.commit(book, (), ())
            self._state.close()
            self._state = None
        self._wake.set()

    async def instruments(self) -> Mapping[str, Instrument]:
        """What was given, or the symbols seen so far."""
        if self._instruments:
            return dict(self._instruments)
        book = self._loaded()
        seen = sorted({*book.last_times, *(order.intent.symbol for order in book.orders.values())})
        return {symbol: Instrument(symbol, self._currency) for symbol in seen}

    async def balances(self) -> Mapping[str, Decimal]:
        """Cash by currency."""
        return {self._currency: to_decimal(self._loaded().cash)}

    async def positions(self) -> Mapping[str, Position]:
        """What is held, by symbol; flat symbols are absent."""
        held = self._loaded().positions.items()
        return {s: Position(s, to_decimal(h.size), to_decimal(h.price)) for s, h in held}

    async def open_orders(self) -> Sequence[OrderState]:
        """Orders that can still fill, oldest first; those held back for their bracket have status INTENT."""
        return [order.state() for order in self._loaded().orders.values() if not order.status.terminal]

    async def order(self, client_id: str) -> OrderState | None:
        """What the venue knows of this order, or None if it never took it."""
        order = self._loaded().orders.get(client_id)
        return None if order is None else order.state()

    async def fills(self, since: int) -> Sequence[OrderEvent]:
        """Every event after number `since`, oldest first."""
        self._loaded()
        return self._events[max(since, 0) :]

    async def quote(self, symbol: str) -> Quote | None:
        """The last quote, or the last bar's close as both bid and ask; None before the first price."""
        book = self._loaded()
        if symbol in book.quotes:
            return book.quotes[symbol]
        bar = book.bars.get(symbol)
        if bar is None:
            return None
        return Quote(symbol, bar.time, to_decimal(bar.close), to_decimal(bar.close))

    async def submit(self, intent: OrderIntent) -> None:
        """Take one order; a client id that is known changes nothing. Raises OrderRejected for an order without sense."""
        book = self._ready()
        if intent.client_id in book.orders:
            return
        check_intent(intent, book, self._instruments)
        book.submit(intent)
        self._commit("submit")

    async def cancel(self, client_id: str) -> bool:
        """Cancel a resting order; False when it does not rest (any more, or not yet: see `brokers.paper_book`)."""
        book = self._ready()
        cancelled = client_id in book.orders and book.cancel(client_id)
        self._commit("cancel")
        return cancelled

    async def amend(
        self,
        client_id: str,
        *,
        size: Decimal | None = None,
        price: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> bool:
        """Change a resting order in place; it keeps its place in the queue. False when it does not rest.

        size: the whole size; at or below what has filled it cancels the rest. price: the limit of a LIMIT, the
        trigger of the stop kinds. limit: the limit of the stop limit kinds. Announced by an event with reason
        "amended". Cash is looked at when the order fills, not before.
        """
        book = self._ready()
        for name, value in (("size", size), ("price", price), ("limit", limit)):
            if value is not None and not (value.is_finite() and value > 0):
                raise OrderRejected(f"{name} {value} must be above 0", rule=name, value=value)
        amended = client_id in book.orders and book.amend(
            client_id, _float(size), _float(price), _float(limit)
        )
        self._commit("amend")
        return amended

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """Market step `number`: these bars are complete. A number already taken changes nothing."""
        book = self._ready()
        if number <= book.step:
            return
        self._feed_with(book, "bars")
        book.take_bars(number, bars)
        self._commit("step")

    @property
    def charges(self) -> bool:
        """Whether anything but the commission is charged."""
        return self._costs is not None

    def movements(self, step: int | None = None) -> Sequence[Movement]:
        """What happened to the account beside its fills, oldest first: at one market step, or at all of them."""
        if step is not None:
            return self._moved.get(step, [])
        return [movement for number in sorted(self._moved) for movement in self._moved[number]]

    async def on_quote(self, quote: Quote) -> None:
        """A new best bid and ask."""
        book = self._ready()
        if self._costs is not None:
            raise TradingError(
                "a paper venue with costs is fed with bars, not quotes",
                hint="leave the costs out: a quote has its own spread",
            )
        self._feed_with(book, "quotes")
        book.take_quote(quote)
        self._commit("quote")

    async def events(self) -> AsyncIterator[OrderEvent]:
        """Each event once, in order, from the moment of `connect`; ends when the venue is closed."""
        while True:
            while self._handed_over < len(self._events):
                self._handed_over += 1
                yield self._events[self._handed_over - 1]
            if not self._open:
                return
            self._wake.clear()
            await self._wake.wait()

    def _fresh_book(self) -> PaperBook:
        if self._costs is None:
            return PaperBook(cash=self._cash, commission=self._commission, currency=self._currency)
        return CostedBook(
            cash=self._cash, commission=self._commission, currency=self._currency, costs=self._costs
        )

    def _loaded(self) -> PaperBook:
        if self._book is None:
            raise VenueTransient("the paper venue is not connected", hint="call connect() first")
        return self._book

    def _ready(self) -> PaperBook:
        book = self._loaded()
        if self._failed:
            raise VenueFatal(
                "the paper venue could not write its last change", hint="close it and connect again"
            )
        if not self._open:
            raise VenueTransient("the paper venue is closed", hint="call connect() first")
        return book

    def _feed_with(self, book: PaperBook, feed: str) -> None:
        if book.feed and book.feed != feed:
            raise TradingError(
                f"this paper venue is fed with {book.feed}, not {feed}", hint="use a venue for each"
            )
        book.feed = feed

    def _commit(self, action: str) -> None:
        """Make what the book has just done durable, then public; until both are done the venue counts as failed."""
        book = self._loaded()
        if not book.changed and not book.movements:
            return
        self._failed = True
        self._tell(f"venue.{action}.begin")
        if self._state is not None:
            self._state.commit(book, book.changed.values(), book.news)
        self._committed_step = book.step
        self._tell(f"venue.{action}.committed")
        if book.movements:
            self._moved.setdefault(book.step, []).extend(book.movements)
            book.movements.clear()
        self._events.extend(book.news)
        book.news.clear()
        book.changed.clear()
        self._failed = False
        self._wake.set()

    def _tell(self, step: str) -> None:
        if self._on_step is not None:
            self._on_step(step)


def check_intent(intent: OrderIntent, book: PaperBook, instruments: Mapping[str, Instrument]) -> None:
    """Raise OrderRejected for an order no exchange could take."""
    if not (intent.size.is_finite() and intent.size > 0):
        raise OrderRejected(f"size {intent.size} must be above 0", rule="size", value=intent.size)
    prices = (intent.reference_price, intent.price, intent.limit, intent.trail_amount, intent.trail_percent)
    for value in prices:
        if value is not None and not value.is_finite():
            raise OrderRejected(f"{value} is not a price", rule="price", value=value)
    if not (intent.price or intent.limit or intent.reference_price):
        raise OrderRejected("the order has no price, and no reference price to take instead", rule="price")
    if instruments and intent.symbol not in instruments:
        raise OrderRejected(f"unknown symbol {intent.symbol!r}", rule="instrument")
    for link, client_id in (("oco", intent.oco), ("parent", intent.parent)):
        if client_id is not None and client_id not in book.orders:
            raise OrderRejected(f"{link} names an unknown order {client_id!r}", rule=link)
    if intent.type is OrderType.CLOSE and intent.session_end is None:
        raise OrderRejected("a close order needs the end of its session", rule="session_end")
    for name, time in (
        ("bar_time", intent.bar_time),
        ("expires_at", intent.expires_at),
        ("session_end", intent.session_end),
    ):
        if time is not None and time.tzinfo is None:
            raise OrderRejected(f"{name} {time} has no time zone", rule=name)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
