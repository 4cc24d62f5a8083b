"""Entries as limits at the best price instead of market orders: offered again as the market moves, within bounds.

`WorkingVenue` stands between the executor and a venue, and presents one order upwards: the market order the strategy
made. What it hands down is a limit under the same client id, which is changed in place, never joined by another; so
what fills over all attempts is what the venue fills of one order, and children, groups and recovery are the venue's as
ever. Each price is in the journal before the venue hears of it. What ends an entry follows from its attempts and the
clock, so that a session that comes back goes on where the last one was killed.

An entry lives `seconds * (times + 1)` at most. Orders that close anything, even in part, stay market orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, Protocol

from brokers.base import Venue
from core.clock import Clock, WallClock
from core.errors import ConfigError, OrderRejected, TradewrightError
from core.tasks import end_tasks
from core.telemetry import correlation, get_logger
from core.types import (
    Attempt,
    Instrument,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Quote,
    Side,
)

THROUGH = Decimal("0.01")
"""How far beyond the other side of the book a limit stands that is to fill like a market order."""
CLOSING_SECONDS = 5.0
WALL_CLOCK = WallClock()

log = get_logger("brokers.working")


@dataclass(frozen=True, slots=True)
class Entries:
    """How entries are made.

    post_only: a buy waits at the bid, a sale at the ask, and never takes; otherwise a buy is at the ask, a sale at the
    bid. Every `seconds` it follows the quote, `times` at most, and no further than `bound` (a fraction) from the middle
    of the quote at the decision. then: what becomes of what has not filled by then; `market` prices it a hundredth
    through the other side.
    """

    post_only: bool = False
    seconds: float = 5.0
    times: int = 5
    bound: Decimal = Decimal("0.002")
    then: Literal["cancel", "market"] = "cancel"

    def __post_init__(self) -> None:
        if self.post_only and self.then == "market":
            raise ConfigError(
                "post-only entries never take, so they cannot end as market orders",
                hint="set live.reprice_then=cancel, or live.entries=touch",
            )


class Attempts(Protocol):
    """What is asked of a journal; durable when a call returns."""

    def record_attempt(self, attempt: Attempt) -> None:
        """Write down the next price of an entry."""
        ...

    def attempts(self) -> Sequence[Attempt]:
        """Every price so far, in order."""
        ...


@dataclass(slots=True)
class _Entry:
    """One entry on its way. lock: held while it is changed or cancelled."""

    attempts: list[Attempt]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def crossing(self) -> Attempt | None:
        """The first attempt that goes through the other side."""
        return next((attempt for attempt in self.attempts if attempt.crossing), None)


class WorkingVenue:
    """`venue`, with entries worked as `entries` says."""

    def __init__(
        self, venue: Venue, entries: Entries, journal: Attempts, *, clock: Clock = WALL_CLOCK
    ) -> None:
        self.name = venue.name
        self._venue = venue
        self._entries = entries
        self._journal = journal
        self._clock = clock
        self._worked: dict[str, _Entry] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, Decimal] = {}
        self._counted = 0

    # -- as the venue has it

    @property
    def sequence(self) -> int:
        """See `Venue`."""
        return self._venue.sequence

    async def instruments(self) -> Mapping[str, Instrument]:
        """See `Venue`."""
        return await self._venue.instruments()

    async def balances(self) -> Mapping[str, Decimal]:
        """See `Venue`."""
        return await self._venue.balances()

    async def positions(self) -> Mapping[str, Position]:
        """See `Venue`."""
        return await self._venue.positions()

    async def open_orders(self) -> Sequence[OrderState]:
        """See `Venue`."""
        return await self._venue.open_orders()

    async def fills(self, since: int) -> Sequence[OrderEvent]:
        """See `Venue`."""
        return await self._venue.fills(since)

    async def quote(self, symbol: str) -> Quote | None:
        """See `Venue`."""
        return await self._venue.quote(symbol)

    def events(self) -> AsyncIterator[OrderEvent]:
        """See `Venue`."""
        return self._venue.events()

    async def order(self, client_id: str) -> OrderState | None:
        """See `Venue`."""
        return await self._venue.order(client_id)

    async def amend(
        self,
        client_id: str,
        *,
        size: Decimal | None = None,
        price: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> bool:
        """See `Venue`."""
        entry = self._worked.get(client_id)
        if entry is None:
            return await self._venue.amend(client_id, size=size, price=price, limit=limit)
        async with entry.lock:
            return await self._venue.amend(client_id, size=size, price=price, limit=limit)

    # -- the session

    async def connect(self) -> None:
        """Open the session, and go on with the entries that were worked when the last one ended."""
        await self._venue.connect()
        for attempt in self._journal.attempts():
            self._worked.setdefault(attempt.client_id, _Entry([])).attempts.append(attempt)
        over = {e.client_id for e in await self._venue.fills(0) if e.status.terminal}
        for client_id in self._worked.keys() - over:
            self._begin(client_id)

    async def close(self) -> None:
        """End the session, and give up what is still on its way."""
        try:
            await self.give_up()
        finally:
            await self._venue.close()

    async def give_up(self) -> int:
        """Cancel entries still on their way, since nobody would follow them, or what they fill; how many there were."""
        working = list(self._tasks)
        await end_tasks(list(self._tasks.values()))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                for client_id in working:
                    await self._give_up(client_id)
        return len(working)

    async def _give_up(self, client_id: str) -> None:
        try:
            state = await self._at_venue(client_id)
            if state is not None and state.status is not OrderStatus.INTENT:
                await self._venue.cancel(client_id)
        except TradewrightError as error:
            log.warning("entry.left", client_id=client_id, reason=str(error))

    # -- acting

    async def submit(self, intent: OrderIntent) -> None:
        """Hand over one order; an entry at the market goes as a limit at the best price.

        Raises OrderRejected, too, where there is no quote to price it by.
        """
        if not await self._is_entry(intent) or await self._venue.order(intent.client_id) is not None:
            await self._venue.submit(intent)
            return
        entry = self._worked.setdefault(intent.client_id, _Entry([]))
        async with entry.lock:
            offered = await self._first(intent, entry)
            self._begin(intent.client_id)
            await self._venue.submit(offered)

    async def cancel(self, client_id: str) -> bool:
        """See `Venue`."""
        entry = self._worked.get(client_id)
        if entry is None:
            return await self._venue.cancel(client_id)
        async with entry.lock:
            return await self._venue.cancel(client_id)

    async def _is_entry(self, intent: OrderIntent) -> bool:
        """Whether an order can only add to what this run holds."""
        if intent.type is not OrderType.MARKET or intent.parent is not None:
            return False
        for event in await self._venue.fills(self._counted):
            self._counted = max(self._counted, event.sequence)
            if event.fill is not None:
                moved = event.fill.size * event.fill.side.sign
                self._held[event.fill.symbol] = self._held.get(event.fill.symbol, Decimal(0)) + moved
        return self._held.get(intent.symbol, Decimal(0)) * intent.side.sign >= 0

    async def _first(self, intent: OrderIntent, entry: _Entry) -> OrderIntent:
        """The limit an entry begins as; the market order that it was, where that is what comes of it at once."""
        quote = await self._two_sided(intent.symbol)
        if quote is None:
            raise OrderRejected(
                f"{self.name} has no quote of {intent.symbol} to make a limit of", rule="quote"
            )
        price = self._touch(quote, intent.side)
        middle = entry.attempts[0].mid if entry.attempts else (quote.bid + quote.ask) / 2
        chased = _chased(price, middle, intent.side)
        if chased > self._entries.bound:
            if self._entries.then == "market":
                return intent
            raise OrderRejected(
                f"{price:f} is {chased:.2%} from the middle of the quote at the decision",
                rule="reprice_bound",
                limit=self._entries.bound,
                value=chased,
            )
        self._write_down(intent.client_id, entry, price, quote)
        return replace(intent, type=OrderType.LIMIT, price=price, post_only=self._entries.post_only)

    # -- working

    def _begin(self, client_id: str) -> None:
        if client_id not in self._tasks:
            task = asyncio.create_task(self._work(client_id), name="working an entry")
            self._tasks[client_id] = task
            task.add_done_callback(lambda done: self._tasks.pop(client_id, None))

    async def _work(self, client_id: str) -> None:
        entry, over = self._worked[client_id], False
        with correlation(client_id):
            while not over:
                await asyncio.sleep(self._entries.seconds)
                try:
                    async with entry.lock:
                        over = await self._look(client_id, entry)
                except TradewrightError as error:
                    # Whatever it was, the next look asks the venue what is there before it does anything.
                    log.warning("entry.not_changed", code=error.code, reason=str(error))

    async def _look(self, client_id: str, entry: _Entry) -> bool:
        """Follow the quote, or end; True when the order is over."""
        state = await self._at_venue(client_id)
        if state is None or state.status is OrderStatus.INTENT:
            return state is None
        since = entry.crossing or entry.attempts[0]
        if self._clock.now() >= self._deadline(since.time):
            return await self._end(state, entry)
        quote = await self._two_sided(state.symbol)
        if quote is None:
            return False
        if entry.crossing is not None:
            return await self._cross(state, entry, quote)
        price = self._touch(quote, state.side)
        if _chased(price, entry.attempts[0].mid, state.side) > self._entries.bound:
            return await self._end(state, entry, quote)
        return await self._offer(state, entry, price, quote)

    async def _end(self, state: OrderState, entry: _Entry, quote: Quote | None = None) -> bool:
        """Its time is over, or the market has gone too far: cancel what is left, or take it."""
        if self._entries.then == "market" and entry.crossing is None:
            quote = quote or await self._two_sided(state.symbol)
            if quote is not None:
                return await self._cross(state, entry, quote)
        log.info("entry.ended", price=state.limit, filled=state.filled, size=state.size)
        await self._venue.cancel(state.client_id)
        return await self._at_venue(state.client_id) is None

    async def _cross(self, state: OrderState, entry: _Entry, quote: Quote) -> bool:
        """Take what is left, whatever it costs within a hundredth."""
        buys = state.side is Side.BUY
        price = quote.ask * (1 + THROUGH) if buys else quote.bid * (1 - THROUGH)
        listed = (await self._venue.instruments()).get(state.symbol)
        step = listed.tick_size if listed is not None else None
        return await self._offer(state, entry, _on_step(price, step, state.side), quote, crossing=True)

    async def _offer(
        self, state: OrderState, entry: _Entry, price: Decimal, quote: Quote, *, crossing: bool = False
    ) -> bool:
        """Change the price of the order, once that is written down. False: it is not over."""
        if price != state.limit:
            self._write_down(state.client_id, entry, price, quote, crossing=crossing)
            await self._venue.amend(state.client_id, price=price)
        return False

    async def _at_venue(self, client_id: str) -> OrderState | None:
        """The order as the venue has it; None once nothing can happen to it any more."""
        for state in await self._venue.open_orders():
            if state.client_id == client_id and not state.status.terminal:
                return state
        state_then = await self._venue.order(client_id)
        return None if state_then is None or state_then.status.terminal else state_then

    def _write_down(
        self, client_id: str, entry: _Entry, price: Decimal, quote: Quote, *, crossing: bool = False
    ) -> None:
        number = len(entry.attempts) + 1
        attempt = Attempt(client_id, number, price, quote.bid, quote.ask, self._clock.now(), crossing)
        self._journal.record_attempt(attempt)
        entry.attempts.append(attempt)
        log.info("entry.offered", number=number, price=price, bid=quote.bid, ask=quote.ask)

    async def _two_sided(self, symbol: str) -> Quote | None:
        """The quote, where it has both sides and they do not cross."""
        quote = await self._venue.quote(symbol)
        return quote if quote is not None and 0 < quote.bid <= quote.ask else None

    def _touch(self, quote: Quote, side: Side) -> Decimal:
        """The best price: of the other side, or of our own for what may not take."""
        buys_at_ask = (side is Side.BUY) is not self._entries.post_only
        return quote.ask if buys_at_ask else quote.bid

    def _deadline(self, since: datetime) -> datetime:
        return since + timedelta(seconds=self._entries.seconds * (self._entries.times + 0.5))


def _chased(price: Decimal, middle: Decimal, side: Side) -> Decimal:
    """How much worse than `middle` a price is, as a fraction of it."""
    return (price / middle - 1) * side.sign


def _on_step(price: Decimal, step: Decimal | None, side: Side) -> Decimal:
    """A price a venue takes as it is."""
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return price if not step else (price / step).to_integral_value(rounding=rounding) * step
