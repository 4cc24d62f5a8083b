"""A strategy through journal, risk and the Binance venue, killed on the way and started again."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import store
from brokers.binance import BinanceVenue
from core.types import Bar
from engine.recording import Recording
from engine.replay import PaperReplay
from tests.integration.binance_desk import NATIVE, SYMBOL, venue_on
from tests.integration.timetable import CLOSES, Timetable
from tests.simulator import Simulator, simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    # Its time lies before the bars': what was missed is told at the first bar after it happened.
    with simulator("binance", "--cash", "10000", "--symbols", SYMBOL) as running:
        yield running


class Stepped(BinanceVenue):
    """The exchange's market moves with the strategy's bars, so that each life sees the same."""

    account: Account

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        moved = self.account.folder / f"moved-{number}"
        if not moved.exists():
            self.account.sim.control.price(NATIVE, bars[SYMBOL].close)
            moved.touch()
        await self.ping()


class Account:
    """An account nothing has happened on, and what a run keeps of it."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.sim, self.folder = sim, folder
        self.steps: list[str] = []
        self.cut_at: tuple[str, int] | None = None
        sim.control.reset()
        sim.control.price(NATIVE, CLOSES[0])

    def on_step(self, name: str) -> None:
        self.steps.append(name)
        if (name, self.steps.count(name)) == self.cut_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def venue(self) -> BinanceVenue:
        made = venue_on(self.sim, self.folder / "venue.db", of=Stepped)
        assert isinstance(made, Stepped)
        made.account = self
        return made

    def run(self) -> Recording:
        """One life, to its end."""
        self.steps = []
        index = pd.date_range("2024-02-01", periods=len(CLOSES), freq="1D", tz="UTC", name="time")
        frame = pd.DataFrame({name: map(float, CLOSES) for name in ("open", "high", "low", "close")}, index)
        frame["volume"] = 1000.0
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            replay = PaperReplay(
                Timetable, {}, {SYMBOL: frame}, self.venue, database.journal("run"), 10_000.0, 0.0,
                on_step=self.on_step,
            )  # fmt: skip
            return replay.run()

    def die_at(self, step: str, occurrence: int) -> None:
        """One life in a process of its own, which is killed at that step, or ends before it comes."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.cut_at = step, occurrence
                self.run()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), f"it failed by itself: {status}"


def told(recording: Recording) -> list[tuple[Any, ...]]:
    """What became of each order, but for the time it took."""
    orders = [
        tuple(row) for row in recording.orders[["type", "side", "size", "status"]].itertuples(index=False)
    ]
    fills = [tuple(row) for row in recording.fills[["size", "price", "commission"]].itertuples(index=False)]
    return [*orders, *fills]


@pytest.fixture(scope="module")
def uncut(
    sim: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], list[tuple[Any, ...]]]:
    account = Account(sim, tmp_path_factory.mktemp("uncut"))
    recording = account.run()
    return account.steps, told(recording)


def test_a_strategy_trades_and_the_books_agree(sim: Simulator, tmp_path: Path) -> None:
    recording = Account(sim, tmp_path).run()
    books = sim.control.state()["accounts"]["main"]["balances"]
    assert recording.fills["size"].sum() == pytest.approx(float(books["ABC"]), abs=1e-12)
    assert Counter(order["status"] for order in sim.orders())["filled"] == 5


@pytest.mark.parametrize(
    "step", ["intent.committed", "submit.returned", "events.begin", "events.committed", "cancel.committed"]
)
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(
    sim: Simulator, tmp_path: Path, uncut: tuple[list[str], list[tuple[Any, ...]]], step: str
) -> None:
    steps, expected = uncut
    account = Account(sim, tmp_path)
    account.die_at(step, (steps.count(step) + 1) // 2)
    recording = account.run()
    assert told(recording) == expected
    assert set(Counter(order["client_id"] for order in sim.orders()).values()) == {1}
