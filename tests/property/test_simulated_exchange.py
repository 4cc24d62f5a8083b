"""Money at the simulated exchange: whatever is done, it only moves by what the executions say."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import ReceivedAssetFees
from brokers.simulators.market import flat_tick
from brokers.simulators.orders import STOPS, LinkRule, Listing, Ticket, TimeInForce
from core.errors import OrderRejected
from core.types import OrderType, Side

LISTING = Listing("AB", "A", "B", Decimal("0.01"), Decimal("0.001"))
OPENING = {"A": Decimal(10), "B": Decimal(1_000)}
START = datetime(2024, 1, 1, tzinfo=UTC)

cents = st.integers(5_000, 15_000).map(lambda n: Decimal(n) / 100)
sizes = st.integers(1, 12_000).map(lambda n: Decimal(n) / 1000)
sides = st.sampled_from(list(Side))
single = st.tuples(
    st.just("order"), sides, st.sampled_from([t for t in OrderType if t is not OrderType.CLOSE]), sizes, cents, cents,
    st.sampled_from(list(TimeInForce)), st.booleans(),
)  # fmt: skip
linked = st.tuples(st.just("list"), sides, sizes, cents, cents, st.sampled_from(list(LinkRule)))
ticks = st.tuples(st.just("tick"), cents, st.integers(0, 3), sizes)
cancels = st.tuples(st.just("cancel"), st.integers(1, 30))
amends = st.tuples(st.just("amend"), st.integers(1, 30), sizes, cents)
portions = st.tuples(st.just("portion"), st.sampled_from([Decimal("0.1"), Decimal("0.5")]))
actions = st.lists(st.one_of(single, ticks, linked, cancels, amends, portions, ticks), max_size=25)


class Play:
    """Carries out drawn actions; refusals are part of the play."""

    def __init__(self) -> None:
        self.now = START
        self.exchange = Exchange([LISTING], ReceivedAssetFees(), lambda: self.now)
        self.exchange.open_account("me", OPENING)
        self.portion: list[Decimal] = []
        self.exchange.matching.ask_portion = lambda order: self.portion.pop() if self.portion else None
        self.tick(Decimal(100), 1, Decimal(5))

    def do(self, action: tuple) -> None:  # type: ignore[type-arg]
        name, *given = action
        with suppress(OrderRejected):
            getattr(self, name)(*given)

    def tick(self, price: Decimal, spread: int, volume: Decimal) -> None:
        self.now += timedelta(seconds=1)
        half = spread * LISTING.tick_size
        self.exchange.on_tick(
            flat_tick(self.now, "AB", price, bid=price - half, ask=price + half, volume=volume)
        )

    def order(self, side, kind, size, limit, trigger, in_force, flag) -> None:  # type: ignore[no-untyped-def]
        stop = kind in STOPS
        self.exchange.submit(
            Ticket(
                account="me",
                symbol="AB",
                side=side,
                type=kind,
                size=size,
                limit=limit,
                trigger=trigger if stop else None,
                take_profit=flag and stop,
                post_only=flag and kind is OrderType.LIMIT,
                time_in_force=in_force,
                trail_amount=Decimal(3)
                if kind in (OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT)
                else None,
            )
        )

    def list(self, side, size, limit, trigger, rule) -> None:  # type: ignore[no-untyped-def]
        about = {"account": "me", "symbol": "AB", "side": side, "size": size}
        self.exchange.submit_list(
            [
                Ticket(**about, type=OrderType.LIMIT, limit=limit),
                Ticket(**about, type=OrderType.STOP_LIMIT, trigger=trigger, limit=trigger),
            ],
            rule,
        )

    def cancel(self, key: int) -> None:
        self.exchange.cancel(key)

    def amend(self, key: int, size: Decimal, price: Decimal) -> None:
        self.exchange.amend(key, size=size, limit=price)

    def portion_(self, value: Decimal) -> None:
        self.portion.append(value)


def told_by_executions(play: Play) -> dict[str, Decimal]:
    """What the account must hold, worked out from its executions alone."""
    held = dict(OPENING)
    for execution in play.exchange.books.executions("me"):
        held["A"] += execution.size * execution.side.sign
        held["B"] -= execution.size * execution.price * execution.side.sign
        held[execution.fee_asset] -= execution.fee
    return held


@settings(max_examples=150, deadline=None)
@given(actions)
def test_balances_are_what_the_executions_say_and_never_negative(drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    play = Play()
    for action in drawn:
        if action[0] == "portion":
            play.portion_(action[1])
        else:
            play.do(action)
        books = play.exchange.books
        assert books.account("me").balances == told_by_executions(play)
        for asset, amount in books.account("me").balances.items():
            assert amount >= 0
            assert 0 <= books.locked("me").get(asset, Decimal(0)) <= amount
        for order in books.orders("me"):
            filled = sum((e.size for e in books.executions("me") if e.order_id == order.id), Decimal(0))
            assert order.filled == filled <= order.size
            assert order.open == (order.id in books.open)


@settings(max_examples=50, deadline=None)
@given(actions, actions)
def test_a_snapshot_changes_nothing(before: list[tuple], after: list[tuple]) -> None:  # type: ignore[type-arg]
    kept, restored = Play(), Play()
    for action in before:
        if action[0] != "portion":
            kept.do(action)
    # A tick renews what the market offers: what takers took of it is not part of the state.
    kept.tick(Decimal(100), 1, Decimal(5))
    restored.now = kept.now
    restored.exchange.books.restore(json.loads(json.dumps(kept.exchange.books.snapshot())))
    for action in [("tick", Decimal(101), 1, Decimal(5)), *after]:
        if action[0] != "portion":
            kept.do(action)
            restored.do(action)
    assert restored.exchange.books.state == kept.exchange.books.state
