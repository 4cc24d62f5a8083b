"""The order path as a session uses it: executor, journal and Binance, cut off and taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import store
from brokers.binance import BinanceVenue
from brokers.executor import Executor
from core.errors import InconsistentState
from core.types import OrderEvent, OrderStatus, OrderType, Side
from tests.integration.binance_desk import NATIVE, SYMBOL, intent, limit_buy, venue_on
from tests.simulator import Simulator, simulator

D = Decimal
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def process() -> Iterator[Simulator]:
    arguments = ("--cash", "10000", "--symbols", SYMBOL, "--speed", "1", "--market", "hand")
    with simulator("binance", *arguments) as running:
        yield running


@pytest.fixture
def sim(process: Simulator) -> Simulator:
    process.control.reset()
    process.control.price(NATIVE, 100)
    return process


class Life:
    """One process's executor, with a step of market time for every call."""

    def __init__(self, executor: Executor, venue: BinanceVenue) -> None:
        self.executor, self.venue, self._now = executor, venue, START

    async def step(self) -> list[tuple[str, str]]:
        """What the strategy is told at the next bar."""
        if not self.executor.recovering:
            await self.venue.ping()
        self._now = datetime.now(UTC) + timedelta(seconds=1)
        return told(await self.executor.step(0, self._now, {}))


def told(events: list[OrderEvent]) -> list[tuple[str, str]]:
    return [(event.client_id, event.status.value) for event in events]


@asynccontextmanager
async def life(sim: Simulator, folder: Path) -> AsyncIterator[Life]:
    with store.open_store(f"sqlite:///{folder}/journal.db") as database:
        venue = venue_on(sim, folder / "venue.db")
        executor = Executor(venue, database.journal("run"), cash=D(10_000))
        await executor.start()
        try:
            yield Life(executor, venue)
        finally:
            await executor.stop()


def test_orders_go_through_the_journal_and_are_told_once(sim: Simulator, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with life(sim, tmp_path) as one:
            done = await one.executor.submit(intent("a"))
            assert told(list(done.events)) == [("a", "submitted"), ("a", "accepted"), ("a", "filled")]
            await one.executor.submit(intent("stop", OrderType.STOP, Side.SELL, price=D(95)))
            await asyncio.to_thread(sim.control.price, NATIVE, 94)
            assert await one.step() == [("stop", "filled")]
            refused = await one.executor.submit(intent("dear", size=D(1_000)))
            assert [event.status for event in refused.events] == [OrderStatus.SUBMITTED, OrderStatus.MARGIN]
            rejected = await one.executor.submit(intent("small", size=D("0.0000001")))
            assert [event.status for event in rejected.events] == [OrderStatus.REJECTED]
            await one.executor.finish()

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("fault", ["drop-before-accept", "drop-after-accept"])
def test_a_lost_answer_is_asked_for_and_journalled(sim: Simulator, tmp_path: Path, fault: str) -> None:
    async def scenario() -> None:
        async with life(sim, tmp_path) as one:
            sim.control.fault(fault, match="POST /api/v3/order ")
            done = await one.executor.submit(intent("a"))
            expected = [OrderStatus.REJECTED]
            if fault == "drop-after-accept":
                expected = [OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.FILLED]
            assert [event.status for event in done.events] == expected
            await one.executor.finish()
        assert len(sim.orders()) == (fault == "drop-after-accept")

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_what_happened_while_nobody_ran_is_told_after_the_repeat(sim: Simulator, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with life(sim, tmp_path) as one:
            await one.executor.submit(limit_buy("a", 90))
            await one.executor.submit(limit_buy("b", 80))
        await asyncio.to_thread(sim.control.price, NATIVE, 90)
        async with life(sim, tmp_path) as two:
            assert two.executor.recovering
            first = await two.executor.submit(limit_buy("a", 90))
            assert told(list(first.events)) == [("a", "submitted"), ("a", "accepted")]
            await two.executor.submit(limit_buy("b", 80))
            assert await two.step() == [("a", "filled")]
            await two.executor.finish()
        assert len(sim.orders()) == 2

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_venue_without_its_memory_is_found_out(sim: Simulator, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with life(sim, tmp_path) as one:
            await one.executor.submit(intent("a"))
        (tmp_path / "venue.db").unlink()
        with pytest.raises(InconsistentState, match="events are kept is another's, or lost"):
            async with life(sim, tmp_path):
                pass

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_bracket_goes_through_the_journal(sim: Simulator, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with life(sim, tmp_path) as one:
            await one.executor.submit(limit_buy("entry", 90, transmit=False))
            stop = intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry", transmit=False)
            await one.executor.submit(stop)
            await one.executor.submit(
                intent("target", OrderType.LIMIT, Side.SELL, price=D(120), parent="entry")
            )
            await asyncio.to_thread(sim.control.price, NATIVE, 90)
            await one.step()
            await one.executor.finish()
            await asyncio.to_thread(sim.control.price, NATIVE, 79)
            assert sorted(await one.step()) == [("stop", "filled"), ("target", "expired")]
            await one.executor.finish()
        async with life(sim, tmp_path) as two:
            assert await two.venue.positions() == {}

    asyncio.run(asyncio.wait_for(scenario(), 60))
