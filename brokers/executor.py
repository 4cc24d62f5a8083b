"""From a strategy's decision to the venue and back, with nothing acted on before it is written down.

Every call from the strategy's side (a market step, an order, a cancel) is a *turn*, numbered from 1. A run is
a deterministic function of its bars and of what the venue said, so a run that starts again repeats its turns:

* turns the journal knows whole, quiet ones too, are answered from it, and the venue is not asked to trade;
* the last turn the journal knows may be incomplete: its order is asked for by client id, then sent if the
  venue never had it; what the venue did while nobody wrote it down is delivered there;
* turns after that are new.

A strategy that does not repeat its decisions is found out (`InconsistentState`) before any new order leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from brokers.account import LastBars, at_quotes
from brokers.arrivals import Arrivals, has_arrived
from brokers.base import AttendedVenue, ChargingVenue, PromptVenue, SimulatedVenue, Venue
from brokers.journal import Journal
from brokers.movements import Movement
from brokers.reconcile import Difference, Ledger, check_reconciled, differences, diverged, missing
from brokers.record import Record
from brokers.risk import OLD_PRICES, Account, RiskGate, fit_bracket, reduces
from brokers.stop_levels import StopLevels
from core.errors import OrderRejected, OutcomeUnknown, VenueTransient
from core.telemetry import correlation, get_logger
from core.types import Bar, EventKind, Fill, OrderEvent, OrderIntent

NO_JOURNAL = "the journal's database takes nothing: no new entries until it does"
AFTER_ALL = datetime.max.replace(tzinfo=UTC)

log = get_logger("brokers.executor")


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of an order at once: as sent (a limit may have clipped it), and the events so far."""

    intent: OrderIntent
    events: tuple[OrderEvent, ...]


