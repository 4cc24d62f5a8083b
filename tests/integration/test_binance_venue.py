"""The Binance venue through the real ccxt against a simulated exchange that fails in every way it can meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceLink, Priority
from core.errors import OrderRejected, OutcomeUnknown, VenueFatal, VenueTransient
from core.types import OrderIntent, OrderStatus, OrderType, Side
from tests.integration.binance_desk import NATIVE, SYMBOL, intent, limit_buy, statuses, told, venue_on
from tests.simulator import Simulator, simulator

PLACE = "POST /api/v3/order "
D = Decimal
Scenario = Callable[[BinanceVenue], Awaitable[None]]


@pytest.fixture(scope="module")
def process() -> Iterator[Simulator]:
    with simulator(
        "binance", "--cash", "10000", "--symbols", SYMBOL, "--speed", "1", "--market", "hand"
    ) as running:
        yield running


@pytest.fixture
def sim(process: Simulator) -> Simulator:
    """Nothing has happened; the market stands at 100."""
    process.control.reset()
    process.control.price(NATIVE, 100)
    return process


@asynccontextmanager
async def connected(sim: Simulator, state: Path | None = None, **changes: Any) -> AsyncIterator[BinanceVenue]:
    venue = venue_on(sim, state, **changes)
    await venue.connect()
    try:
        yield venue
    finally:
        await venue.close()


def run(sim: Simulator, scenario: Scenario, state: Path | None = None, **changes: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(45), connected(sim, state, **changes) as venue:
            await scenario(venue)

    asyncio.run(whole())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():
        await asyncio.sleep(0.02)


def requests(sim: Simulator, what: str) -> int:
    return sum(entry["what"].startswith(what) for entry in sim.control.state()["requests"])


async def price(sim: Simulator, venue: BinanceVenue, value: object, **fields: object) -> None:
    await asyncio.to_thread(sim.control.price, NATIVE, value, **fields)
    await venue.ping()


# -- unknown outcomes


@pytest.mark.parametrize(
    ("fault", "fields", "taken"),
    [
        ("drop-before-accept", {}, False),
        ("drop-after-accept", {}, True),
        ("fail-after-accept", {"code": -1006}, True),
        ("fail-after-accept", {"code": -1007}, True),
        ("fail-after-accept", {"code": 503}, True),
        ("reject", {"code": 503}, False),
        ("hold-answer", {"seconds": 1.8}, True),
        ("hold", {"seconds": 1.6}, False),
    ],
)
def test_what_became_of_an_order_is_asked_and_it_is_never_sent_twice(
    sim: Simulator, fault: str, fields: dict[str, Any], taken: bool
) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        before = requests(sim, PLACE)
        sim.control.fault(fault, match=PLACE, **fields)
        with pytest.raises(OutcomeUnknown):
            await venue.submit(intent("a"))
        state = await venue.order("a")
        assert (state is not None) is taken
        assert requests(sim, PLACE) == before + 1
        assert len(sim.orders()) == taken
        if taken:
            assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]
        else:
            assert await told(venue, "a") == []
            # It can no longer arrive, so it may be sent again.
            await venue.submit(intent("a"))
            assert len(sim.orders()) == 1

    run(sim, scenario)


def test_an_order_that_arrives_late_is_found_while_it_still_can(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        sim.control.fault("hold", match=PLACE, seconds=0.7)
        with pytest.raises(OutcomeUnknown):
            await venue.submit(intent("a"))
        state = await venue.order("a")
        assert state is not None
        assert state.status is OrderStatus.FILLED
        assert len(sim.orders()) == 1

    run(sim, scenario, timeout_seconds=0.4, recv_window=1_500)


def test_an_order_in_flight_when_we_died_is_found_by_the_next_session(sim: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "log.db"

    async def dying(venue: BinanceVenue) -> None:
        sim.control.fault("drop-after-accept", match=PLACE)
        with pytest.raises(OutcomeUnknown):
            await venue.submit(limit_buy("a", 90))

    async def later(venue: BinanceVenue) -> None:
        (resting,) = await venue.open_orders()
        assert resting.client_id == "a"
        await price(sim, venue, 90)
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]

    run(sim, dying, state)
    run(sim, later, state)
    assert len(sim.orders()) == 1


# -- limits and clocks


def paced(settings: Any, *, open_session: object, **given: Any) -> BinanceVenue:
    """Requests as far apart as they are at the exchange itself: each arrives before the next is sent."""
    return BinanceVenue(settings, **given)


@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("ban", 418)])
def test_nothing_is_asked_under_a_ban_and_cancels_go_first(sim: Simulator, fault: str, status: int) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("resting", 90))
        before = sim.control.state()["calls_under_ban"]
        sim.control.fault(fault, match="order/test", seconds=2)
        link = venue._link
        blocked = asyncio.create_task(link.send("privatePostOrderTest", order_test()))
        await until(lambda: _blocked(link))
        seen = len(sim.control.state()["requests"])
        reading = asyncio.create_task(venue.balances())
        placing = asyncio.create_task(venue.submit(intent("a")))
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(
            link.send("privateDeleteOrder", cancel_of("resting"), Priority.CANCEL)
        )
        started = asyncio.get_running_loop().time()
        await asyncio.gather(blocked, cancelling, reading, placing)
        assert asyncio.get_running_loop().time() - started > 1.0
        # The one call that was told of the ban is the only one made under it.
        assert sim.control.state()["calls_under_ban"] == before + 1
        later = [entry["what"].partition(" ")[0] for entry in sim.control.state()["requests"][seen:]]
        assert later == ["DELETE", "POST", "POST", "GET"]
        await venue.ping()
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]
        assert await statuses(venue, "resting") == ["submitted", "accepted", "cancelled"]

    run(sim, scenario, of=paced)


def order_test() -> dict[str, str]:
    return {"symbol": NATIVE, "side": "BUY", "type": "MARKET", "quantity": "1"}


def cancel_of(client_id: str) -> dict[str, str]:
    return {"symbol": NATIVE, "origClientOrderId": client_id}


async def _blocked(link: BinanceLink) -> bool:
    return link._free_at > 0


def test_a_ban_longer_than_we_wait_is_said(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        sim.control.fault("ban", match="GET /api/v3/account", seconds=3)
        with pytest.raises(VenueTransient, match="wants no requests for another"):
            await venue.balances()
        await asyncio.sleep(3)

    run(sim, scenario, longest_wait=1.0)


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_clock_that_moved_is_set_again_once(sim: Simulator, seconds: int) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        sim.control.fault("clock-skew", seconds=seconds)
        before = requests(sim, PLACE)
        await venue.submit(intent("a"))
        assert requests(sim, PLACE) == before + 2
        assert len(sim.orders()) == 1

    run(sim, scenario)


# -- the user stream


@pytest.mark.parametrize("fault", ["lose", "duplicate", "reorder"])
def test_trades_are_counted_once_however_they_are_told(sim: Simulator, fault: str) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault(fault, match="executionReport TRADE")
        for _ in range(3):
            await price(sim, venue, 90, volume="0.5")
        await price(sim, venue, 90)
        fills = [event.fill for event in await told(venue, "a") if event.fill]
        assert [fill.size for fill in fills] == [D("0.4995")] * 4
        assert len({fill.fill_id for fill in fills}) == 4
        assert (await statuses(venue, "a"))[-4:] == ["partial", "partial", "partial", "filled"]
        assert (await venue.positions())[SYMBOL].size == D("1.998")

    run(sim, scenario)


def test_an_end_that_was_never_told_is_found(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault("mute", seconds=0.5)
        await price(sim, venue, 90)
        state = await venue.order("a")
        assert state is not None
        assert state.status is OrderStatus.FILLED

    run(sim, scenario)


@pytest.mark.parametrize("fault", ["disconnect", "half-open", "restart"])
def test_what_happened_while_the_stream_was_down_is_read(sim: Simulator, fault: str) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        await venue.submit(limit_buy("b", 80))
        sim.control.fault(fault, **({"seconds": 0.5} if fault == "restart" else {}))
        await asyncio.to_thread(sim.control.price, NATIVE, 90)

        async def filled() -> bool:
            return "filled" in await statuses(venue, "a")

        await until(filled)
        await until(lambda: _subscribed(sim))
        await price(sim, venue, 80)
        assert await statuses(venue, "b") == ["submitted", "accepted", "filled"]
        assert (await venue.positions())[SYMBOL].size == D("3.996")

    run(sim, scenario, ping_seconds=0.3)


async def _subscribed(sim: Simulator) -> bool:
    return bool(sim.control.state()["subscriptions"])


def test_a_stream_that_is_refused_is_opened_when_it_can_be(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        sim.control.fault("refuse", match="ws-api", times=2)
        sim.control.fault("disconnect", match="ws-api")
        await until(lambda: _struck(sim, "refuse", 2))
        await until(lambda: _subscribed(sim))
        await venue.submit(intent("a"))
        await venue.ping()
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]

    run(sim, scenario)


async def _struck(sim: Simulator, fault: str, times: int) -> bool:
    return sim.control.state()["struck"].count(fault) >= times


# -- cancels and fills


def test_a_partial_fill_then_a_cancel_leaves_what_was_filled(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault("lose", match="executionReport TRADE")
        await price(sim, venue, 90, volume="0.5")
        assert await venue.cancel("a") is True
        assert await statuses(venue, "a") == ["submitted", "accepted", "partial", "cancelled"]
        assert (await venue.positions())[SYMBOL].size == D("0.4995")

    run(sim, scenario)


def test_a_cancel_that_comes_too_late_finds_the_fill(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault("mute", seconds=5)
        await asyncio.to_thread(sim.control.price, NATIVE, 90)
        assert await venue.cancel("a") is False
        assert await statuses(venue, "a") == ["submitted", "accepted", "filled"]

    run(sim, scenario)


@pytest.mark.parametrize("fault", ["drop-before-accept", "drop-after-accept"])
def test_a_cancel_whose_answer_was_lost_is_asked_again(sim: Simulator, fault: str) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault(fault, match="DELETE /api/v3/order")
        assert await venue.cancel("a") is True
        assert (await statuses(venue, "a"))[-1] == "cancelled"
        assert [order["status"] for order in sim.orders()] == ["cancelled"]

    run(sim, scenario)


@pytest.mark.parametrize("fault", ["drop-before-accept", "drop-after-accept"])
def test_a_change_whose_answer_was_lost_leaves_one_order(sim: Simulator, fault: str) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        sim.control.fault(fault, match="cancelReplace")
        changed = await venue.amend("a", price=D(95))
        assert changed is (fault == "drop-after-accept")
        open_now = [order for order in sim.orders() if order["status"] == "accepted"]
        assert [D(order["limit"]) for order in open_now] == [D(95) if changed else D(90)]
        await price(sim, venue, 90)
        assert (await statuses(venue, "a"))[-1] == "filled"
        assert (await venue.positions())[SYMBOL].size == D("1.998")

    run(sim, scenario)


def test_a_change_of_a_part_filled_order_trades_no_more_than_asked(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", 90))
        await price(sim, venue, 90, volume="0.5")
        assert await venue.amend("a", price=D(95)) is True
        await price(sim, venue, 95)
        assert (await statuses(venue, "a"))[-1] == "filled"
        assert (await venue.positions())[SYMBOL].size == D("1.998")

    run(sim, scenario)


# -- refusals


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        (intent("a", size=D("0.000001")), "lot_size"),
        (intent("a", size=D("0.04")), "min_notional"),
        (intent("a", OrderType.CLOSE), "type"),
        (intent("a", OrderType.LIMIT), "price"),
        (intent("a", parent="nobody"), "parent"),
        (limit_buy("a", 1_000), "venue"),
        (intent("a", OrderType.STOP_TRAIL, Side.SELL, trail_percent=D("0.5")), "venue"),
    ],
)  # fmt: skip
def test_what_is_refused_is_forgotten(sim: Simulator, order: OrderIntent, rule: str) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        with pytest.raises(OrderRejected) as refused:
            await venue.submit(order)
        assert refused.value.rule == rule
        assert await venue.order("a") is None
        assert venue.sequence == 0

    run(sim, scenario)


def test_prices_and_sizes_go_to_the_grid(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("a", "90.019", size=D("1.000019")))
        await venue.submit(intent("s", OrderType.STOP, price=D("110.006")))
        first, second = sim.orders()
        assert (D(first["limit"]), D(first["size"])) == (D("90.01"), D("1.00001"))
        assert D(second["trigger"]) == D("110.01")

    run(sim, scenario)


# -- protective orders


def test_a_stop_rests_at_the_venue_and_triggers_without_us(sim: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "log.db"

    async def first(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))
        await venue.submit(intent("stop", OrderType.STOP, Side.SELL, price=D(95)))

    async def later(venue: BinanceVenue) -> None:
        assert await statuses(venue, "stop") == ["submitted", "accepted", "filled"]
        assert await venue.positions() == {}

    run(sim, first, state)
    sim.control.price(NATIVE, 94)
    run(sim, later, state)


def test_a_stop_the_market_has_reached_works_at_once(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))
        await venue.submit(intent("stop", OrderType.STOP, Side.SELL, price=D(105)))
        assert await statuses(venue, "stop") == ["submitted", "accepted", "filled"]

    run(sim, scenario)


@pytest.mark.parametrize("distance", [{"trail_percent": D("0.05")}, {"trail_amount": D(5)}])
def test_a_trailing_stop_is_binances_own(sim: Simulator, distance: dict[str, Decimal]) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))
        await venue.submit(intent("trail", OrderType.STOP_TRAIL, Side.SELL, price=D(100), **distance))
        await price(sim, venue, 120)
        await price(sim, venue, 114)
        assert (await statuses(venue, "trail"))[-1] == "filled"
        assert (await told(venue, "trail"))[-1].fill.price == D(114)  # type: ignore[union-attr]

    run(sim, scenario)


async def bracket(venue: BinanceVenue, entry: OrderIntent) -> None:
    await venue.submit(entry)
    await venue.submit(intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry", transmit=False))
    await venue.submit(intent("target", OrderType.LIMIT, Side.SELL, price=D(120), parent="entry"))


def working(sim: Simulator) -> dict[str, Decimal]:
    """What rests at the exchange, and how much of it is left."""
    live = ("accepted", "partial")
    return {o["client_id"]: D(o["size"]) - D(o["filled"]) for o in sim.orders() if o["status"] in live}


def test_a_bracket_is_held_until_whole_and_protects_what_filled(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(limit_buy("entry", 90, transmit=False))
        assert sim.orders() == []
        await venue.submit(
            intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry", transmit=False)
        )
        await venue.submit(intent("target", OrderType.LIMIT, Side.SELL, price=D(120), parent="entry"))
        assert working(sim) == {"entry": D(2)}
        await price(sim, venue, 90)
        assert working(sim) == {"target": D("1.998"), "stop": D("1.998")}
        await price(sim, venue, 120)
        assert await statuses(venue, "target") == ["submitted", "accepted", "filled"]
        assert await statuses(venue, "stop") == ["submitted", "accepted", "expired"]
        assert await venue.positions() == {}

    run(sim, scenario)


def test_the_children_follow_a_parent_that_fills_in_parts(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await bracket(venue, limit_buy("entry", 90, transmit=False))
        await price(sim, venue, 90, volume="0.5")
        assert list(working(sim).values()) == [D("1.5"), D("0.49950"), D("0.49950")]
        await price(sim, venue, 90, volume="1")
        assert sorted(working(sim).values()) == [D("0.5"), D("1.4985"), D("1.4985")]
        await venue.cancel("entry")
        await price(sim, venue, 79)
        assert (await statuses(venue, "stop"))[-1] == "filled"
        assert await venue.positions() == {}

    run(sim, scenario)


def test_a_parent_that_filled_while_we_were_away_is_protected_when_we_return(
    sim: Simulator, tmp_path: Path
) -> None:
    state = tmp_path / "log.db"

    async def first(venue: BinanceVenue) -> None:
        await bracket(venue, limit_buy("entry", 90, transmit=False))

    async def later(venue: BinanceVenue) -> None:
        assert working(sim) == {"target": D("1.998"), "stop": D("1.998")}
        assert {order.client_id for order in await venue.open_orders()} == {"stop", "target"}

    run(sim, first, state)
    sim.control.price(NATIVE, 90)
    run(sim, later, state)


def test_the_children_of_a_parent_that_ends_empty_end_with_it(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await bracket(venue, limit_buy("entry", 90, transmit=False))
        await venue.cancel("entry")
        assert (await statuses(venue, "stop"))[-1] == (await statuses(venue, "target"))[-1] == "cancelled"
        assert working(sim) == {}

    run(sim, scenario)


def test_a_bracket_the_market_has_run_past_keeps_its_stop(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(intent("entry", transmit=False))
        await venue.submit(
            intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry", transmit=False)
        )
        await venue.submit(intent("target", OrderType.LIMIT, Side.SELL, price=D(99), parent="entry"))
        await venue.ping()
        assert working(sim) == {"stop": D("1.998")}
        assert (await statuses(venue, "target"))[-1] == "cancelled"

    run(sim, scenario)


def test_a_second_order_of_a_pair_joins_the_first(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))
        await venue.submit(intent("target", OrderType.LIMIT, Side.SELL, price=D(120)))
        await venue.submit(intent("stop", OrderType.STOP, Side.SELL, price=D(80), oco="target"))
        assert sorted(working(sim).values()) == [D("1.998"), D("1.998")]
        await price(sim, venue, 79)
        assert (await statuses(venue, "stop"))[-1] == "filled"
        assert (await statuses(venue, "target"))[-1] == "expired"

    run(sim, scenario)


def test_an_order_expires_at_its_time(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=0.5)
        await venue.submit(limit_buy("a", 90, expires_at=soon))

        async def expired() -> bool:
            return (await statuses(venue, "a"))[-1] == "expired"

        await until(expired)
        assert working(sim) == {}

    run(sim, scenario)


# -- others on the account


def test_a_trade_by_hand_is_flagged_and_not_adopted(sim: Simulator) -> None:
    async def scenario(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))
        await asyncio.to_thread(sim.control.trade, sim.account, NATIVE, Side.SELL, "0.5")
        await venue.ping()
        (found,) = venue.external
        assert (found.symbol, found.side, found.size) == (SYMBOL, Side.SELL, D("0.5"))
        assert (await venue.positions())[SYMBOL].size == D("1.998")
        assert {event.client_id for event in await venue.fills(0)} == {"a"}

    run(sim, scenario)


def test_a_trade_by_hand_while_we_were_away_is_flagged(sim: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "log.db"

    async def first(venue: BinanceVenue) -> None:
        await venue.submit(intent("a"))

    async def later(venue: BinanceVenue) -> None:
        assert [found.size for found in venue.external] == [D("0.5")]

    run(sim, first, state)
    sim.control.trade(sim.account, NATIVE, Side.SELL, "0.5")
    run(sim, later, state)


def test_two_bots_on_one_account_do_not_hear_each_other(sim: Simulator) -> None:
    async def scenario(one: BinanceVenue) -> None:
        async with connected(sim) as other:
            await one.submit(intent("one"))
            await other.submit(intent("other", size=D(3)))
            await one.ping()
            await other.ping()
            assert {event.client_id for event in await one.fills(0)} == {"one"}
            assert {event.client_id for event in await other.fills(0)} == {"other"}
            assert (await one.positions())[SYMBOL].size == D("1.998")
            assert (await other.positions())[SYMBOL].size == D("2.997")

    run(sim, scenario)


# -- at the start


def test_a_venue_that_is_down_says_what_to_do(sim: Simulator) -> None:
    async def scenario() -> None:
        venue = venue_on(sim, rest="http://127.0.0.1:9/api/v3")
        with pytest.raises(VenueTransient, match=r"does not answer.*network"):
            await venue.connect()

    asyncio.run(scenario())


def test_a_wrong_key_and_an_unknown_symbol_are_fatal(sim: Simulator) -> None:
    async def scenario() -> None:
        with pytest.raises(VenueFatal, match="refuses the key"):
            await venue_on(sim, key="nobody").connect()
        where = BinanceVenue(venue_on(sim)._link.settings, symbols=["NO/PE"])
        with pytest.raises(VenueFatal, match=r"does not trade 'NO/PE'"):
            await where.connect()

    asyncio.run(scenario())
