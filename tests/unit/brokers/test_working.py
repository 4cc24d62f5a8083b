"""Entries worked as limits, over the Binance venue and the in-process exchange, in time that does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.binance_desk import STEPS_BACK
from brokers.simulation.invariants import base_id
from brokers.simulation.market import NATIVE
from brokers.simulation.mortality import Died, Life
from brokers.simulators.binance.errors import WOULD_TAKE, BinanceError
from brokers.simulators.binance.operations import Operation
from brokers.working import Entries, WorkingVenue
from core.errors import ConfigError, OrderRejected, StoreError, TradingError
from core.types import Attempt, OrderEvent, OrderStatus, OrderType, Side
from tests.unit.brokers.in_process import D, InProcess, bracket, intent

Scenario = Callable[[WorkingVenue], Awaitable[None]]
TOUCH = Entries(seconds=5, times=3, bound=D("0.01"))
MAKER = replace(TOUCH, post_only=True)


class Notebook:
    """What outlives a life: the attempts, as a journal has them."""

    def __init__(self) -> None:
        self.kept: list[Attempt] = []
        self.before: Callable[[Attempt], None] = lambda attempt: None

    def record_attempt(self, attempt: Attempt) -> None:
        self.before(attempt)
        self.kept.append(attempt)

    def attempts(self) -> list[Attempt]:
        return list(self.kept)

    def prices(self) -> list[str]:
        return [f"{attempt.price.normalize():f}" for attempt in self.kept]


class Desk:
    """The exchange, and what a bot keeps of its lives."""

    def __init__(self, *script: tuple[str, str]) -> None:
        self.place = InProcess(*script)
        self.notebook = Notebook()

    def venue(self, entries: Entries, life: Life | None = None) -> WorkingVenue:
        venue = self.place.venue(life)
        return WorkingVenue(venue, entries, self.notebook, clock=self.place.clock)

    def run(self, entries: Entries, scenario: Scenario) -> None:
        async def whole() -> None:
            venue = self.venue(entries)
            await venue.connect()
            await scenario(venue)
            await venue.close()

        self.place.run(whole)

    def quote(self, bid: object, ask: object, volume: object = 1000) -> None:
        bid, ask, volume = D(str(bid)), D(str(ask)), D(str(volume))
        self.place.market.simulation.price(NATIVE, bid, bid=bid, ask=ask, volume=volume)

    def orders(self, client_id: str) -> list[Any]:
        orders = self.place.market.exchange.books.state.orders.values()
        return [order for order in orders if base_id(order.client_id) == client_id]

    def filled(self, client_id: str) -> Decimal:
        return sum((order.filled for order in self.orders(client_id)), D(0))


async def told(venue: WorkingVenue, client_id: str) -> list[OrderEvent]:
    return [event for event in await venue.fills(0) if event.client_id == client_id]


async def statuses(venue: WorkingVenue, client_id: str) -> list[str]:
    return [event.status.value for event in await told(venue, client_id)]


def test_a_market_entry_is_a_limit_at_the_other_side() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a"))
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]

    desk.run(TOUCH, scenario)
    (order,) = desk.orders("a")
    assert (order.type, order.limit) == (OrderType.LIMIT, D("100.1"))
    (attempt,) = desk.notebook.kept
    assert (attempt.price, attempt.mid, attempt.number) == (D("100.1"), D(100), 1)


def test_a_post_only_entry_waits_on_its_own_side_and_is_never_a_taker() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a"))
        assert await statuses(venue, "a") == ["submitted", "accepted"]
        desk.quote("99.7", "99.8")
        await asyncio.sleep(1)
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]

    desk.run(MAKER, scenario)
    (order,) = desk.orders("a")
    assert (order.limit, order.post_only) == (D("99.9"), True)
    assert [trade.maker for trade in desk.place.market.exchange.books.state.executions] == [True]


@pytest.mark.parametrize(
    ("entries", "side", "prices"),
    [
        (MAKER, Side.BUY, ["99.9", "100", "100.1"]),
        (MAKER, Side.SELL, ["100.1", "100.2", "100.3"]),
    ],
)
def test_it_follows_the_quote_and_ends_when_its_time_is_over(
    entries: Entries, side: Side, prices: list[str]
) -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a", side=side))
        for step in (1, 2):
            desk.quote(D("99.9") + step * D("0.1"), D("100.1") + step * D("0.1"), 0)
            await asyncio.sleep(5.5)
        assert desk.notebook.prices() == prices
        (resting,) = await venue.open_orders()
        assert resting.limit == D(prices[-1])
        await asyncio.sleep(15)
        assert (await statuses(venue, "a"))[-1] == "cancelled"
        assert await venue.open_orders() == []

    desk.run(entries, scenario)
    assert desk.filled("a") == 0


def test_it_does_not_chase_beyond_its_bound() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a"))
        desk.quote("101.9", "102.1")
        await asyncio.sleep(6)
        assert (await statuses(venue, "a"))[-1] == "cancelled"

    desk.run(MAKER, scenario)
    assert desk.notebook.prices() == ["99.9"]


def test_beyond_its_bound_it_takes_what_there_is_where_that_is_wanted() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1", "0.5")
        await venue.submit(intent("a"))
        assert (await venue.open_orders())[0].filled < 2
        desk.quote("101.9", "102.1")
        await asyncio.sleep(6)
        assert (await statuses(venue, "a"))[-1] == "filled"

    desk.run(replace(TOUCH, then="market"), scenario)
    assert desk.filled("a") == 2
    assert [attempt.crossing for attempt in desk.notebook.kept] == [False, True]


def test_a_part_that_filled_is_carried_over() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1", "0.5")
        await venue.submit(intent("a"))
        desk.quote("100.1", "100.3", 0)
        await asyncio.sleep(5.5)
        desk.quote("100.1", "100.3")
        await asyncio.sleep(1)
        assert (await statuses(venue, "a"))[-1] == "filled"

    desk.run(TOUCH, scenario)
    assert desk.filled("a") == 2
    assert len(desk.orders("a")) == 2
    assert desk.notebook.prices() == ["100.1", "100.3"]


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.STOP])
def test_what_is_no_market_order_goes_as_it_is(kind: OrderType) -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        price = D(90) if kind is OrderType.LIMIT else D(110)
        await venue.submit(intent("a", kind, price=price))

    desk.run(TOUCH, scenario)
    assert desk.notebook.kept == []


def test_what_closes_a_position_stays_a_market_order() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("in"))
        await venue.submit(intent("out", side=Side.SELL, size=D("1.5")))
        await venue.submit(intent("reverse", side=Side.SELL, size=D(3)))

    desk.run(TOUCH, scenario)
    assert {attempt.client_id for attempt in desk.notebook.kept} == {"in"}
    assert [order.type for order in desk.orders("reverse")] == [OrderType.MARKET]


def test_one_that_would_take_is_offered_again_further_back() -> None:
    """The quote it was made of is old by the time it arrives."""
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        desk.notebook.before = lambda attempt: desk.quote("99.5", "99.7")
        await venue.submit(intent("a"))
        (resting,) = await venue.open_orders()
        assert resting.limit == D("99.5")

    desk.run(MAKER, scenario)
    assert all(trade.maker for trade in desk.place.market.exchange.books.state.executions)


def test_one_that_would_always_take_is_refused_after_so_many_times() -> None:
    desk = Desk()
    refuse_crossing(desk, STEPS_BACK + 1)

    async def scenario(venue: WorkingVenue) -> None:
        with pytest.raises(OrderRejected, match="immediately match"):
            await venue.submit(intent("a"))
        assert await venue.order("a") is None

    desk.run(MAKER, scenario)
    assert desk.orders("a") == []


def refuse_crossing(desk: Desk, times: int) -> None:
    """Let the exchange say so often that a post-only order would take."""
    operations, left = desk.place.market.operations, [times]
    carried_out = operations.carry_out

    def carry_out(operation: Operation, *told: Any) -> Any:
        if (operation.method, operation.path) == ("POST", "/api/v3/order") and left[0]:
            left[0] -= 1
            raise BinanceError(-2010, WOULD_TAKE)
        return carried_out(operation, *told)

    operations.carry_out = carry_out  # type: ignore[method-assign]


def test_a_bracket_s_children_follow_what_was_filled() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1", "0.5")
        for order in bracket():
            await venue.submit(order)
        await asyncio.sleep(25)
        assert (await statuses(venue, "entry"))[-1] == "cancelled"
        filled = desk.filled("entry")
        assert 0 < filled < 2
        stops = [o for o in desk.place.market.exchange.books.open.values() if base_id(o.client_id) == "stop"]
        assert [stop.remaining for stop in stops] == [D("0.49950")]

    desk.run(TOUCH, scenario)


def test_no_quote_no_entry() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("100.1", "99.9")
        with pytest.raises(OrderRejected, match="no quote"):
            await venue.submit(intent("a"))

    desk.run(TOUCH, scenario)
    assert desk.orders("a") == []


def test_the_end_of_a_session_cancels_what_it_no_longer_follows() -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a"))
        await venue.submit(intent("held", transmit=False))

    desk.run(MAKER, scenario)
    assert desk.place.statuses("a") == ["submitted", "accepted", "cancelled"]
    assert desk.place.statuses("held") == []


def test_a_price_that_cannot_be_written_down_is_not_sent() -> None:
    desk = Desk()

    def full(attempt: Attempt) -> None:
        raise StoreError("the disk is full")

    async def scenario(venue: WorkingVenue) -> None:
        desk.quote("99.9", "100.1")
        await venue.submit(intent("a"))
        desk.notebook.before = full
        desk.quote("100", "100.2", 0)
        await asyncio.sleep(6)
        (resting,) = await venue.open_orders()
        assert resting.limit == D("99.9")
        await asyncio.sleep(15)
        assert (await statuses(venue, "a"))[-1] == "cancelled"

    desk.run(MAKER, scenario)


def test_post_only_cannot_end_as_a_market_order() -> None:
    with pytest.raises(ConfigError, match="never take"):
        Entries(post_only=True, then="market")


class Watched:
    """Judges the exchange as orders are taken and filled."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.place.market.exchange.books.listen(self._judge)

    def _judge(self, event: Any) -> None:
        ours = [o for o in self._desk.orders("a") if not o.status.terminal]
        assert len(ours) <= 1, "two orders of one signal are open"
        assert self._desk.filled("a") <= 2
        assert self._desk.notebook.kept, "an order was taken that was not written down"


