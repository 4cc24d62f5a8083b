"""What differs between journal and venue for two looks stops entries; what is on its way does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import store
from brokers.executor import Executor
from brokers.reconcile import Ledger, missing
from brokers.reconciling import HALTED, RECONCILIATION, Reconciler
from brokers.simulation.market import START, SYMBOL
from core.errors import VenueTransient
from core.types import Bar, OrderIntent, OrderState, OrderType, Side
from tests.unit.brokers.in_process import D, InProcess, intent

MINUTE = timedelta(minutes=1)
SECONDS = 30.0


class Watched:
    """One session with a reconciler that nobody winds up."""

    def __init__(self, folder: Path) -> None:
        self.place = InProcess()
        self.kept: list[tuple[str, Any]] = []
        self.reconciler = Reconciler(SECONDS, lambda name, value: self.kept.append((name, value)))
        self._folder = folder

    async def start(self) -> Executor:
        self.store = store.open_store(f"sqlite:///{self._folder}/journal.db")
        self.venue = self.place.venue()
        executor = Executor(self.venue, self.store.journal("run"), cash=D(10_000))
        await executor.start()
        time = START + MINUTE
        await executor.step(1, time, {SYMBOL: Bar(SYMBOL, time, 100, 100, 100, 100)})
        return executor

    async def stop(self, executor: Executor) -> None:
        await executor.stop()
        self.store.close()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_an_order_that_is_lost_stops_entries_and_no_exits(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> Sequence[OrderState]:
        return []

    async def scenario() -> None:
        executor = await watched.start()
        await executor.submit(intent("in"))
        await executor.submit(intent("low", OrderType.LIMIT, price=D(90)))
        clock = asyncio.create_task(watched.reconciler.by_the_clock(executor))
        await asyncio.sleep(3 * SECONDS)
        assert watched.reconciler.differences == ()
        monkeypatch.setattr(watched.venue, "open_orders", nothing)
        await asyncio.sleep(SECONDS)
        assert watched.reconciler.differences == ()
        await asyncio.sleep(SECONDS)
        assert watched.reconciler.differences == (
            "order low: the journal says it is open, the venue it is not",
        )
        await clock
        ((name, kept),) = watched.kept
        assert (name, kept["differences"]) == (RECONCILIATION, list(watched.reconciler.differences))
        refused = await executor.submit(intent("more"))
        assert [(e.status.value, e.reason) for e in refused.events] == [("rejected", HALTED)]
        held = (await watched.venue.positions())[SYMBOL].size
        left = await executor.submit(intent("out", side=Side.SELL, size=held))
        assert left.events[-1].status.value == "filled"
        await watched.stop(executor)

    watched.place.run(scenario)


def test_what_is_over_at_the_next_look_is_no_difference(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [{}, {"BTC": D(2)}, {}, VenueTransient("not now"), {"BTC": D(2)}, {}]

    async def balances() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, VenueTransient):
            raise answer
        return answer

    async def scenario() -> None:
        executor = await watched.start()
        await executor.submit(intent("in"))
        monkeypatch.setattr(watched.venue, "balances", balances)
        while answers:
            await watched.reconciler.look(executor)
        assert watched.reconciler.differences == ()
        answers.append({"BTC": D(1)})
        await watched.reconciler.look(executor)
        answers.append({"BTC": D(1)})
        await watched.reconciler.look(executor)
        assert watched.reconciler.differences == (
            "balance of BTC: the journal says 1.99800000 are the run's, the venue has 1",
        )
        await watched.stop(executor)

    watched.place.run(scenario)


def test_nothing_is_compared_while_an_order_is_on_its_way(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        executor = await watched.start()
        submit, may_leave = watched.venue.submit, asyncio.Event()

        async def held_up(order: OrderIntent) -> None:
            await may_leave.wait()
            await submit(order)

        monkeypatch.setattr(watched.venue, "submit", held_up)
        assert await executor.compare() == []
        sending = asyncio.create_task(executor.submit(intent("in")))
        await asyncio.sleep(1)
        assert await executor.compare() is None
        may_leave.set()
        await sending
        assert await executor.compare() == []
        await watched.stop(executor)

    watched.place.run(scenario)


def test_an_account_may_hold_more_than_the_run_and_not_less() -> None:
    ledger = Ledger(D(0))
    ledger.positions = {"BTC/USDT": D(2), "AAPL": D(10), "ETH/USDT": D(1)}
    ledger.traded = dict(ledger.positions)
    assert missing(ledger, {"BTC": D("2.5"), "ETH": D("1.0000000000001")}) == []
    (found,) = missing(ledger, {"BTC": D(1), "ETH": D(1)})
    assert str(found) == "balance of BTC: the journal says 2 are the run's, the venue has 1"
