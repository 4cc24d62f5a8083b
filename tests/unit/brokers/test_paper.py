from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.base import SimulatedVenue
from brokers.paper import PaperVenue
from core.errors import OrderRejected, StoreVersionError, TradingError, VenueFatal, VenueTransient
from core.types import (
    Bar,
    EventKind,
    Instrument,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    OrderType,
    Quote,
    Side,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
RESTING = {"type": OrderType.LIMIT, "price": Decimal(5)}


def bar(number: int, close: float = 10.0, symbol: str = "A") -> Bar:
    return Bar(symbol, START + timedelta(hours=number), 10.0, max(10.0, close), min(10.0, close), close, 1.0)


def intent(client_id: str, **changes: object) -> OrderIntent:
    given: dict[str, object] = {
        "symbol": "A",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "size": Decimal(5),
        "reference_price": Decimal(10),
        "bar_time": START,
        "leg": 0,
    }
    return OrderIntent(client_id=client_id, **{**given, **changes})  # type: ignore[arg-type]


async def opened(
    state: Path | None = None, on_step: Callable[[str], None] | None = None, cash: float = 1000.0
) -> PaperVenue:
    venue: SimulatedVenue = PaperVenue(cash, 0.001, state=state, on_step=on_step)
    assert isinstance(venue, PaperVenue)
    await venue.connect()
    return venue


async def step(venue: PaperVenue, number: int, close: float = 10.0) -> None:
    await venue.step(number, START + timedelta(hours=number), {"A": bar(number, close)})


def told(events: object) -> list[tuple[str, str]]:
    return [(e.client_id, e.status.value) for e in events]  # type: ignore[attr-defined]


def test_a_step_already_taken_changes_nothing() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        await venue.submit(intent("a"))
        await step(venue, 1)
        assert told(await venue.fills(0)) == [("a", "submitted")]
        await step(venue, 3)
        await step(venue, 2)
        assert (venue.last_step, venue.sequence) == (3, 3)

    asyncio.run(scenario())


def test_an_order_not_yet_checked_cannot_be_cancelled() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        await venue.submit(intent("a", **RESTING))
        assert await venue.cancel("a") is False
        await step(venue, 2)
        assert await venue.cancel("a") is True

    asyncio.run(scenario())


def test_one_order_that_cannot_be_paid_takes_those_after_it_down() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        await venue.submit(intent("huge", size=Decimal(500)))
        await venue.submit(intent("small", size=Decimal(1)))
        await step(venue, 2)
        assert told(await venue.fills(2)) == [("huge", "margin"), ("small", "margin")]

    asyncio.run(scenario())


def test_a_bracket_is_held_back_until_its_last_leg() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        sell = {"side": Side.SELL, "parent": "in"}
        await venue.submit(intent("in", transmit=False))
        await venue.submit(intent("stop", type=OrderType.STOP, price=Decimal(8), transmit=False, **sell))
        assert venue.sequence == 0
        held = await venue.order("in")
        assert held is not None
        assert held.status is OrderStatus.INTENT
        await venue.submit(intent("target", type=OrderType.LIMIT, price=Decimal(12), **sell))
        assert told(await venue.fills(0)) == [(n, "submitted") for n in ("in", "stop", "target")]
        await step(venue, 2, close=12.0)  # reaches the target, but the children wake one step later
        await step(venue, 3)
        await step(venue, 4, close=12.5)
        assert told(await venue.fills(6)) == [("in", "filled"), ("target", "filled"), ("stop", "cancelled")]

    asyncio.run(scenario())


def test_a_child_whose_parent_is_gone_is_rejected() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        await venue.submit(intent("in", **RESTING))
        await step(venue, 2)
        await venue.cancel("in")
        await venue.submit(intent("out", side=Side.SELL, parent="in"))
        assert told(await venue.fills(3)) == [("out", "rejected")]

    asyncio.run(scenario())


def test_a_group_ends_with_its_first_member() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        for name in "abc":
            await venue.submit(intent(name, oco=None if name == "a" else "a", **RESTING))
        await step(venue, 2)
        await venue.cancel("b")
        assert told(await venue.fills(6)) == [("b", "cancelled"), ("c", "cancelled"), ("a", "cancelled")]

    asyncio.run(scenario())


def test_a_moving_trail_is_announced_with_its_prices() -> None:
    """L25"""

    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        order = {"type": OrderType.STOP_TRAIL_LIMIT, "price": Decimal(10), "limit": Decimal("9.5")}
        await venue.submit(intent("t", side=Side.SELL, trail_amount=Decimal(2), **order))
        await step(venue, 2, close=13.0)
        await step(venue, 3, close=12.0)
        moved = (await venue.fills(0))[-3:]
        assert [(e.kind, e.trigger, e.limit) for e in moved] == [
            (EventKind.TRAIL, Decimal("11.0"), Decimal("10.5")),
            (EventKind.TRIGGERED, None, None),
            (EventKind.STATUS, None, None),
        ]
        assert moved[0].status is OrderStatus.ACCEPTED

    asyncio.run(scenario())


def test_events_bear_the_time_of_the_orders_own_bar() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        await venue.submit(intent("a", bar_time=bar(1).time))
        await venue.step(2, START + timedelta(hours=2), {"B": bar(2, symbol="B")})
        assert (await venue.fills(0))[-1].time == bar(1).time
        await step(venue, 3)
        fill = (await venue.fills(0))[-1].fill
        assert fill is not None
        assert (fill.time, fill.fill_id) == (bar(3).time, "a-1")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"size": Decimal(0)}, "size"),
        ({"size": Decimal(-1)}, "size"),
        ({"size": Decimal("NaN")}, "size"),
        ({"price": Decimal("Infinity")}, "price"),
        ({"type": OrderType.LIMIT, "reference_price": Decimal(0)}, "price"),
        ({"symbol": "B"}, "instrument"),
        ({"oco": "nobody"}, "oco"),
        ({"parent": "nobody"}, "parent"),
        ({"type": OrderType.CLOSE}, "session_end"),
        ({"bar_time": datetime(2024, 1, 1)}, "bar_time"),
        ({"expires_at": datetime(2024, 1, 1)}, "expires_at"),
    ],
)
def test_an_order_without_sense_is_refused(changes: dict[str, object], rule: str) -> None:
    async def scenario() -> None:
        venue = PaperVenue(1000.0, 0.0, instruments=[Instrument("A")])
        await venue.connect()
        with pytest.raises(OrderRejected) as refused:
            await venue.submit(intent("a", **changes))
        assert refused.value.rule == rule
        assert await venue.order("a") is None

    asyncio.run(scenario())


