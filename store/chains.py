"""What happened to an order, from the decision to the trade it belongs to: read from the journal, in its order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.errors import IllegalTransition, InconsistentState
from core.types import Attempt, EventKind, Fill, OrderIntent, is_dust
from store.database import Database
from store.journal import Journal
from store.orders import JournalledEvent, OrderRecord, Standing, StopRecord, advance
from store.trades import TradeRecord, TradeRepository

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Link:
    """One thing that happened to an order.

    time: of the bar for a decision and what we refused, ours for an attempt, the venue's for what it said; None where
    nobody wrote one down. turn: of the run, see `brokers.executor`; None for what happens between turns.
    """

    what: str
    time: datetime | None
    turn: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """One order and its links, the decision first, the trades it belongs to last."""

    order: OrderRecord
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Logged:
    """What only the run's log knows of an intent: when it was committed, and the size before a limit clipped it."""

    time: datetime
    asked: Decimal | None


def read_chains(database: Database, run_id: str, logged: Mapping[str, Logged] | None = None) -> list[Chain]:
    """The chain of every order of a run, in order of recording. A pure read; UnknownNameError for another run.

    logged: by client id.
    """
    journal = Journal(database, run_id)
    events, attempts, cancels = (defaultdict[str, list[Any]](list) for _ in range(3))
    recorded = journal.events()
    for each in recorded:
        events[each.event.client_id].append(each)
    for attempt in journal.attempts():
        attempts[attempt.client_id].append(attempt)
    for client_id, step in sorted(journal.cancels(), key=lambda cancel: cancel[1]):
        cancels[client_id].append(step)
    stops = journal.stops()
    fills = [each.event.fill for each in recorded if each.event.fill is not None]
    trades = trades_of(fills, TradeRepository(database, run_id).list())
    chains = []
    for order in journal.orders():
        key = order.intent.client_id
        links = (
            *_decision(order, (logged or {}).get(key)),
            *_told(events[key], attempts[key], cancels[key]),
            *_stop(stops.get(key)),
            *_trades(trades[key]),
        )
        chains.append(Chain(order, links))
    return chains


def _decision(order: OrderRecord, logged: Logged | None) -> Iterator[Link]:
    intent = order.intent
    asked = logged.asked if logged is not None and logged.asked is not None else intent.size
    yield Link(
        "decision",
        intent.bar_time,
        order.step,
        _given(
            strategy=intent.strategy,
            side=intent.side,
            size=asked,
            symbol=intent.symbol,
            type=intent.type,
            close=intent.reference_price,
            reason=intent.exit_reason,
        ),
    )
    if asked != intent.size:
        yield Link("clipped", intent.bar_time, order.step, {"from": asked, "to": intent.size})
    yield Link("intent", logged.time if logged else None, order.step, _ordered(intent))


def _ordered(intent: OrderIntent) -> dict[str, Any]:
    return _given(
        size=intent.size,
        price=intent.price,
        limit=intent.limit,
        trail_amount=intent.trail_amount,
        trail_percent=intent.trail_percent,
        expires_at=intent.expires_at,
        parent=intent.parent,
        oco=intent.oco,
        post_only=intent.post_only or None,
    )


def _told(
    events: Sequence[JournalledEvent], attempts: Sequence[Attempt], cancels: Sequence[int]
) -> Iterator[Link]:
    """Events as they were appended; before each the cancels up to its turn, and the prices tried up to its time."""
    prices, wishes = list(attempts), list(cancels)
    for each in events:
        while prices and prices[0].time <= each.event.time:
            yield _attempt(prices.pop(0))
        while wishes and wishes[0] <= each.step:
            yield Link("cancel asked", None, wishes.pop(0))
        yield _event(each)
    yield from map(_attempt, prices)
    yield from (Link("cancel asked", None, step) for step in wishes)


def _attempt(attempt: Attempt) -> Link:
    facts = {"number": attempt.number, "price": attempt.price, "bid": attempt.bid, "ask": attempt.ask}
    return Link("attempt", attempt.time, None, facts | ({"crossing": True} if attempt.crossing else {}))


def _event(each: JournalledEvent) -> Link:
    event, fill = each.event, each.event.fill
    what = event.kind if event.kind is not EventKind.STATUS else event.status
    facts = _given(
        sequence=event.sequence if event.sequence > 0 else None,
        venue_order_id=event.venue_order_id or None,
        trigger=event.trigger,
        limit=event.limit,
        reason=event.reason or None,
        told_at_bar=each.bar if each.bar != event.time else None,
    )
    if fill is not None:
        facts |= {
            "fill": fill.fill_id,
            "size": fill.size,
            "price": fill.price,
            "fee": fill.commission,
            "currency": fill.commission_currency,
        }
    return Link("refused" if event.sequence < 0 else str(what), event.time, each.step, facts)


def _stop(stop: StopRecord | None) -> Iterator[Link]:
    if stop is not None:
        facts = _given(
            trigger=stop.trigger, limit=stop.limit, high_water=stop.high_water, changes=stop.changes
        )
        yield Link("stop level", None, stop.step, facts)


def _trades(trades: Iterable[TradeRecord]) -> Iterator[Link]:
    for trade in trades:
        closed = {"profit": trade.pnl_net, "reason": trade.exit_reason} if trade.exit_time else {}
        facts = {"trade": trade.id, "side": trade.side, "status": trade.status, "entered": trade.entry_time}
        yield Link("trade", trade.exit_time, None, facts | _given(**closed))


def _given(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def trades_of(fills: Iterable[Fill], trades: Iterable[TradeRecord]) -> dict[str, list[TradeRecord]]:
    """The trades each order opened, changed or closed, by client id; a reversal belongs to two.

    fills, trades: of one run, in their order. A fill that no trade has was booked by nobody.
    """
    waiting: dict[str, list[TradeRecord]] = defaultdict(list)
    for trade in trades:
        waiting[trade.symbol].append(trade)
    held: dict[str, Decimal] = defaultdict(Decimal)
    found: dict[str, list[TradeRecord]] = defaultdict(list)
    for fill in fills:
        before, change = held[fill.symbol], fill.size * fill.side.sign
        after = before + change
        queue, mine = waiting[fill.symbol], found[fill.client_id]
        if is_dust(after, fill.size):
            after = _ZERO
        held[fill.symbol] = after
        if queue and queue[0] not in mine:
            mine.append(queue[0])
        if before and before * after <= 0 and queue:
            queue.pop(0)
            if after and queue:
                mine.append(queue[0])
    return found


def contradictions(chains: Iterable[Chain], events: Iterable[JournalledEvent]) -> list[str]:
    """Orders that do not stand where their events lead, and whose sums are not those of their fills; in words."""
    told: dict[str, list[JournalledEvent]] = defaultdict(list)
    for each in events:
        told[each.event.client_id].append(each)
    found = []
    for chain in chains:
        intent, standing = chain.order.intent, chain.order.standing
        try:
            replayed = _replayed(intent, told[intent.client_id])
        except (IllegalTransition, InconsistentState) as error:
            found.append(error.message)
            continue
        if replayed != standing:
            found.append(
                f"order {intent.client_id} is {standing.status} with {standing.filled:f} filled, "
                f"its events lead to {replayed.status} with {replayed.filled:f}"
            )
    return found


def _replayed(intent: OrderIntent, told: Iterable[JournalledEvent]) -> Standing:
    standing = Standing(intent.size, trigger=intent.price, limit=intent.limit)
    for each in told:
        if each.event.sequence < 0:
            standing = replace(standing, status=each.event.status)
        else:
            standing = advance(standing, each.event)
    return standing
