"""What happened while nobody ran is told at its bar where one comes, and at once where none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import store
from brokers.executor import Executor
from brokers.simulation.market import START
from core.types import Bar, OrderEvent, OrderType, Side
from tests.unit.brokers.in_process import D, InProcess, intent

MINUTE = timedelta(minutes=1)


def told(events: list[OrderEvent]) -> list[str]:
    return [event.status.value for event in events]


def test_it_is_told_once_no_bar_waits_and_at_the_same_place_in_the_next_life(tmp_path: Path) -> None:
    place = InProcess()
    order = intent("a", OrderType.LIMIT, price=D(90))

    @asynccontextmanager
    async def life() -> AsyncIterator[Executor]:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            executor = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await executor.start()
            try:
                yield executor
            finally:
                await executor.stop()

    async def bar(executor: Executor, number: int) -> list[str]:
        time = START + number * MINUTE
        return told(await executor.step(number, time, {"BTC/USDT": Bar("BTC/USDT", time, 1, 1, 1, 1)}))

    async def scenario() -> None:
        async with life() as one:
            assert await bar(one, 1) == []
            await one.submit(order)
        await asyncio.sleep(90)
        place.market.to(90)
        async with life() as two:
            assert await bar(two, 1) == []
            await two.submit(order)
            assert not two.news
            assert two.missed
            assert told(await two.between_bars()) == ["filled"]
            assert not two.missed
            assert await bar(two, 2) == []
            await two.finish()
        async with life() as three:
            assert await bar(three, 1) == []
            assert not three.missed
            await three.submit(order)
            assert three.news
            assert told(await three.between_bars()) == ["filled"]
            assert await bar(three, 2) == []
            await three.finish()

    place.run(scenario)


def test_a_bar_that_comes_is_told_of_it_first(tmp_path: Path) -> None:
    place = InProcess()
    order = intent("a", OrderType.LIMIT, price=D(90))

    async def scenario() -> None:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            one = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await one.start()
            await one.step(1, START + MINUTE, {})
            await one.submit(order)
            await one.stop()
            await asyncio.sleep(90)
            place.market.to(90)
            two = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await two.start()
            await two.step(1, START + MINUTE, {})
            await two.submit(order)
            assert told(await two.step(2, START + 2 * MINUTE, {})) == ["filled"]
            assert not two.missed
            await two.stop()

    place.run(scenario)


def test_a_turn_whose_events_are_on_record_hears_nothing_more(tmp_path: Path) -> None:
    """However early it happened: the strategy did not know of it then."""
    place = InProcess()
    order = intent("a", OrderType.LIMIT, price=D(90))
    later = START + 60 * MINUTE

    async def scenario() -> None:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            one = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await one.start()
            await one.step(1, later, {})
            first = told(list((await one.submit(order)).events))
            await one.stop()
            place.market.to(90)
            two = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await two.start()
            await two.step(1, later, {})
            assert told(list((await two.submit(order)).events)) == first
            assert told(await two.step(2, later + MINUTE, {})) == ["filled"]
            await two.stop()

    place.run(scenario)


@pytest.mark.parametrize("heard", [True, False], ids=["heard before the death", "heard after it"])
def test_a_quiet_bar_stays_quiet(tmp_path: Path, heard: bool) -> None:
    """It happened before the bar's end, and was heard after the bar: the strategy has acted on the silence since."""
    place = InProcess()
    order, later = intent("a", OrderType.LIMIT, price=D(90)), START + 60 * MINUTE

    async def scenario() -> None:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            one = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await one.start()
            await one.step(1, later, {})
            await one.submit(order)
            assert await one.step(2, later + MINUTE, {}) == []
            if heard:
                place.market.to(90)
                await asyncio.sleep(1)
                assert one.news
            await one.stop()
            if not heard:
                place.market.to(90)
            two = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await two.start()
            await two.step(1, later, {})
            await two.submit(order)
            assert two.recovering
            assert not two.missed
            assert await two.step(2, later + MINUTE, {}) == []
            assert not two.recovering
            assert two.missed
            assert told(await two.step(3, later + 2 * MINUTE, {})) == ["filled"]
            await two.finish()
            await two.stop()

    place.run(scenario)


def test_an_order_of_which_nothing_was_told_stays_one(tmp_path: Path) -> None:
    """The venue holds it back until its bracket is whole; what came meanwhile was told later."""
    place = InProcess()
    first, held = intent("a", OrderType.LIMIT, price=D(90)), intent("entry", transmit=False)
    stop = intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry")
    later = START + 60 * MINUTE

    async def scenario() -> None:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            one = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await one.start()
            await one.step(1, later, {})
            await one.submit(first)
            assert (await one.submit(held)).events == ()
            place.market.to(90)
            await one.stop()
            two = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await two.start()
            await two.step(1, later, {})
            await two.submit(first)
            assert (await two.submit(held)).events == ()
            assert told(list((await two.submit(stop)).events))[0] == "filled"
            await two.stop()
        assert place.statuses("entry").count("submitted") == 1

    place.run(scenario)


def test_while_nothing_can_come_no_bar_is_written_down(tmp_path: Path) -> None:
    place = InProcess()

    async def scenario() -> None:
        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            executor = Executor(place.venue(), database.journal("run"), cash=D(10_000))
            await executor.start()
            await executor.step(1, START + MINUTE, {})
            assert database.journal("run").last_step() == 0
            await executor.submit(intent("a", OrderType.LIMIT, price=D(90)))
            await executor.step(2, START + 2 * MINUTE, {})
            assert database.journal("run").last_step() == 3
            await executor.stop()

    place.run(scenario)
