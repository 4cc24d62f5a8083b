"""While the database takes nothing: no entry leaves, exits do, and all of it is in the database afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import store
from brokers.bookkeeping import Bookkeeper
from brokers.executor import NO_JOURNAL, Executor
from brokers.paper import PaperVenue
from brokers.simulation.market import START
from brokers.spooled import SpooledJournal
from core.errors import StoreUnavailable
from core.types import Bar, OrderEvent, OrderStatus, OrderType, Side
from store.database import Database
from store.spool import Spool
from tests.unit.brokers.in_process import D, InProcess, intent

MINUTE = timedelta(minutes=1)


class Failing:
    """Says when the database is to fail. lost: after its commit, whose answer nobody hears."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down = self.lost = False
        transaction = Database.transaction
        failing = self

        @contextmanager
        def striking(database: Database) -> Iterator[Connection]:
            outermost = database._connection is None
            if outermost and failing.down and not failing.lost:
                raise StoreUnavailable("the disk is full")
            with transaction(database) as connection:
                yield connection
            if outermost and failing.down:
                failing.lost = False
                raise StoreUnavailable("the server is gone")

        monkeypatch.setattr(Database, "transaction", striking)


class Session:
    """One bot's database and spool, on one exchange."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.failing, self.now = InProcess(), Failing(monkeypatch), 0.0
        self.database = store.open_store(f"sqlite:///{folder}/journal.db")
        self._file = folder / "journal.spool"
        self.kept = self.database.journal("run")
        self.trades = self.database.trades("run")

    def journal(self) -> SpooledJournal:
        books = Bookkeeper(self.trades, self.database.positions("run"))
        journal = SpooledJournal(self.kept, Spool(self._file), books, monotonic=lambda: self.now)
        journal.open()
        return journal

    async def life(self) -> tuple[Executor, SpooledJournal]:
        journal = self.journal()
        executor = Executor(self.place.venue(), journal, book=journal.book, cash=D(10_000))
        await executor.start()
        return executor, journal

    def statuses(self) -> dict[str, str]:
        return {order.intent.client_id: order.status.value for order in self.kept.orders()}

    def check_books(self) -> None:
        fills = self.kept.fills()
        assert sum(t.entered + t.exited for t in self.trades.list()) == sum(fill.size for fill in fills)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    made = Session(tmp_path, monkeypatch)
    yield made
    made.database.close()


async def bar(executor: Executor, number: int) -> list[OrderEvent]:
    time = START + number * MINUTE
    return await executor.step(number, time, {"BTC/USDT": Bar("BTC/USDT", time, 100, 100, 100, 100)})


def statuses(events: Any) -> list[str]:
    return [event.status.value for event in events]


def exit_of(client_id: str, held: Decimal) -> Any:
    return intent(client_id, side=Side.SELL, size=held)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("ends", ["meanwhile", "in the next session"])
def test_entries_are_refused_exits_leave_and_all_is_taken_over(
    session: Session, ends: str, lost: bool
) -> None:
    async def scenario() -> None:
        executor, journal = await session.life()
        await bar(executor, 1)
        await executor.submit(intent("in"))
        held = (await executor._venue.positions())["BTC/USDT"].size
        session.failing.down, session.failing.lost = True, lost
        refused = await executor.submit(intent("more"))
        assert [(e.status, e.reason) for e in refused.events] == [(OrderStatus.REJECTED, NO_JOURNAL)]
        left = await executor.submit(exit_of("out", held))
        assert statuses(left.events)[-1] == "filled"
        assert journal.down
        assert "out" not in session.statuses()
        session.failing.down = False
        if ends == "meanwhile":
            assert statuses((await executor.submit(intent("early"))).events) == ["rejected"]
            session.now += 2
            assert statuses((await executor.submit(intent("again"))).events)[-1] == "filled"
            assert not journal.down
            assert journal.close() == 0
        else:
            journal._spool.close()
        await executor.stop()
        later, _ = await session.life()
        expected = {"in": "filled", "more": "rejected", "out": "filled"}
        if ends == "meanwhile":
            expected |= {"early": "rejected", "again": "filled"}
        assert session.statuses() == expected
        session.check_books()
        await later.stop()

    session.place.run(scenario)


def test_a_bracket_begun_before_sends_no_entry_and_keeps_none_waiting(session: Session) -> None:
    """The last order of a bracket sends the whole: it is refused, and with it what waits, wherever the outage begins."""

    async def scenario() -> None:
        executor, _ = await session.life()
        await bar(executor, 1)
        await executor.submit(intent("entry", transmit=False))
        session.failing.down = True
        stop = intent("stop", OrderType.STOP, Side.SELL, price=D(90), parent="entry", transmit=False)
        assert [(e.client_id, e.status) for e in (await executor.submit(stop)).events] == [
            ("stop", "rejected")
        ]
        session.failing.down = False
        session.now += 2
        target = intent("target", OrderType.LIMIT, Side.SELL, price=D(120), parent="entry")
        assert statuses((await executor.submit(target)).events) == ["rejected"]
        assert statuses(await executor.between_bars()) == ["cancelled"]
        assert session.statuses() == {"entry": "cancelled", "stop": "rejected", "target": "rejected"}
        assert not session.place.market.exchange.books.state.orders
        await executor.stop()

    session.place.run(scenario)


def test_a_cancel_leaves_and_is_on_record(session: Session) -> None:
    async def scenario() -> None:
        executor, journal = await session.life()
        await bar(executor, 1)
        await executor.submit(intent("low", OrderType.LIMIT, price=D(90)))
        session.failing.down = True
        assert statuses(await executor.cancel("low", START)) == ["cancelled"]
        session.failing.down = False
        assert journal.close() == 0
        assert session.statuses() == {"low": "cancelled"}
        assert {client_id for client_id, _ in session.kept.cancels()} == {"low"}
        await executor.stop()

    session.place.run(scenario)


def test_a_fill_whose_commit_nobody_heard_of_is_booked_once(session: Session) -> None:
    async def scenario() -> None:
        executor, journal = await session.life()
        await bar(executor, 1)
        await executor.submit(intent("low", OrderType.LIMIT, price=D(90)))
        session.failing.down = session.failing.lost = True
        session.place.market.to(90)
        await asyncio.sleep(1)
        assert statuses(await executor.between_bars()) == ["filled"]
        assert journal.down
        session.failing.down = False
        assert journal.close() == 0
        assert session.statuses() == {"low": "filled"}
        session.check_books()
        await executor.stop()

    session.place.run(scenario)


def test_what_an_exception_undoes_is_not_spooled(session: Session) -> None:
    journal = session.journal()
    session.failing.down = True

    def undone() -> None:
        with journal.transaction():
            journal.record_intent(intent("a"), step=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    session.failing.down = False
    assert journal.close() == 0
    assert session.statuses() == {}


def test_paper_trades_on_as_well(session: Session, tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = session.journal()
        executor = Executor(
            PaperVenue(10_000, 0, state=tmp_path / "paper.db"), journal, book=journal.book, cash=D(10_000)
        )
        await executor.start()
        await bar(executor, 1)
        await executor.submit(intent("in"))
        assert statuses(await bar(executor, 2))[-1] == "filled"
        session.failing.down = True
        await executor.submit(exit_of("out", D(2)))
        assert statuses((await executor.submit(intent("more"))).events) == ["rejected"]
        assert statuses(await bar(executor, 3))[-1] == "filled"
        session.failing.down = False
        await executor.stop()
        assert journal.close() == 0
        assert session.statuses() == {"in": "filled", "out": "filled", "more": "rejected"}
        session.check_books()

    asyncio.run(scenario())


def test_states_and_limits_are_taken_over(session: Session) -> None:
    journal = session.journal()
    session.failing.down = True
    journal.save_state(3, {"level": 1.5})
    journal.save_risk("daily_loss", {"halted": True})
    journal.record_quiet(5)
    session.failing.down = False
    assert journal.close() == 0
    assert session.kept.state() == (3, {"level": 1.5})
    assert session.kept.risk()["daily_loss"] == {"halted": True}
    assert (session.kept.quiet_step(), session.kept.last_step()) == (5, 5)
