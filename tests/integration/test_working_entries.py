"""Entries worked as limits at both venues: the real client libraries, real sockets, the journal of a session."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import store
from analyzers.limit_fills import LimitFill, limit_fills
from brokers.base import Venue
from brokers.binance_desk import BinanceDesk
from brokers.executor import Executor
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from brokers.working import Entries, WorkingVenue
from core.tasks import end_tasks
from core.types import Bar, OrderIntent, OrderStatus, OrderType, Side
from tests.integration.binance_desk import SYMBOL, venue_on
from tests.simulator import Simulator, simulator

D = Decimal
SECONDS = 20
TOUCH = Entries(seconds=0.4, times=3, bound=D("0.01"))
MAKER = replace(TOUCH, post_only=True)
IBKR = IBKRSettings(answer=1.5, heartbeat=0.3, patience=15, overdue=0.2, reconnect_first=0.05)
SHARES = [f"S{number:02}" for number in range(20)]
_shares = iter(SHARES)
_numbers = itertools.count(1)


class Died(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Simulator]]:
    name = str(request.param)
    if name == "binance":
        arguments = ("--symbols", SYMBOL, "--speed", "1", "--market", "hand", "--cash", "100000")
    else:
        arguments = ("--symbols", ",".join(SHARES), "--cash", "1000000")
    with simulator("binance" if name == "binance" else "tws", *arguments) as sim:
        yield name, sim


@dataclass
class Desk:
    """One bot at one venue, for several lives; at IBKR with a symbol that nobody else trades."""

    name: str
    sim: Simulator
    folder: Path
    bot: str
    symbol: str

    def venue(self) -> Venue:
        state = self.folder / "venue.db"
        if self.name == "binance":
            return venue_on(self.sim, state)
        return IBKRVenue(
            replace(IBKR, host=self.sim.host, port=self.sim.port, client_id=int(self.bot)),
            symbols=[self.symbol],
            state=state,
        )

    async def quote(self, bid: object, ask: object, volume: object = 1000) -> None:
        named = {"bid": bid, "ask": ask, "volume": volume}
        await asyncio.to_thread(self.sim.control.price, self.symbol.replace("/", ""), bid, **named)

    def intent(self, client_id: str, **changes: Any) -> OrderIntent:
        given = OrderIntent(
            f"t{self.bot}{client_id}", self.symbol, Side.BUY, OrderType.MARKET, D(10), D(100),
            datetime(2024, 1, 2, tzinfo=UTC), 1,
        )  # fmt: skip
        return replace(given, **changes)

    def at_venue(self, client_id: str) -> list[dict[str, Any]]:
        ours = f"t{self.bot}{client_id}"
        return [each for each in self.sim.orders() if str(each["client_id"]).partition(".")[0] == ours]

    @asynccontextmanager
    async def session(self, entries: Entries) -> AsyncIterator[Session]:
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as kept:
            journal = kept.journal("run")
            inner = self.venue()
            working = WorkingVenue(inner, entries, journal)
            executor = Executor(working, journal)
            session = Session(self, executor, journal)
            executor.on_news = session.news.set
            await executor.start()
            try:
                yield session
            except Died:
                # Nothing is cancelled, and nothing said: the sockets close with the process.
                await end_tasks(list(working._tasks.values()))
                await inner.close()
                raise
            await executor.stop()


@dataclass
class Session:
    """One life. news: set when something happened."""

    desk: Desk
    executor: Executor
    journal: store.Journal

    def __post_init__(self) -> None:
        self.news = asyncio.Event()

    async def begin(self) -> None:
        bar = Bar(self.desk.symbol, datetime(2024, 1, 2, tzinfo=UTC), 100, 100, 100, 100)
        await self.executor.step(1, bar.time, {self.desk.symbol: bar})

    async def submit(self, intent: OrderIntent) -> None:
        await self.executor.submit(intent)

    async def ended(self, client_id: str) -> OrderStatus:
        """How the strategy hears that the order is over."""
        ours = f"t{self.desk.bot}{client_id}"
        async with asyncio.timeout(SECONDS):
            while True:
                order = self.journal.order(ours)
                if order is not None and order.status.terminal:
                    return order.status
                await self.news.wait()
                self.news.clear()
                await self.executor.between_bars()

    def row(self, client_id: str) -> LimitFill:
        ours = f"t{self.desk.bot}{client_id}"
        return next(row for row in limit_fills(self.journal) if row.order == ours)


@pytest.fixture
def desk(running: tuple[str, Simulator], tmp_path: Path) -> Desk:
    name, sim = running
    if name == "binance":
        sim.control.reset()
    made = Desk(
        name, sim, tmp_path, str(next(_numbers) + 100), SYMBOL if name == "binance" else next(_shares)
    )
    asyncio.run(made.quote("99.90", "100.10"))
    return made


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


both = pytest.mark.parametrize("running", ["binance", "ibkr"], indirect=True)
on_binance = pytest.mark.parametrize("running", ["binance"], indirect=True)


@both
def test_an_entry_takes_the_best_price_as_a_limit(desk: Desk) -> None:
    async def scenario() -> None:
        async with desk.session(TOUCH) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            assert await session.ended("a") is OrderStatus.FILLED
            row = session.row("a")
            assert (row.fill_ratio, row.repricings) == (1.0, 0)
            assert row.slippage == pytest.approx(0.001)

    run(scenario)
    (order,) = desk.at_venue("a")
    assert (order["type"], D(str(order["limit"]))) == ("limit", D("100.10"))


@both
def test_a_part_fills_and_the_rest_follows_the_price(desk: Desk) -> None:
    async def scenario() -> None:
        await desk.quote("99.90", "100.10", 4)
        async with desk.session(TOUCH) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            await desk.quote("100.20", "100.40", 100)
            assert await session.ended("a") is OrderStatus.FILLED
            row = session.row("a")
            assert row.repricings >= 1
            assert row.filled == pytest.approx(10, rel=0.002)

    run(scenario)
    assert sum(D(str(order["filled"])) for order in desk.at_venue("a")) == 10


@both
def test_a_price_that_runs_away_is_not_chased_and_the_strategy_is_told(desk: Desk) -> None:
    async def scenario() -> None:
        await desk.quote("99.90", "100.10", 4)
        async with desk.session(TOUCH) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            await desk.quote("102.90", "103.10")
            assert await session.ended("a") is OrderStatus.CANCELLED
            assert 0 < session.row("a").fill_ratio < 0.5

    run(scenario)
    assert sum(D(str(order["filled"])) for order in desk.at_venue("a")) == 4


@both
def test_or_it_is_taken_in_the_end(desk: Desk) -> None:
    async def scenario() -> None:
        await desk.quote("99.90", "100.10", 4)
        async with desk.session(replace(TOUCH, then="market")) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            await desk.quote("102.90", "103.10")
            assert await session.ended("a") is OrderStatus.FILLED
            assert session.row("a").slippage > 0.01

    run(scenario)
    assert sum(D(str(order["filled"])) for order in desk.at_venue("a")) == 10


@on_binance
def test_a_post_only_entry_that_would_take_is_offered_further_back_and_never_takes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.Journal.record_attempt

    def record_as_the_price_falls(journal: store.Journal, attempt: Any) -> None:
        record(journal, attempt)
        if attempt.number == 1:
            desk.sim.control.price(SYMBOL.replace("/", ""), "99.50", bid="99.50", ask="99.70")

    monkeypatch.setattr(store.Journal, "record_attempt", record_as_the_price_falls)

    async def scenario() -> None:
        async with desk.session(MAKER) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            (resting,) = desk.at_venue("a")
            assert (resting["type"], D(str(resting["limit"]))) == ("limit", D("99.50"))
            await desk.quote("99.20", "99.30")
            assert await session.ended("a") is OrderStatus.FILLED

    run(scenario)
    assert [each["maker"] for each in desk.sim.control.state()["executions"]] == [True]


@on_binance
def test_a_post_only_entry_that_binance_always_refuses_is_told_as_refused(desk: Desk) -> None:
    async def scenario() -> None:
        for _ in range(4):
            desk.sim.control.fault(
                "reject",
                match="POST /api/v3/order ",
                code=-2010,
                text="Order would immediately match and take.",
            )
        async with desk.session(MAKER) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            assert await session.ended("a") is OrderStatus.REJECTED

    run(scenario)
    assert desk.at_venue("a") == []


@both
def test_a_death_while_the_price_is_changed_leaves_one_order_that_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a part has filled: at Binance between the cancel and the new order, at IBKR around the change."""
    dying, patient = asyncio.Event(), replace(TOUCH, seconds=1.0, times=10)

    async def die(*given: Any, **named: Any) -> None:
        dying.set()
        await asyncio.Event().wait()

    async def first() -> None:
        await desk.quote("99.90", "100.10", 4)
        async with desk.session(patient) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            with monkeypatch.context() as patch:
                patch.setattr(
                    *((BinanceDesk, "place") if desk.name == "binance" else (IBKRVenue, "amend")), die
                )
                await desk.quote("100.20", "100.40", 1)
                await dying.wait()
                raise Died

    async def second() -> None:
        async with desk.session(patient) as session:
            await session.begin()
            await desk.quote("100.20", "100.40", 100)
            await session.submit(desk.intent("a"))
            assert await session.ended("a") is OrderStatus.FILLED
            assert session.row("a").repricings >= 1

    with pytest.raises(Died):
        run(first)
    run(second)
    assert sum(D(str(order["filled"])) for order in desk.at_venue("a")) == 10


@both
def test_a_session_that_comes_back_too_late_ends_the_entry(desk: Desk) -> None:
    async def first() -> None:
        await desk.quote("99.90", "100.10", 4)
        async with desk.session(replace(TOUCH, seconds=3.0)) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            raise Died

    async def second() -> None:
        async with desk.session(TOUCH) as session:
            await session.begin()
            await session.submit(desk.intent("a"))
            assert await session.ended("a") is OrderStatus.CANCELLED

    with pytest.raises(Died):
        run(first)
    run(second)
    assert sum(D(str(order["filled"])) for order in desk.at_venue("a")) == 4