class Executor:
    """Carries orders to one venue for one run. All coroutines; not to be shared between event loops.

    on_news: called on the executor's thread for each event that arrives. on_step: with the name of each durable step,
    before and after; tests end the process there. on_event: with every fresh event and its order, once journalled;
    book: with every fresh fill, in the transaction that journals it. cash: what the account held at the beginning.
    hears_late: whether the venue tells by itself, when it happens, rather than in the call that brings it about.
    """

    def __init__(
        self,
        venue: Venue,
        journal: Journal,
        risk: RiskGate | None = None,
        *,
        on_step: Callable[[str], None] = lambda name: None,
        on_event: Callable[[OrderEvent, OrderIntent], None] = lambda event, intent: None,
        book: Callable[[Fill, OrderIntent], None] = lambda fill, intent: None,
        cash: Decimal = Decimal(0),
    ) -> None:
        self._venue = venue
        self._market = venue if isinstance(venue, SimulatedVenue) else None
        self._charging = venue if isinstance(venue, ChargingVenue) and venue.charges else None
        self.hears_late = not isinstance(venue, PromptVenue)
        self._journal = journal
        self._risk = risk or RiskGate()
        self._stops = StopLevels(venue, journal)
        self._on_step = on_step
        self._on_event = on_event
        self._book = book
        self._turn = 0
        self.on_news: Callable[[], None] = lambda: None
        self._arrivals = Arrivals(venue, lambda: self.on_news())
        self._record = Record()
        self._opening_cash = cash
        self._ledger = Ledger(cash)
        self._last = LastBars()
        self._stale: Set[str] = frozenset()
        self._now: datetime | None = None
        self._acting = 0
        self._no_entries = ""

    async def start(self) -> None:
        """Connect, and recover: read the journal, ask the venue what happened since, compare the two."""
        await self._venue.connect()
        self._record.read(self._journal)
        await self._arrivals.catch_up(self._journal.last_sequence())
        ledger = Ledger(self._opening_cash)
        self._tell(ledger, [*self._record.events(), *self._arrivals], self.movements())
        await self._agree(ledger)
        self._arrivals.listen()
        orders, turns = len(self._record.known), self._record.last_turn
        log.info("executor.started", orders=orders, turns=turns, missed=self._arrivals.missed)

    async def stop(self) -> None:
        """Close the session with the venue; resting orders stay."""
        await self._venue.close()
        await self._arrivals.stop()

    @property
    def recovering(self) -> bool:
        """Whether turns are still being repeated from the journal."""
        return self._turn < self._record.last_turn

    async def step(
        self, number: int, time: datetime, bars: Mapping[str, Bar], stale: Set[str] = frozenset()
    ) -> list[OrderEvent]:
        """The market has moved to `time`; returns what happened to orders, journalled, oldest first.

        stale: symbols whose last bar is of the past; see `brokers.risk.Account`.
        """
        self._stale = stale
        self._turn += 1
        self._now = time
        self._last.take(bars)
        if self._market is not None:
            await self._market.step(number, time, bars)
        for movement in self.movements(number):
            self._ledger.move(movement)
        events = await self._settle(time)
        self._risk.mark(time, self._account())
        return events

    def movements(self, number: int | None = None) -> Sequence[Movement]:
        """What happened to the account beside its fills, at a market step or at all so far; from any thread."""
        return () if self._charging is None else self._charging.movements(number)

    @property
    def news(self) -> bool:
        """Whether something happened to orders of which the strategy hears before its next bar.

        While turns are repeated: whether it heard something here. From any thread.
        """
        if self.recovering:
            return self._record.between_bars(self._turn + 1)
        return self._now is not None and bool(self._arrivals.arrived) and not self._arrivals.missed

    @property
    def missed(self) -> bool:
        """Whether more happened while nobody ran than the bars so far tell of; once no bar waits, it is news."""
        caught_up = self._now is not None and not self.recovering
        return caught_up and self._market is None and bool(self._arrivals.missed)

    async def between_bars(self) -> list[OrderEvent]:
        """What happened to orders since the last bar, or was `missed`, journalled, oldest first."""
        self._turn += 1
        until = AFTER_ALL if self.missed else self._now
        return await self._settle(self._now or datetime.min, between_bars=True, until=until)

    async def submit(self, intent: OrderIntent) -> Submission:
        """Check, write down, send. A refusal is journalled and comes back as a REJECTED event."""
        self._turn += 1
        with correlation(intent.client_id):
            known = self._record.known.get(intent.client_id)
            if known is not None:
                return await self._repeat(intent, known)
            if self._turn <= self._record.last_turn:
                raise diverged(
                    f"order {intent.client_id} ({intent.side} {intent.size:f} {intent.symbol}) is new"
                )
            try:
                account = await self._risk.informed(self._account(self._stale), intent, self._venue)
                allowed = self._risk.check(self._in_bracket(intent), account)
            except OrderRejected as refusal:
                return self._refuse(intent, refusal)
            self._on_step("intent.begin")
            self._journal.record_intent(allowed, step=self._turn)
            self._on_step("intent.committed")
            self._record.add(allowed, self._turn)
            what = {"symbol": allowed.symbol, "side": allowed.side, "type": allowed.type}
            log.info("order.intent", **what, size=allowed.size, asked=intent.size)
            return await self._send(allowed)

    async def cancel(self, client_id: str, now: datetime) -> list[OrderEvent]:
        """Write down the wish, ask the venue, return what came of it (nothing, when it was too late)."""
        self._turn += 1
        with correlation(client_id):
            if self._turn > self._record.last_turn:
                self._on_step("cancel.begin")
                self._journal.record_cancel(client_id, step=self._turn)
                self._on_step("cancel.committed")
            else:
                self._record.check_cancel(client_id, self._turn)
            if not self._record.is_whole(self._turn):
                with self._busy():
                    await self._venue.cancel(client_id)
                self._on_step("cancel.asked")
            return await self._settle(now)

    async def wind_up(self) -> list[OrderEvent]:
        """Before the session ends: give up entries that only it follows; what came of that, journalled."""
        if self.recovering or self._arrivals.missed or not isinstance(self._venue, AttendedVenue):
            return []
        with self._busy():
            given_up = await self._venue.give_up()
        return await self.between_bars() if given_up else []

    async def finish(self) -> None:
        """At the end of a run: every recorded order was repeated, and venue and journal agree."""
        self._record.check_whole()
        await self._agree(self._ledger)

    async def agree(self) -> None:
        """Venue and journal agree, what has arrived since the last turn included. Raises InconsistentState."""
        await self._agree(self._ahead())

    async def compare(self) -> list[Difference] | None:
        """Where journal and venue differ now; None while something is on its way, or turns are repeated."""
        before = len(self._record.known), self._venue.sequence
        if self.recovering or self._acting or self._journal.down:
            return None
        ledger = deepcopy(self._ahead())
        for client_id in tuple(ledger.remaining):
            await self._venue.order(client_id)
        positions, orders = await self._venue.positions(), await self._venue.open_orders()
        found = [
            *differences(ledger, positions, orders),
            *missing(ledger, await self._venue.balances()),
        ]
        moved = self._acting or before != (len(self._record.known), self._venue.sequence)
        return None if moved else found

    def refuse_entries(self, reason: str) -> None:
        """From now on no entry leaves; what makes a position smaller does."""
        self._no_entries = reason

    async def account(self) -> Account:
        """The account as of now, at the venue's quotes."""
        return await at_quotes(self._account(), self._venue)

    # -- one turn

    async def _repeat(self, asked: OrderIntent, known: OrderIntent) -> Submission:
        """An order the journal knows: answer from the journal, or complete an interrupted turn."""
        self._record.repeat(asked, self._turn)
        if known != asked and known not in self._within_limits(asked):
            raise diverged(f"order {asked.client_id} now reads {asked}, the journal has {known}")
        if not self._record.is_whole(self._turn) and await self._venue.order(known.client_id) is None:
            return await self._send(known)
        return Submission(known, tuple(await self._settle(self._now or known.bar_time)))

    def _within_limits(self, asked: OrderIntent) -> tuple[OrderIntent, ...]:
        """What limits may have made of the order: sizes may have been clipped."""
        return self._risk.readings(self._in_bracket(asked), self._account())

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """While something is on its way to the venue."""
        self._acting += 1
        try:
            yield
        finally:
            self._acting -= 1

    def _protects(self, intent: OrderIntent) -> bool:
        """Whether it only makes the position smaller; the last of a bracket would also send the entry."""
        entry_has_left = intent.parent is None or intent.parent in self._ledger.heard
        return entry_has_left and reduces(intent, self._account())

    def _in_bracket(self, intent: OrderIntent) -> OrderIntent:
        return fit_bracket(intent, self._record.known.get(intent.parent or ""))

    def _barred(self, intent: OrderIntent) -> str:
        """Why an order may not leave now; empty where it may. One of an earlier life may be of a price long past."""
        if intent.parent is not None and intent.parent in self._ahead().void:
            return "the entry of its bracket came to nothing"
        old = OLD_PRICES if intent.symbol in self._stale else ""
        reason = NO_JOURNAL if self._journal.down else old or self._no_entries
        return reason if reason and not self._protects(intent) else ""

    async def _send(self, intent: OrderIntent) -> Submission:
        if barred := self._barred(intent):
            return await self._withhold(intent, barred)
        with self._busy():
            return await self._sent(intent)

    async def _withhold(self, intent: OrderIntent, reason: str) -> Submission:
        """Refuse an order and what waits for it; a venue that holds its bracket back may have a clock: it is told."""
        if intent.parent is not None:
            with self._busy():
                await self._venue.cancel(intent.parent)
            await self._arrivals.complete()
        return self._reject(intent, reason, whole_bracket=True)

    async def _sent(self, intent: OrderIntent) -> Submission:
        try:
            await self._venue.submit(intent)
        except OrderRejected as refusal:
            return self._reject(intent, refusal.message)
        except (OutcomeUnknown, VenueTransient) as doubt:
            if not await has_arrived(self._venue, intent.client_id):
                return self._reject(intent, f"never reached the venue: {doubt.message}")
        self._on_step("submit.returned")
        return Submission(intent, tuple(await self._settle(self._now or intent.bar_time)))

    def _refuse(self, intent: OrderIntent, refusal: OrderRejected) -> Submission:
        with self._journal.transaction():
            self._journal.record_intent(intent, step=self._turn)
            submission = self._reject(intent, refusal.message)
        self._record.add(intent, self._turn)
        return submission

    def _reject(self, intent: OrderIntent, reason: str, *, whole_bracket: bool = False) -> Submission:
        """Journal that an order came to nothing, and with it those of its bracket that will wait for it in vain.

        whole_bracket: even where it was not the last of them.
        """
        last = replace(intent, transmit=True) if whole_bracket else intent
        waiting = self._ahead().bracket_waiting_for(last, self._record.known.values())
        refused = [*(order for order in waiting if order != intent), intent]
        with self._journal.transaction():
            events = [
                self._journal.record_rejection(o.client_id, reason, bar=o.bar_time, step=self._turn)
                for o in refused
            ]
        for event, order in zip(events, refused, strict=True):
            self._ledger.apply(event, order)
            self._on_event(event, order)
            log.info("order.rejected", order=order.client_id, symbol=order.symbol, reason=reason)
        return Submission(intent, tuple(events))

    async def _settle(
        self, now: datetime, *, between_bars: bool = False, until: datetime | None = None
    ) -> list[OrderEvent]:
        """This turn's events: the recorded ones, else what has arrived (missed: `until` then), written down first.

        That there are none is written down too: what is heard later is told later, however early it happened.
        """
        recorded = self._record.told(self._turn)
        for event in recorded:
            self._apply(event)
        if self._record.is_whole(self._turn):  # a turn's events are written down all at once
            return recorded
        fresh = await self._arrivals.take(until or now)
        if fresh:
            levels = await self._stops.ask(fresh, self._record.known)
            self._on_step("events.begin")
            with self._journal.transaction():
                for event in fresh:
                    self._journal.append_event(event, bar=now, step=self._turn, between_bars=between_bars)
                    self._apply(event)
                    self._stops.keep(event, levels, self._last.bars, self._turn)
                    if event.fill is not None:
                        self._book(event.fill, self._intent_of(event))
            self._on_step("events.committed")
            for event in fresh:
                self._announce(event)
        elif self.hears_late and self._ledger.waits_for(len(self._record.known)):
            self._on_step("quiet.begin")
            self._journal.record_quiet(self._turn)
            self._on_step("quiet.committed")
        return fresh

    # -- bookkeeping

    def _apply(self, event: OrderEvent) -> None:
        self._ledger.apply(event, self._intent_of(event))
        self._risk.take(event)

    def _announce(self, event: OrderEvent) -> None:
        self._on_event(event, self._intent_of(event))
        if event.kind is EventKind.STATUS:
            with correlation(event.client_id):
                fill = event.fill
                price, size = (fill.price, fill.size) if fill else (None, None)
                log.info("order.event", status=event.status, sequence=event.sequence, price=price, size=size)

    def _intent_of(self, event: OrderEvent) -> OrderIntent:
        return self._record.intent_of(event, self._venue.name)

    def _account(self, stale: Set[str] = frozenset()) -> Account:
        return Account(
            cash=self._ledger.cash,
            positions=self._ledger.positions,
            entering=self._ledger.entering(),
            prices=dict(self._last.closes),
            stale=stale,
            lows=dict(self._last.lows),
        )

    def _ahead(self) -> Ledger:
        """The ledger, with what has arrived since the last turn."""
        if not any(self._arrivals):
            return self._ledger
        ledger = deepcopy(self._ledger)
        self._tell(ledger, self._arrivals)
        return ledger

    def _tell(self, ledger: Ledger, events: Iterable[OrderEvent], moved: Iterable[Movement] = ()) -> None:
        ledger.tell(((event, self._intent_of(event)) for event in events), moved)

    async def _agree(self, ledger: Ledger) -> None:
        check_reconciled(
            ledger, await self._venue.positions(), await self._venue.open_orders(), self._venue.name
        )
