"""What decides in a simulation: a strategy without Backtrader, which repeats its decisions like any other.

Entries are brackets: a stop, and often a target. Whatever it does follows from its seed, the bars, and what it was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from random import Random

from brokers.executor import Executor
from brokers.simulation.market import BAR_SECONDS, LOT_SIZE, SYMBOL
from brokers.simulators.binance.house import MIN_NOTIONAL
from core.types import Bar, OrderEvent, OrderIntent, OrderStatus, OrderType, Side, to_decimal

CENT = Decimal("0.01")
PATIENCE_BARS = 3
ENTRIES = (
    OrderType.MARKET,
    OrderType.MARKET,
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.STOP_LIMIT,
    OrderType.STOP,
)
STOPS = (OrderType.STOP, OrderType.STOP, OrderType.STOP_TRAIL)


@dataclass(slots=True)
class Placed:
    """One order, as far as it was told of. filled: what it moved the position by."""

    intent: OrderIntent
    status: OrderStatus = OrderStatus.INTENT
    filled: Decimal = Decimal(0)

    @property
    def live(self) -> bool:
        """Whether something can still happen to it."""
        return not self.status.terminal


@dataclass(slots=True)
class Bracket:
    """One entry with what protects it, and what got out of it by hand."""

    entry: Placed
    bar: int
    children: list[Placed] = field(default_factory=list)
    exits: list[Placed] = field(default_factory=list)

    @property
    def held(self) -> Decimal:
        """Units bought and not sold again."""
        sold = sum((order.filled for order in (*self.children, *self.exits)), Decimal(0))
        return self.entry.filled - sold

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not any(order.live for order in (self.entry, *self.children, *self.exits))


@dataclass(slots=True)
class Plans:
    """What a trader means, for those who judge what became of it: which entry an order gets out of, and which were given up."""

    exit_of: dict[str, str] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)


class Trader:
    """One life of the strategy. told: what it heard in each turn, with the turn's occasion. plans: shared by all lives."""

    def __init__(
        self, seed: int, executor: Executor, plans: Plans, *, last_bar: int, flat_at_end: bool
    ) -> None:
        self.orders: dict[str, Placed] = {}
        self.brackets: list[Bracket] = []
        self.told: list[tuple[str, tuple[OrderEvent, ...]]] = []
        self._seed = seed
        self._executor = executor
        self._plans = plans
        self._last_bar = last_bar
        self._flat_at_end = flat_at_end
        self._bar: Bar | None = None
        self._number = 0
        self._leg = 0

    async def on_bar(self, number: int, bar: Bar, events: Sequence[OrderEvent]) -> None:
        """A bar is complete."""
        self._number, self._bar, self._leg = number, bar, 0
        self._take(f"bar {number}", events)
        await self._escape()
        random = Random(f"{self._seed} bar {number}")
        active = next((bracket for bracket in self.brackets if not bracket.over), None)
        if number > self._last_bar:
            if active is not None and self._flat_at_end:
                await self._leave(active)
        elif active is None:
            if random.random() < 0.8:
                await self._enter(random, bar)
        elif active.entry.live and number - active.bar >= PATIENCE_BARS and random.random() < 0.5:
            await self._cancel(active.entry)
        elif active.held and random.random() < 0.12:
            await self._leave(active)

    async def on_news(self, events: Sequence[OrderEvent]) -> None:
        """Something happened between two bars."""
        self._take(f"after bar {self._number}", events)
        await self._escape()

    def hear_end(self, events: Sequence[OrderEvent]) -> None:
        """What came of orders as the session ended: nothing is decided any more."""
        if events:
            self._take(f"after bar {self._number}", events)

    # -- decisions

    async def _enter(self, random: Random, bar: Bar) -> None:
        close = to_decimal(bar.close)
        kind, stop_kind = random.choice(ENTRIES), random.choice(STOPS)
        size = Decimal(random.randint(20, 150)) / 100 + Decimal(random.randint(0, 999)) / 100_000
        near, far = (Decimal(random.randint(5, 60)) / 10_000 for _ in range(2))
        price = limit = expires = None
        if kind is OrderType.LIMIT:
            price = _cents(close * (1 - near))
        elif kind is not OrderType.MARKET:
            price = _cents(close * (1 + near))
            limit = _cents(price * (1 + far)) if kind is OrderType.STOP_LIMIT else None
        if kind is not OrderType.MARKET and random.random() < 0.2:
            expires = bar.time + timedelta(seconds=BAR_SECONDS * random.uniform(0.5, 3))
        entry = self._intent(
            kind, Side.BUY, size, price=price, limit=limit, expires_at=expires, transmit=False
        )
        bracket = Bracket(self._placed(entry), self._number)
        self.brackets.append(bracket)
        await self._submit(bracket.entry)
        base, distance = price or close, Decimal(random.randint(10, 120)) / 10_000
        has_target = random.random() < 0.6
        trails = stop_kind is OrderType.STOP_TRAIL
        stop = self._intent(
            stop_kind,
            Side.SELL,
            size,
            price=None if trails else _cents(base * (1 - distance)),
            trail_percent=distance if trails else None,
            parent=entry.client_id,
            transmit=not has_target,
        )
        bracket.children.append(self._placed(stop))
        await self._submit(bracket.children[-1])
        if has_target:
            up = Decimal(random.randint(10, 120)) / 10_000
            target = self._intent(
                OrderType.LIMIT, Side.SELL, size, price=_cents(base * (1 + up)), parent=entry.client_id
            )
            bracket.children.append(self._placed(target))
            await self._submit(bracket.children[-1])

    async def _leave(self, bracket: Bracket) -> None:
        """Give a bracket up: cancel what is open, sell what is held."""
        self._plans.leaving.add(bracket.entry.intent.client_id)
        for order in (bracket.entry, *bracket.children):
            if order.live:
                await self._cancel(order)
        await self._escape()

    async def _escape(self) -> None:
        """Sell what nothing protects any more and nothing will."""
        for bracket in self.brackets:
            waiting = any(order.live for order in (bracket.entry, *bracket.children, *bracket.exits))
            if waiting or self._bar is None:
                continue
            size = bracket.held.quantize(LOT_SIZE, ROUND_DOWN)
            if size * to_decimal(self._bar.close) < MIN_NOTIONAL * 2:
                continue
            order = self._placed(self._intent(OrderType.MARKET, Side.SELL, size))
            bracket.exits.append(order)
            self._plans.exit_of[order.intent.client_id] = bracket.entry.intent.client_id
            await self._submit(order)

    # -- orders

    def _intent(self, kind: OrderType, side: Side, size: Decimal, **terms: object) -> OrderIntent:
        bar = self._bar
        if bar is None:
            raise RuntimeError("no bar yet")
        self._leg += 1
        return OrderIntent(
            client_id=f"s{self._seed}b{self._number}l{self._leg}",
            symbol=SYMBOL,
            side=side,
            type=kind,
            size=size,
            reference_price=to_decimal(bar.close),
            bar_time=bar.time,
            leg=self._leg,
            **terms,  # type: ignore[arg-type]
        )

    def _placed(self, intent: OrderIntent) -> Placed:
        order = self.orders[intent.client_id] = Placed(intent)
        return order

    async def _submit(self, order: Placed) -> None:
        submission = await self._executor.submit(order.intent)
        order.intent = submission.intent
        self._take(f"submit {order.intent.client_id}", submission.events)

    async def _cancel(self, order: Placed) -> None:
        if self._bar is not None:
            events = await self._executor.cancel(order.intent.client_id, self._bar.time)
            self._take(f"cancel {order.intent.client_id}", events)

    def _take(self, occasion: str, events: Sequence[OrderEvent]) -> None:
        self.told.append((occasion, tuple(events)))
        for event in events:
            order = self.orders[event.client_id]
            if event.kind == "status":
                order.status = event.status
            if event.fill is not None:
                order.filled += event.fill.size


def _cents(price: Decimal) -> Decimal:
    return price.quantize(CENT)