async def live(desk: Desk, entries: Entries, dies_at: int | None) -> bool:
    """One life with one entry; whether it lived to the end."""
    life = desk.place.life(dies_at)
    venue = desk.venue(entries, life)
    try:
        await venue.connect()
        if await venue.order("a") is None and desk.place.statuses("a") == []:
            await venue.submit(intent("a"))
        await asyncio.sleep(40)
        await venue.close()
    except (Died, TradingError):
        assert not life.alive
    return life.alive


@pytest.mark.parametrize("entries", [MAKER, TOUCH, replace(TOUCH, then="market")])
def test_killed_at_every_point_it_goes_on_without_doubling(entries: Entries) -> None:
    points, dies_at = 0, 1
    while True:
        desk = Desk()
        lived: list[bool] = []

        async def whole(desk: Desk = desk, dies_at: int = dies_at, lived: list[bool] = lived) -> None:
            Watched(desk)
            desk.quote("99.9", "100.1", "0.5")
            mover = asyncio.create_task(move(desk))
            others = set(desk.place.loop.tasks)
            lived.append(await asyncio.create_task(live(desk, entries, dies_at)))
            for task in set(desk.place.loop.tasks) - others:
                task.cancel()
            if not lived[0]:
                assert await live(desk, entries, None)
            mover.cancel()

        desk.place.run(whole)
        assert desk.place.resting() == []
        assert desk.place.statuses("a")[-1] in ("filled", "cancelled")
        points, dies_at = points + 1, dies_at + 1
        if lived[0]:
            break
    assert points > 10


