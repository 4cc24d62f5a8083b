"""A strategy through journal, risk and the Binance venue, killed on the way and started again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from brokers.binance import BinanceVenue
from core.types import Bar
from tests.integration.binance_desk import NATIVE, SYMBOL, venue_on
from tests.integration.cut_runs import CutRun, Told, told
from tests.simulator import Simulator, simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    # Its time lies before the bars': what was missed is told at the first bar after it happened.
    with simulator("binance", "--cash", "10000", "--symbols", SYMBOL) as running:
        yield running


class Stepped(BinanceVenue):
    """The exchange's market moves with the strategy's bars."""

    account: Account

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        self.account.move(number, bars[SYMBOL].close)
        await self.ping()


class Account(CutRun):
    """An account nothing has happened on."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.sim = sim
        sim.control.reset()
        super().__init__(folder, SYMBOL, lambda price: sim.control.price(NATIVE, price), 10_000.0)

    def venue(self) -> BinanceVenue:
        made = venue_on(self.sim, self.folder / "venue.db", of=Stepped)
        assert isinstance(made, Stepped)
        made.account = self
        return made


@pytest.fixture(scope="module")
def uncut(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Told]:
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
    sim: Simulator, tmp_path: Path, uncut: tuple[list[str], Told], step: str
) -> None:
    steps, expected = uncut
    account = Account(sim, tmp_path)
    account.die_at(step, (steps.count(step) + 1) // 2)
    recording = account.run()
    assert told(recording) == expected
    assert set(Counter(order["client_id"] for order in sim.orders()).values()) == {1}
