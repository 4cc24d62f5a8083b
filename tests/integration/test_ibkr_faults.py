"""What can go wrong between us and IBKR, on a simulated gateway in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.errors import OrderRejected, OutcomeUnknown, VenueFatal, VenueTransient
from core.types import EventKind, OrderEvent, OrderIntent, OrderState, OrderStatus, OrderType, Side
from tests.simulator import ROOT, Simulator, simulator

SYMBOLS = [f"S{number:02}" for number in range(80)]
BAR = datetime(2024, 1, 2, tzinfo=UTC)
SECONDS = 20
SETTINGS = IBKRSettings(answer=1.5, heartbeat=0.3, patience=15, overdue=0.2, reconnect_first=0.05)
D = Decimal
S = OrderStatus
_clients = itertools.count(100)
_symbols = iter(SYMBOLS)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator("tws", "--symbols", ",".join(SYMBOLS), "--cash", "1000000") as running:
        yield running


@dataclass
class Desk:
    """One venue, and a symbol that nobody else trades."""

    venue: IBKRVenue
    gateway: Simulator
    symbol: str
    settings: IBKRSettings
    state: Path

    def price(self, price: float, **fields: object) -> None:
        self.gateway.control.price(self.symbol, price, **fields)

    def fault(self, name: str, **fields: object) -> None:
        self.gateway.control.fault(name, **fields)

    def ref(self, client_id: str) -> str:
        """An id that no other test on this account uses, as a bot's own ids are."""
        return f"{self.symbol}-{client_id}"

    def intent(self, client_id: str, **changes: Any) -> OrderIntent:
        for link in ("parent", "oco"):
            if link in changes:
                changes[link] = self.ref(changes[link])
        given = OrderIntent(
            self.ref(client_id), self.symbol, Side.BUY, OrderType.MARKET, D(10), D(100), BAR, 0
        )
        return replace(given, **changes)

    def limit(self, client_id: str, price: float, **changes: Any) -> OrderIntent:
        return self.intent(client_id, type=OrderType.LIMIT, price=D(str(price)), **changes)

    def at_the_exchange(self) -> list[dict[str, Any]]:
        return [order for order in self.gateway.orders() if order["symbol"] == self.symbol]

    def told(self, client_id: str) -> list[OrderEvent]:
        return [event for event in self.venue._log.events if event.client_id == self.ref(client_id)]

    def statuses(self, client_id: str) -> list[OrderStatus]:
        return [event.status for event in self.told(client_id) if event.kind is EventKind.STATUS]

    def fills(self, client_id: str) -> list[tuple[Decimal, Decimal]]:
        fills = [event.fill for event in self.told(client_id) if event.fill is not None]
        assert len({fill.fill_id for fill in fills}) == len(fills)
        return [(fill.size, fill.price) for fill in fills]

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not done():
                self.venue._reports.wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.venue._reports.wake.wait(), 0.5)

    async def ask(self, client_id: str) -> OrderState | None:
        """Ask for an order until somebody answers, as the executor does."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await self.order(client_id)
                except VenueTransient:
                    await asyncio.sleep(0.05)

    async def order(self, client_id: str) -> OrderState | None:
        return await self.venue.order(self.ref(client_id))

    async def cancel(self, client_id: str) -> bool:
        return await self.venue.cancel(self.ref(client_id))

    async def amend(self, client_id: str, **changes: Decimal) -> bool:
        return await self.venue.amend(self.ref(client_id), **changes)

    async def reconnected(self, breaking: Callable[[], None]) -> None:
        """Break the connection, and wait for the next."""
        link = self.venue._link
        former = link.session
        breaking()
        await self.until(lambda: link.ready and link.session is not former)

    async def again(self) -> None:
        """A later session on what the first has kept."""
        await self.venue.close()
        self.venue = new_venue(self.settings, self.symbol, self.state)
        await self.venue.connect()


def new_venue(settings: IBKRSettings, symbol: str, state: Path) -> IBKRVenue:
    return IBKRVenue(settings, symbols=[symbol], state=state)


@asynccontextmanager
async def desk(gateway: Simulator, folder: Path, name: str = "ours") -> AsyncIterator[Desk]:
    symbol = next(_symbols)
    settings = replace(SETTINGS, host=gateway.host, port=gateway.port, client_id=next(_clients))
    gateway.control.price(symbol, 100)
    state = folder / f"{name}.db"
    ours = Desk(new_venue(settings, symbol, state), gateway, symbol, settings, state)
    await ours.venue.connect()
    try:
        yield ours
        events = ours.venue._log.events
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    finally:
        await ours.venue.close()
        gateway.control.clear()


Run = Callable[[Callable[[Desk], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(gateway: Simulator, tmp_path: Path) -> Run:
    def inside(scenario: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
        async def session() -> None:
            async with desk(gateway, tmp_path) as ours:
                await scenario(ours)

        asyncio.run(session())

    return inside


# -- around the accept


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ("drop-before-accept", False),
        ("rate-limit", False),
        ("drop-after-accept", True),
        ("hold-answer", True),
        ("hold", True),
    ],
)
def test_an_order_nobody_answered_is_asked_for_and_never_sent_twice(
    run: Run, fault: str, taken: bool
) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault(fault, match="placeOrder", seconds=2.5 if fault.startswith("hold") else 0)
        with pytest.raises(OutcomeUnknown):
            await ours.venue.submit(ours.limit("a", 90))
        state = await ours.ask("a")
        assert (state is not None) == taken
        assert len(ours.at_the_exchange()) == taken
        await ours.venue.submit(ours.limit("a", 90))
        assert len(ours.at_the_exchange()) == 1
        ours.price(89)
        await ours.until(lambda: S.FILLED in ours.statuses("a"))
        assert ours.statuses("a") == [S.SUBMITTED, S.ACCEPTED, S.FILLED]
        assert ours.fills("a") == [(D(10), D(90))]

    run(scenario)


@pytest.mark.parametrize("point", ["before-send", "after-send", "after-ack"])
def test_a_session_that_dies_leaves_one_order_or_none(gateway: Simulator, tmp_path: Path, point: str) -> None:
    symbol, client, state = next(_symbols), next(_clients), tmp_path / "dead.db"
    gateway.control.price(symbol, 100)
    command = [sys.executable, str(Path(__file__).with_name("ibkr_session.py"))]
    arguments = [str(gateway.port), str(client), str(state), symbol, point]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    died = subprocess.run([*command, *arguments], env=environment, timeout=60, check=False)
    assert died.returncode == 9

    async def later() -> None:
        settings = replace(SETTINGS, host=gateway.host, port=gateway.port, client_id=client)
        ours = Desk(new_venue(settings, symbol, state), gateway, symbol, settings, state)
        await ours.venue.connect()
        assert (await ours.order("kept") is None) == (point == "before-send")
        await ours.venue.submit(ours.limit("kept", 90, size=D(2)))
        assert len(ours.at_the_exchange()) == 1
        assert await ours.cancel("kept") is True
        assert ours.statuses("kept") == [S.SUBMITTED, S.ACCEPTED, S.CANCELLED]
        await ours.venue.close()

    asyncio.run(later())


def test_an_order_given_up_that_comes_to_light_is_cancelled(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault("drop-before-accept", match="placeOrder")
        with pytest.raises(OutcomeUnknown):
            await ours.venue.submit(ours.limit("a", 90))
        assert await ours.ask("a") is None
        session = await ours.venue._link.usable()
        late = ours.venue._link.library.LimitOrder("BUY", 10, 90, orderRef=ours.ref("a"))
        session.client.placeOrder(
            session.client.getReqId(), (await ours.venue._market.listed(ours.symbol)).contract, late
        )
        await ours.until(lambda: [o["status"] for o in ours.at_the_exchange()] == ["cancelled"])
        assert ours.told("a") == []

    run(scenario)


# -- connections


def test_what_happened_while_the_connection_was_gone_is_told_once(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.price(100, volume=4)
        await ours.venue.submit(ours.limit("a", 100))
        await ours.venue.submit(ours.limit("b", 80))
        await ours.until(lambda: ours.fills("a"))
        ours.fault("refuse", seconds=0.5)
        ours.fault("disconnect")
        ours.price(100, volume=4)
        ours.price(79, volume=50)
        await ours.until(lambda: S.FILLED in ours.statuses("a") and S.FILLED in ours.statuses("b"))
        assert ours.fills("a") == [(D(4), D(100)), (D(4), D(100)), (D(2), D(100))]
        assert ours.statuses("a") == [S.SUBMITTED, S.ACCEPTED, S.PARTIAL, S.PARTIAL, S.FILLED]
        assert ours.fills("b") == [(D(10), D(80))]

    run(scenario)


def test_what_was_missed_is_told_by_fills_and_not_handed_over_again(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        known = ours.venue.sequence
        await ours.venue.close()
        ours.price(89)
        ours.venue = new_venue(ours.settings, ours.symbol, ours.state)
        await ours.venue.connect()
        (missed,) = await ours.venue.fills(known)
        assert missed.status is S.FILLED
        await ours.venue.submit(ours.limit("b", 80))
        handed = [await anext(events) for events in [ours.venue.events()]]
        assert handed[0].client_id == ours.ref("b")
        assert handed[0].sequence == missed.sequence + 1

    run(scenario)


def test_a_restart_and_ids_that_roll_back_mix_up_no_orders(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.intent("first"))
        await ours.until(lambda: S.FILLED in ours.statuses("first"))
        ours.fault("id-rollback")
        await ours.reconnected(lambda: ours.gateway.control.restart(0.3))
        await ours.venue.submit(ours.intent("second", size=D(3)))
        await ours.until(lambda: S.FILLED in ours.statuses("second"))
        first, second = ours.at_the_exchange()
        assert first["tags"]["orderId"] >= second["tags"]["orderId"]
        assert (ours.fills("first"), ours.fills("second")) == ([(D(10), D(100))], [(D(3), D(100))])

    run(scenario)


def test_the_same_id_handed_out_again_is_another_order(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.intent("first"))
        await ours.until(lambda: S.FILLED in ours.statuses("first"))
        used = int(ours.at_the_exchange()[0]["tags"]["orderId"])
        ours.fault("id-rollback")
        await ours.reconnected(lambda: ours.fault("disconnect"))
        session = ours.venue._link.session
        session.client._reqIdSeq = used
        await ours.venue.submit(ours.limit("second", 90))
        assert [o["tags"]["orderId"] for o in ours.at_the_exchange()] == [str(used)] * 2
        assert await ours.cancel("second") is True
        assert ours.statuses("first")[-1] is S.FILLED
        assert ours.statuses("second") == [S.SUBMITTED, S.ACCEPTED, S.CANCELLED]

    run(scenario)


def test_a_half_open_socket_is_noticed_and_replaced(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        ours.fault("half-open")
        ours.price(89)
        await ours.until(lambda: S.FILLED in ours.statuses("a"))
        await ours.venue.submit(ours.intent("b"))
        await ours.until(lambda: S.FILLED in ours.statuses("b"))

    run(scenario)


@pytest.mark.parametrize("restored", [1101, 1102])
def test_lost_connectivity_blocks_quotes_and_loses_no_fill(run: Run, restored: int) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        quote = await ours.venue.quote(ours.symbol)
        assert quote is not None
        ours.fault("message", code=1100)
        await ours.venue.ping()
        assert await ours.venue.quote(ours.symbol) is None
        ours.price(89)
        ours.fault("message", code=restored)
        await ours.until(lambda: S.FILLED in ours.statuses("a"))
        ours.price(88)
        await ours.venue.ping()
        later = await ours.venue.quote(ours.symbol)
        assert later is not None
        assert (later.bid, later.ask) == (D(88), D(88))
        assert ours.fills("a") == [(D(10), D(90))]

    run(scenario)


def test_a_client_id_in_use_is_said_with_the_way_out(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        second = IBKRVenue(replace(ours.settings, patience=0.3))
        with pytest.raises(VenueFatal, match=r"client id \d+ is in use.*client id of its own"):
            await second.connect()

    run(scenario)


def test_a_client_id_that_a_dead_session_holds_is_waited_for(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault("hold", match="reqCurrentTime", seconds=1.0)
        await asyncio.sleep(0.6)
        await ours.again()
        await ours.venue.submit(ours.intent("a"))

    run(scenario)


def test_no_gateway_at_the_start_is_said_with_the_way_out() -> None:
    async def scenario() -> None:
        venue = IBKRVenue(replace(SETTINGS, port=1))
        with pytest.raises(VenueFatal, match=r"no TWS or IB Gateway answers.*enable its API"):
            await venue.connect()
        with pytest.raises(VenueTransient):
            await venue.submit(OrderIntent("a", "S00", Side.BUY, OrderType.MARKET, D(1), D(1), BAR, 0))

    asyncio.run(scenario())


# -- refusals


@pytest.mark.parametrize(
    ("code", "status"), [(110, S.REJECTED), (201, S.REJECTED), (103, S.REJECTED), (10999, S.REJECTED)]
)
def test_a_refusal_ends_the_order_and_is_told(run: Run, code: int, status: OrderStatus) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault("reject", match="placeOrder", code=code, text="no reason")
        await ours.venue.submit(ours.limit("a", 90))
        assert ours.statuses("a") == [S.SUBMITTED, status]
        assert ours.told("a")[-1].reason == f"{code}: no reason"
        await ours.venue.submit(ours.limit("b", 90))
        assert ours.statuses("b") == [S.SUBMITTED, S.ACCEPTED]

    run(scenario)


def test_a_notice_on_an_order_that_is_taken_is_no_refusal(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault("fail-after-accept", match="placeOrder", code=10999, text="noted")
        await ours.venue.submit(ours.limit("a", 90))
        assert ours.statuses("a") == [S.SUBMITTED, S.ACCEPTED]

    run(scenario)


def test_prices_are_put_on_the_tick_beforehand_and_odd_lots_refused(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90.009))
        await ours.venue.submit(ours.limit("b", 110.001, side=Side.SELL))
        await ours.venue.submit(ours.intent("c", type=OrderType.STOP, price=D("110.006")))
        limits = [D(order["limit"] or order["trigger"]) for order in ours.at_the_exchange()]
        assert limits == [D("90.00"), D("110.01"), D("110.01")]
        with pytest.raises(OrderRejected, match="whole number of lots"):
            await ours.venue.submit(ours.intent("d", size=D("1.5")))
        with pytest.raises(OrderRejected, match="knows no"):
            await ours.venue.submit(ours.intent("e", symbol="NOWHERE"))

    run(scenario)


def test_a_change_that_is_refused_leaves_the_order_as_it_was(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        ours.fault("reject", match="placeOrder", code=201, text="not now")
        with pytest.raises(OrderRejected, match="not now"):
            await ours.amend("a", price=D(91))
        (resting,) = await ours.venue.open_orders()
        assert (resting.limit, resting.status) == (D(90), S.ACCEPTED)
        assert await ours.amend("a", price=D("91.004"), size=D(12)) is True
        assert await ours.amend("a", price=D("91.004"), size=D(12)) is True
        (resting,) = await ours.venue.open_orders()
        assert (resting.limit, resting.size) == (D("91.00"), D(12))

    run(scenario)


# -- messages lost, doubled, out of order


@pytest.mark.parametrize("fault", ["lose", "duplicate", "reorder"])
@pytest.mark.parametrize("message", ["execDetails", "commissionReport", "orderStatus", "openOrder"])
def test_each_fill_counts_once_whatever_becomes_of_its_messages(run: Run, fault: str, message: str) -> None:
    async def scenario(ours: Desk) -> None:
        ours.price(100, volume=4)
        ours.fault(fault, match=message, times=2)
        await ours.venue.submit(ours.limit("a", 100))
        ours.fault(fault, match=message, after=1)
        ours.price(100, volume=20)
        await ours.until(lambda: S.FILLED in ours.statuses("a"))
        await ours.venue.ping()
        assert sum(size for size, _ in ours.fills("a")) == 10
        assert ours.statuses("a")[:2] == [S.SUBMITTED, S.ACCEPTED]
        assert ours.statuses("a").count(S.FILLED) == 1
        paid = sum(event.fill.commission for event in ours.told("a") if event.fill is not None)
        assert paid == D(1)

    run(scenario)


def test_a_silent_gateway_is_asked_again(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.fault("mute", seconds=1.0)
        with suppress(OutcomeUnknown):
            await ours.venue.submit(ours.limit("a", 90))
        assert await ours.ask("a") is not None
        assert len(ours.at_the_exchange()) == 1

    run(scenario)


@pytest.mark.parametrize("message", ["orderStatus", "error"])
def test_a_cancel_is_confirmed_though_a_message_is_lost(run: Run, message: str) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        ours.fault("lose", match=message)
        assert await ours.cancel("a") is True
        assert ours.statuses("a") == [S.SUBMITTED, S.ACCEPTED, S.CANCELLED]

    run(scenario)


def test_a_cancel_that_comes_too_late_says_so(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        ours.fault("hold", match="cancelOrder", seconds=0.5)
        cancelling = asyncio.create_task(ours.cancel("a"))
        await asyncio.sleep(0.1)
        ours.price(89)
        assert await cancelling is False
        assert ours.statuses("a")[-1] is S.FILLED
        assert ours.fills("a") == [(D(10), D(90))]

    run(scenario)


def test_a_cancel_is_asked_for_again_on_the_next_connection(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("a", 90))
        ours.fault("drop-before-accept", match="cancelOrder")
        assert await ours.cancel("a") is True
        assert [order["status"] for order in ours.at_the_exchange()] == ["cancelled"]

    run(scenario)


def test_a_part_that_filled_counts_when_the_rest_is_cancelled(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.price(100, volume=4)
        await ours.venue.submit(ours.limit("a", 100))
        assert await ours.cancel("a") is True
        assert ours.fills("a") == [(D(4), D(100))]
        assert ours.statuses("a") == [S.SUBMITTED, S.ACCEPTED, S.PARTIAL, S.CANCELLED]
        held = await ours.venue.positions()
        assert held[ours.symbol].size == D(4)

    run(scenario)


# -- brackets, groups, trails


def bracket(ours: Desk) -> tuple[OrderIntent, OrderIntent, OrderIntent]:
    entry = ours.limit("entry", 99, transmit=False)
    target = ours.limit("target", 110, side=Side.SELL, parent="entry", transmit=False)
    stop = ours.intent("stop", side=Side.SELL, type=OrderType.STOP, price=D(95), parent="entry")
    return entry, target, stop


def test_a_bracket_rests_at_the_venue_and_ends_itself(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        for leg in bracket(ours):
            await ours.venue.submit(leg)
        states = await ours.venue.open_orders()
        assert [(state.client_id, state.status) for state in states] == [
            (ours.ref(name), S.ACCEPTED) for name in ("entry", "target", "stop")
        ]
        ours.price(98)
        ours.price(94)
        await ours.until(lambda: S.CANCELLED in ours.statuses("target"))
        assert ours.fills("stop") == [(D(10), D(94))]
        assert await ours.venue.open_orders() == []
        assert ours.symbol not in await ours.venue.positions()

    run(scenario)


def test_a_bracket_begun_in_one_session_is_sent_whole_in_the_next(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        entry, target, stop = bracket(ours)
        await ours.venue.submit(entry)
        await ours.venue.submit(target)
        await ours.again()
        assert ours.at_the_exchange() == []
        await ours.venue.submit(stop)
        assert [order["client_id"] for order in ours.at_the_exchange()] == [
            ours.ref(name) for name in ("entry", "target", "stop")
        ]
        assert [order["parent"] is None for order in ours.at_the_exchange()] == [True, False, False]

    run(scenario)


def test_a_bracket_that_was_lost_on_its_way_is_sent_whole_or_not_at_all(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        entry, target, stop = bracket(ours)
        await ours.venue.submit(entry)
        await ours.venue.submit(target)
        ours.fault("drop-before-accept", match="placeOrder")
        with pytest.raises(OutcomeUnknown):
            await ours.venue.submit(stop)
        assert await ours.ask("stop") is None
        assert ours.at_the_exchange() == []
        await ours.venue.submit(stop)
        assert [order["client_id"] for order in ours.at_the_exchange()] == [
            ours.ref(name) for name in ("entry", "target", "stop")
        ]
        assert [order["parent"] is None for order in ours.at_the_exchange()] == [True, False, False]

    run(scenario)


def test_an_exit_never_leaves_without_its_entry(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        entry, target, stop = bracket(ours)
        ours.fault("reject", match="placeOrder", code=201, text="Order rejected")
        for leg in (entry, target, stop):
            await ours.venue.submit(leg)
        await ours.until(lambda: S.REJECTED in ours.statuses("entry"))
        late = replace(stop, client_id=ours.ref("late"))
        with pytest.raises(OrderRejected, match="entry of its bracket has ended"):
            await ours.venue.submit(late)
        assert [o for o in ours.at_the_exchange() if o["status"] == "open"] == []

    run(scenario)


def test_the_exits_of_an_entry_that_filled_in_part_are_no_larger(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.price(100, volume=4)
        for leg in bracket(ours):
            await ours.venue.submit(leg)
        ours.price(99, volume=4)
        await ours.until(lambda: ours.fills("entry"))
        assert await ours.cancel("entry") is True
        await ours.venue.ping()
        sizes = {state.client_id: state.size for state in await ours.venue.open_orders()}
        assert sizes == {ours.ref("target"): D(4), ours.ref("stop"): D(4)}
        # A gateway that leaves an exit too large is corrected.
        stop = ours.venue._log.orders[ours.ref("stop")]
        listed = await ours.venue._listed_again(stop)
        ours.venue._send(
            ours.venue._link.session, replace(stop, size=D(10)), listed, stop.order_id, transmit=True
        )
        await ours.until(lambda: stop.size == D(10))
        await ours.until(lambda: stop.size == D(4))
        assert [D(o["size"]) for o in ours.at_the_exchange() if o["type"] == "stop"] == [D(4)]

    run(scenario)


def test_one_cancels_the_other(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.limit("low", 95))
        await ours.venue.submit(ours.intent("high", type=OrderType.STOP, price=D(105), oco="low"))
        ours.price(106)
        await ours.until(lambda: S.CANCELLED in ours.statuses("low"))
        assert ours.statuses("high")[-1] is S.FILLED

    run(scenario)


@pytest.mark.parametrize(
    "distance", [{"trail_amount": D(5)}, {"trail_percent": D("0.05")}], ids=["amount", "percent"]
)
def test_a_trailing_stop_trails_at_the_venue_and_its_level_is_known(
    run: Run, distance: dict[str, Decimal]
) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.venue.submit(ours.intent("in"))
        stop = ours.intent("out", side=Side.SELL, type=OrderType.STOP_TRAIL, **distance)
        await ours.venue.submit(stop)
        ours.price(110)
        await ours.until(lambda: any(event.kind is EventKind.TRAIL for event in ours.told("out")))
        await ours.venue.ping()
        known = await ours.order("out")
        assert known is not None
        level = D(ours.at_the_exchange()[-1]["trigger"])
        assert known.trigger == ours.told("out")[-1].trigger == level > D(104)
        await ours.again()
        later = await ours.order("out")
        assert later is not None
        assert later.trigger == level
        ours.price(104)
        await ours.until(lambda: S.FILLED in ours.statuses("out"))

    run(scenario)


def test_an_order_that_expires_says_so(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        now = ours.venue._link.now()
        soon = now.replace(microsecond=0, minute=(now.minute + 1) % 60)
        expiry = soon if soon > now else soon.replace(hour=now.hour + 1)
        await ours.venue.submit(ours.limit("a", 90, expires_at=expiry))
        ours.gateway.control.advance(120)
        await ours.venue.ping()
        ours.price(95)
        await ours.until(lambda: ours.statuses("a")[-1].terminal)
        assert ours.statuses("a")[-1] is S.EXPIRED

    run(scenario)


# -- others on the account


def test_a_trade_by_hand_is_seen_and_not_taken_for_ours(run: Run) -> None:
    async def scenario(ours: Desk) -> None:
        ours.gateway.control.trade(ours.gateway.account, ours.symbol, Side.BUY, 5)
        for _ in range(2):
            await ours.venue._reports.review()
        (found,) = [other for other in ours.venue.external if other.symbol == ours.symbol]
        assert (found.size, found.price, found.side, found.order_ref) == (D(5), D(100), Side.BUY, "")
        assert ours.venue.sequence == 0
        assert (await ours.venue.positions())[ours.symbol].size == D(5)

    run(scenario)


def test_two_bots_on_one_account_hear_of_their_own_orders(
    run: Run, gateway: Simulator, tmp_path: Path
) -> None:
    async def scenario(ours: Desk) -> None:
        async with desk(gateway, tmp_path, "theirs") as theirs:
            await asyncio.gather(ours.venue.submit(ours.intent("a")), theirs.venue.submit(theirs.intent("b")))
            for each in (ours, theirs):
                await each.venue._reports.review()
            assert {event.client_id for event in ours.venue._log.events} == {ours.ref("a")}
            assert {event.client_id for event in theirs.venue._log.events} == {theirs.ref("b")}
            assert await ours.venue.cancel(theirs.ref("b")) is False

    run(scenario)
