"""Entries of a life that is over: what never left does not leave on old prices, and what nobody follows is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import store
from brokers.base import Venue
from brokers.executor import Executor, Submission
from brokers.risk import OLD_PRICES, Limits, RiskGate
from brokers.simulation.market import START
from brokers.working import Entries, WorkingVenue
from core.types import Bar, OrderEvent, OrderIntent, OrderType, Side
from store import Journal
from tests.unit.brokers.in_process import D, InProcess, bracket, intent

SYMBOL = "BTC/USDT"
MINUTE = timedelta(minutes=1)
OLD = frozenset({SYMBOL})
NOW: frozenset[str] = frozenset()
FOLLOWED = Entries(post_only=True, seconds=60)


class Cut(BaseException):
    """The process is gone."""


def cut_at(wanted: str) -> Callable[[str], None]:
    """Ends the process at a durable step."""

    def on_step(name: str) -> None:
        if name == wanted:
            raise Cut

    return on_step


def told(events: list[OrderEvent] | tuple[OrderEvent, ...]) -> list[str]:
    return [event.status.value for event in events]


class Bot:
    """One run, over several lives."""

    def __init__(self, folder: Path, entries: Entries | None = None, limits: Limits | None = None) -> None:
        self.place = InProcess()
        self._folder, self._entries, self._limits = folder, entries, limits

    @asynccontextmanager
    async def life(self, wanted: str = "") -> AsyncIterator[Executor]:
        """A session, cut off at the durable step `wanted`."""
        with store.open_store(f"sqlite:///{self._folder}/journal.db") as database:
            journal = database.journal("run")
            gate, cut = RiskGate(self._limits), cut_at(wanted)
            executor = Executor(self._venue(journal), journal, gate, cash=D(10_000), on_step=cut)
            await executor.start()
            try:
                yield executor
            except Cut:
                assert wanted
            finally:
                await executor.stop()

    def _venue(self, journal: Journal) -> Venue:
        venue = self.place.venue()
        if self._entries is None:
            return venue
        return WorkingVenue(venue, self._entries, journal, clock=self.place.clock)

    async def bar(self, executor: Executor, number: int, stale: frozenset[str] = NOW) -> list[str]:
        time = START + number * MINUTE
        return told(await executor.step(number, time, {SYMBOL: Bar(SYMBOL, time, 1, 1, 1, 1)}, stale))


@pytest.mark.parametrize(("stale", "outcome"), [(OLD, "rejected"), (NOW, "filled")])
def test_an_entry_that_never_left_does_not_leave_on_old_prices(
    tmp_path: Path, stale: frozenset[str], outcome: str
) -> None:
    bot, order = Bot(tmp_path), intent("a")

    async def scenario() -> None:
        async with bot.life("intent.committed") as one:
            await bot.bar(one, 1)
            await one.submit(order)
        for _ in range(2):
            async with bot.life() as later:
                await bot.bar(later, 1, stale)
                submission = await later.submit(order)
                assert told(submission.events)[-1] == outcome
                assert (submission.events[-1].reason == OLD_PRICES) is (outcome == "rejected")
                await later.finish()

    bot.place.run(scenario)
    assert bot.place.sent_alone("a") == ([] if outcome == "rejected" else ["a"])


def test_an_exit_that_never_left_leaves_on_any_price(tmp_path: Path) -> None:
    bot, entry, way_out = Bot(tmp_path), intent("a"), intent("b", side=Side.SELL, size=D("1.998"))

    async def play(executor: Executor, stale: frozenset[str] = NOW) -> list[str]:
        await bot.bar(executor, 1)
        await executor.submit(entry)
        await bot.bar(executor, 2, stale)
        return told((await executor.submit(way_out)).events)

    async def scenario() -> None:
        async with bot.life() as one:
            await bot.bar(one, 1)
            await one.submit(entry)
        async with bot.life("intent.committed") as two:
            await play(two)
        async with bot.life() as three:
            assert (await play(three, OLD))[-1] == "filled"

    bot.place.run(scenario)
    assert bot.place.sent_alone("b") == ["b"]


@pytest.mark.parametrize("made", [1, 2])
def test_a_bracket_that_was_not_whole_is_given_up_on_old_prices(tmp_path: Path, made: int) -> None:
    """made: how many of its three orders the life before came to."""
    bot = Bot(tmp_path)
    orders = bracket(OrderType.LIMIT, price=D(90), expires_at=START + 3 * MINUTE)

    async def play(executor: Executor, given: list[OrderIntent]) -> dict[str, str]:
        await bot.bar(executor, 1, OLD)
        events = [event for order in given for event in (await executor.submit(order)).events]
        return {event.client_id: event.status.value for event in events}

    async def scenario() -> None:
        async with bot.life() as one:
            await bot.bar(one, 1)
            for order in orders[:made]:
                assert (await one.submit(order)).events == ()
        for _ in range(2):
            async with bot.life() as later:
                assert await play(later, orders) == {"stop": "rejected", "target": "rejected"}
                assert later.news
                assert told(await later.between_bars()) == ["cancelled"]
                await asyncio.sleep(300)
                assert await bot.bar(later, 2) == []
                await later.finish()

    bot.place.run(scenario)
    assert bot.place.market.exchange.books.state.orders == {}


def test_a_child_that_was_cut_to_its_entry_is_repeated_though_that_has_ended_since(tmp_path: Path) -> None:
    """What is known of the entry by now does not change what was decided while it lived."""
    bot = Bot(tmp_path, limits=Limits(max_position_size=D(1), oversize="clip"))
    entry, stop, _ = bracket(OrderType.LIMIT, price=D(90), expires_at=START + 3 * MINUTE)
    orders = [entry, replace(stop, transmit=True)]

    async def play(executor: Executor) -> list[Submission]:
        await bot.bar(executor, 1)
        return [await executor.submit(order) for order in orders]

    async def scenario() -> None:
        async with bot.life() as one:
            submissions = await play(one)
            assert [each.intent.size for each in submissions] == [D(1)] * 2
        await asyncio.sleep(300)
        async with bot.life() as two:
            await asyncio.sleep(10)
            assert bot.place.statuses("entry")[-1] == "expired"
            assert await play(two) == submissions
            assert told(await two.between_bars()) == ["expired", "cancelled"]
            await two.finish()

    bot.place.run(scenario)


def test_what_a_session_gives_up_as_it_ends_is_in_its_journal(tmp_path: Path) -> None:
    bot, order = Bot(tmp_path, FOLLOWED), intent("a")

    async def scenario() -> None:
        async with bot.life() as one:
            await bot.bar(one, 1)
            assert told((await one.submit(order)).events) == ["submitted", "accepted"]
            assert told(await one.wind_up()) == ["cancelled"]
            await one.finish()
        assert bot.place.resting() == []
        async with bot.life() as two:
            await bot.bar(two, 1)
            await two.submit(order)
            assert two.news
            assert not two.missed
            assert told(await two.between_bars()) == ["cancelled"]
            assert await two.wind_up() == []
            await two.finish()

    bot.place.run(scenario)
