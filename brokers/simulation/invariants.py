"""What must hold after every step: each check names what it found, and nothing here changes anything.

The exchange is asked directly, behind the bot's back; the store is read as a new process would read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_DOWN, Decimal

from brokers.risk import Limits
from brokers.simulation.market import (
    ACCOUNT,
    BASE,
    CASH,
    LOT_SIZE,
    OWNERS_UNITS,
    QUOTE,
    SYMBOL,
    TICK_SIZE,
    Market,
)
from brokers.simulation.mortality import Disk
from brokers.simulation.trader import Plans
from brokers.simulators.binance.house import MIN_NOTIONAL
from brokers.simulators.orders import STOPS, Change, Event, Execution, Order
from core.types import Fill, OrderEvent, OrderIntent, OrderStatus, OrderType, Side, is_dust
from store import Journal, Store

NOTHING = Decimal(0)
UNPROTECTED_SECONDS = 30.0
"""How long a session that is up, with an exchange that answers, may leave an entry without its stop."""

ROOM = Decimal("1.1")
"""Binance takes no order below a least value: what is about that small cannot be protected."""


def _is_stop(intent: OrderIntent) -> bool:
    return intent.type in STOPS


Told = tuple[str, tuple[OrderEvent, ...]]
"""A turn's occasion, and what the strategy heard in it."""


class Violation(Exception):
    """An invariant does not hold. Handler: the scenario, which ends and reports the seed."""


def base_id(client_id: str) -> str:
    """The id of ours behind one that was sent: a change of an order is sent with a number added."""
    return client_id.partition(".")[0]