def test_amending_to_what_is_filled_cancels_the_rest() -> None:
    async def scenario() -> None:
        venue = await opened(cash=100.0)
        await step(venue, 1)
        await venue.submit(intent("a", **RESTING))
        await step(venue, 2)
        assert await venue.amend("a", price=Decimal(4), size=Decimal(3)) is True
        assert await venue.amend("a", price=Decimal(4), size=Decimal(3)) is True  # nothing new to announce
        assert [e.reason for e in await venue.fills(2)] == ["amended"]
        with pytest.raises(OrderRejected):
            await venue.amend("a", size=Decimal(0))
        state = await venue.order("a")
        assert state is not None
        assert (state.size, state.limit, state.status) == (Decimal(3), Decimal(4), OrderStatus.ACCEPTED)

    asyncio.run(scenario())


def test_quiet_steps_commit_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        seams: list[str] = []
        venue = await opened(tmp_path / "paper.db", seams.append)
        await step(venue, 1)
        await venue.submit(intent("a", **RESTING))
        await step(venue, 2)
        seams.clear()
        for number in range(3, 1003):
            await step(venue, number)
        assert seams == []
        await venue.close()
        again = await opened(tmp_path / "paper.db")
        assert again.last_step == 1002
        await again.close()

    asyncio.run(scenario())


def test_events_are_on_file_before_they_are_heard(tmp_path: Path) -> None:
    """At every seam, the file has exactly what was committed and nobody has heard of what was not."""
    path = tmp_path / "paper.db"
    seen: list[tuple[str, int, int]] = []

    def look(seam: str) -> None:
        with sqlite3.connect(path) as reader:
            written = reader.execute("SELECT count(*) FROM events").fetchone()[0]
        seen.append((seam.removeprefix("venue."), written, venue.sequence))

    venue = PaperVenue(1000.0, 0.0, state=path, on_step=look)

    async def scenario() -> None:
        await venue.connect()
        await step(venue, 1)
        await venue.submit(intent("a", **RESTING))
        await step(venue, 2)
        await venue.cancel("a")
        await venue.cancel("a")
        await venue.close()

    asyncio.run(scenario())
    assert seen == [
        ("submit.begin", 0, 0),
        ("submit.committed", 1, 0),
        ("step.begin", 1, 1),
        ("step.committed", 2, 1),
        ("cancel.begin", 2, 2),
        ("cancel.committed", 3, 2),
    ]


def test_a_failed_write_stops_the_venue_until_it_is_opened_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = await opened(tmp_path / "paper.db"), await opened(tmp_path / "paper.db")
        await first.submit(intent("a"))
        with pytest.raises(VenueFatal, match="another venue"):
            await second.submit(intent("b"))
        with pytest.raises(VenueFatal, match="last change"):
            await second.submit(intent("c"))
        await second.close()
        await second.connect()
        assert told(await second.fills(0)) == [("a", "submitted")]
        await second.submit(intent("b"))
        assert second.sequence == 2
        await second.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_state_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    path.write_text("this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(VenueFatal, match=r"paper\.db cannot be used"):
        asyncio.run(opened(path))


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreVersionError, match="newer version"):
        asyncio.run(opened(path))


def test_a_venue_that_is_not_connected_says_so() -> None:
    async def scenario() -> None:
        venue = PaperVenue(1000.0, 0.0)
        with pytest.raises(VenueTransient, match="connect"):
            await venue.balances()
        await venue.connect()
        await venue.submit(intent("a"))
        await venue.close()
        with pytest.raises(VenueTransient, match="closed"):
            await venue.submit(intent("b"))
        await venue.connect()
        assert [o.client_id for o in await venue.open_orders()] == ["a"]

    asyncio.run(scenario())


def test_events_wait_for_what_comes_and_end_at_close() -> None:
    async def scenario() -> None:
        venue = await opened()
        heard: list[OrderEvent] = []

        async def listen() -> None:
            async for event in venue.events():
                heard.append(event)

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await venue.submit(intent("a"))
        await venue.close()
        await asyncio.wait_for(listener, 10)
        assert told(heard) == [("a", "submitted")]

    asyncio.run(scenario())


def test_bars_and_quotes_do_not_mix() -> None:
    async def scenario() -> None:
        venue = await opened()
        await step(venue, 1)
        with pytest.raises(TradingError, match="fed with bars"):
            await venue.on_quote(Quote("A", START, Decimal(10), Decimal(11)))

    asyncio.run(scenario())