async def move(desk: Desk) -> None:
    for step in range(1, 100):
        await asyncio.sleep(4)
        up = min(step, 4) * D("0.1")
        desk.quote(D("99.9") + up, D("100.1") + up, "0.1")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([MAKER, TOUCH, replace(TOUCH, then="market")]),
    st.lists(
        st.tuples(st.integers(-80, 80), st.integers(1, 30), st.sampled_from(["0", "0.3", "5"])),
        min_size=1,
        max_size=12,
    ),
)
def test_all_that_was_sent_for_a_signal_fills_no_more_than_was_asked(
    entries: Entries, path: list[tuple[int, int, str]]
) -> None:
    desk = Desk()

    async def scenario(venue: WorkingVenue) -> None:
        Watched(desk)
        desk.quote("99.9", "100.1", "0.5")
        await venue.submit(intent("a"))
        for move, spread, volume in path:
            bid = 100 + D(move) / 50
            desk.quote(bid, bid + D(spread) / 100, volume)
            await asyncio.sleep(2.5)
        await asyncio.sleep(45)

    desk.run(entries, scenario)
    assert desk.place.statuses("a")[-1] in ("filled", "cancelled")
    first = desk.notebook.kept[0]
    for attempt in desk.notebook.kept:
        if not attempt.crossing:
            assert attempt.price <= first.mid * (1 + entries.bound)
    assert sum(not attempt.crossing for attempt in desk.notebook.kept) <= 1 + entries.times
    assert OrderStatus.FILLED.value not in desk.place.statuses("a") or desk.filled("a") == 2