class Invariants:
    """Judges one scenario. store: the committed state. up: whether a session could act now. now: virtual seconds."""

    def __init__(
        self,
        market: Market,
        store: Store,
        run_id: str,
        disk: Disk,
        plans: Plans,
        limits: Limits,
        *,
        up: Callable[[], bool],
        now: Callable[[], float],
    ) -> None:
        self._market = market
        self._books = market.exchange.books
        self.journal: Journal = store.journal(run_id)
        self._store = store
        self._run_id = run_id
        self._disk = disk
        self._plans = plans
        self._limits = limits
        self._up = up
        self._now = now
        self._held: dict[str, Decimal] = {}
        self._position = NOTHING
        self._bare: dict[str, float] = {}
        self._judged_at = 0.0
        self._were_up = False
        self._seen: set[str] = set()
        self._told: Sequence[Told] = ()
        self.longest_bare = 0.0

    # -- at the exchange

    def on_exchange(self, event: Event) -> None:
        """Something happened to an order there."""
        order = event.order
        if order.external:
            return
        if event.change is Change.NEW:
            self._check_taken(order)
        if event.execution is not None:
            self._count(order, event.execution)
        self.check_protection()

    def _check_taken(self, order: Order) -> None:
        """The exchange takes an order: it was written down, once, and nobody gave it up."""
        ours = base_id(order.client_id)
        known = self.journal.order(ours)
        if known is None:
            raise Violation(f"the exchange took order {order.client_id}, which is not in the journal")
        if known.status.terminal:
            raise Violation(
                f"the exchange took order {order.client_id}, which the journal calls {known.status}"
            )
        if order.client_id in self._seen:
            raise Violation(f"the exchange took order {order.client_id} twice")
        self._seen.add(order.client_id)
        same = [o for o in self._books.open.values() if base_id(o.client_id) == ours and not o.external]
        if len(same) > 1:
            raise Violation(f"two orders of {ours} are open: {', '.join(o.client_id for o in same)}")
        self._check_halt(known.intent)
        self._check_offered(order, known.intent)

    def _check_halt(self, intent: OrderIntent) -> None:
        if self._limits.max_daily_loss is None or intent.side is Side.SELL:
            return
        state = self.journal.risk().get("daily_loss", {})
        if state.get("halted") and intent.bar_time.isoformat() > state["last"]:
            raise Violation(f"entry {intent.client_id} was taken after the daily loss limit was reached")

    def _check_offered(self, order: Order, intent: OrderIntent) -> None:
        """A market order that goes as a limit: its price was written down, or, where it may not take, one in front."""
        if intent.type is not OrderType.MARKET or order.limit is None:
            return
        ours = [attempt.price for attempt in self.journal.attempts() if attempt.client_id == intent.client_id]
        near = [price for price in ours if abs(price - order.limit) < TICK_SIZE]
        if not near and not (order.post_only and any(price > order.limit for price in ours)):
            raise Violation(f"entry {order.client_id} was offered at {order.limit:f}, the journal has {ours}")

    def _count(self, order: Order, trade: Execution) -> None:
        ours = base_id(order.client_id)
        intent = self._disk.orders[ours].intent
        moved = trade.size * trade.side.sign - (trade.fee if trade.fee_asset == BASE else NOTHING)
        bracket = intent.parent or self._plans.exit_of.get(ours, ours)
        self._held[bracket] = self._held.get(bracket, NOTHING) + moved
        self._position += moved
        if self._position < 0:
            raise Violation(f"{ours} sold more than the bot had: {self._position:f} are left")
        self._check_filled(ours, intent)
        most = self._limits.max_position_size
        if most is not None and self._position > most:
            raise Violation(f"{self._position:f} units are held, {most:f} allowed")

    def _check_filled(self, ours: str, intent: OrderIntent) -> None:
        """All that was sent for one signal fills no more than was asked for."""
        sent = [o for o in self._books.state.orders.values() if base_id(o.client_id) == ours]
        filled = sum((order.filled for order in sent), NOTHING)
        if filled > intent.size:
            raise Violation(f"{filled:f} units of order {ours} traded, {intent.size:f} were asked for")

    # -- protection

    def check_protection(self) -> None:
        """No entry stands without its stop for longer than the bound, counted while a session could act."""
        now, up = self._now(), self._up()
        passed = now - self._judged_at if self._were_up else 0.0
        self._judged_at, self._were_up = now, up
        for bracket, held in self._held.items():
            if self._protected(bracket, held):
                self._bare.pop(bracket, None)
                continue
            if bracket not in self._bare:
                self._bare[bracket] = 0.0
                continue
            self._bare[bracket] += passed
            self.longest_bare = max(self.longest_bare, self._bare[bracket])
            if self._bare[bracket] > UNPROTECTED_SECONDS:
                raise Violation(
                    f"{held:f} units of {bracket} were unprotected for {self._bare[bracket]:.0f} s"
                )

    def _protected(self, bracket: str, held: Decimal) -> bool:
        lots = held.quantize(LOT_SIZE, ROUND_DOWN)
        value = lots * Decimal(str(round(self._market.price, 2)))
        if value < MIN_NOTIONAL * ROOM * 2 or bracket in self._plans.leaving:
            return True
        covered = NOTHING
        for order in self._books.open.values():
            known = self._disk.orders.get(base_id(order.client_id))
            if known is not None and known.intent.parent == bracket and order.type in STOPS:
                covered += order.remaining
        return covered >= lots or self._given_up(bracket)

    def _given_up(self, bracket: str) -> bool:
        """Whether the strategy was told that nothing protects this entry any more: the rest is its own business."""
        children = [o for o in self.journal.open_orders() if o.intent.parent == bracket]
        known = self.journal.order(bracket)
        return known is not None and known.filled > 0 and not any(_is_stop(o.intent) for o in children)

    # -- in the store

    def check_told(self, told: Sequence[Told]) -> None:
        """A life was told what the journal has, in its order, and each thing in the turn the lives before heard it in."""
        for now, before in zip(told, self._told, strict=False):
            if now != before:
                raise Violation(f"a life was told {now}, where one before was told {before}")
        self._told = max(self._told, told, key=len)
        written = [entry.event for entry in self.journal.events()]
        for number, event in enumerate(event for _, events in told for event in events):
            if number >= len(written) or written[number] != event:
                other = written[number] if number < len(written) else None
                raise Violation(f"a life was told {event}, where the journal has {other}")

    def check_books(self) -> None:
        """Positions and trades in the store are what its fills make of them."""
        fills = self.journal.fills()
        held = sum((fill.size * fill.side.sign for fill in fills), NOTHING)
        position = self._store.positions(self._run_id).get(SYMBOL)
        stored = NOTHING if position is None else position.size
        if stored != held and not is_dust(stored - held, max((f.size for f in fills), default=NOTHING)):
            raise Violation(f"the store holds {stored:f} units, its fills leave {held:f}")
        trades = self._store.trades(self._run_id).list()
        left = sum((trade.remaining * trade.side.sign for trade in trades), NOTHING)
        if left != stored:
            raise Violation(f"open trades come to {left:f} units, the position to {stored:f}")
        paid = sum((fill.commission for fill in fills), NOTHING)
        booked = sum((trade.commission for trade in trades), NOTHING)
        if paid != booked:
            raise Violation(f"{booked:f} of commission are booked, {paid:f} were paid")

    # -- once quiet

    def check_quiet(self, told: Sequence[Told]) -> None:
        """Nothing moves any more: journal and exchange agree to the last digit."""
        self.check_books()
        self.check_told(told)
        heard, written = sum(len(events) for _, events in told), len(self.journal.events())
        if heard != written:
            raise Violation(f"{heard} events were told, {written} are in the journal")
        self._check_trades()
        self._check_money()
        self._check_audit()
        self._check_open_orders()

    def _check_trades(self) -> None:
        """Every trade of ours at the exchange is in the journal, once, and no other."""
        fills: dict[str, Fill] = {}
        for fill in self.journal.fills():
            if fill.fill_id in fills:
                raise Violation(f"trade {fill.fill_id} is in the journal twice")
            fills[fill.fill_id] = fill
        ours = {f"{trade.symbol}:{trade.id}": trade for trade in self._our_trades()}
        for key in sorted({*ours, *fills}):
            if key not in fills:
                raise Violation(f"trade {key} is missing in the journal")
            if key not in ours:
                raise Violation(f"trade {key} is in the journal and not at the exchange")
            self._compare(ours[key], fills[key])

    def _compare(self, trade: Execution, fill: Fill) -> None:
        received = trade.size - (trade.fee if trade.fee_asset == BASE else NOTHING)
        cost = trade.fee * trade.price if trade.fee_asset == BASE else trade.fee
        expected = (received, trade.price, cost, trade.side)
        if (fill.size, fill.price, fill.commission, fill.side) != expected:
            raise Violation(f"trade {fill.fill_id} reads {fill}, at the exchange it is {trade}")

    def _our_trades(self) -> list[Execution]:
        orders = self._books.state.orders
        return [trade for trade in self._books.state.executions if not orders[trade.order_id].external]

    def _check_money(self) -> None:
        """What the journal's fills moved is what the account moved by, less what its owner did by hand."""
        fills, account = self.journal.fills(), self._books.account(ACCOUNT).balances
        orders = self._books.state.orders
        units, cash = account[BASE] - OWNERS_UNITS, account[QUOTE] - CASH
        for trade in self._books.state.executions:
            if orders[trade.order_id].external:
                units -= trade.size * trade.side.sign - (trade.fee if trade.fee_asset == BASE else NOTHING)
                cash += trade.size * trade.side.sign * trade.price
                cash += trade.fee if trade.fee_asset == QUOTE else NOTHING
        held = sum((fill.size * fill.side.sign for fill in fills), NOTHING)
        paid = sum((f.size * f.side.sign * f.price + f.commission for f in fills), NOTHING)
        if held != units:
            raise Violation(f"the journal holds {held:f} units, the account {units:f}")
        if -paid != cash:
            raise Violation(f"the journal's cash moved by {-paid:f}, the account's by {cash:f}")

    def _check_audit(self) -> None:
        """Every event of the venue is in the journal, in its order, without a gap."""
        written = [entry.event for entry in self.journal.events() if entry.event.sequence > 0]
        numbers = [event.sequence for event in self._disk.events]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Violation(f"the venue's events are numbered {numbers}")
        if written != self._disk.events:
            missing = [e.sequence for e in self._disk.events if e not in written]
            raise Violation(f"the journal differs from what the venue told; missing: {missing}")

    def _check_open_orders(self) -> None:
        """What is open at the exchange is open in the journal, at the same size and trigger."""
        stops = self.journal.stops()
        ours = {order.intent.client_id: order for order in self.journal.orders()}
        for order in self._open():
            known = ours[base_id(order.client_id)]
            if known.status.terminal:
                raise Violation(f"order {order.client_id} is open, the journal calls it {known.status}")
            if order.type in STOPS and known.intent.client_id not in stops:
                raise Violation(f"stop {order.client_id} rests, and the journal has no level of it")
        resting = {base_id(order.client_id) for order in self._open()}
        for client_id, known in ours.items():
            waits = known.intent.parent is not None or not known.intent.transmit
            if not known.status.terminal and client_id not in resting and not waits:
                raise Violation(
                    f"order {client_id} is {known.status} in the journal, and not at the exchange"
                )
        for client_id, known in ours.items():
            if known.status is OrderStatus.INTENT:
                raise Violation(f"nobody knows what became of order {client_id}")

    def _open(self) -> Iterable[Order]:
        return [order for order in self._books.open.values() if not order.external]
