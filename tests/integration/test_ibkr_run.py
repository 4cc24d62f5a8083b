"""A strategy through journal, risk and the IBKR venue, cut off on the way and started again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

import store
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.types import Bar
from engine.recording import Recording
from engine.replay import PaperReplay
from tests.simulator import Simulator, simulator

SETTINGS = IBKRSettings(answer=5, heartbeat=1, patience=20, overdue=0.2, reconnect_first=0.05)
SYMBOLS = [f"R{number:02}" for number in range(30)]
CLOSES = [100, 101, 103, 99, 96, 98, 102, 104, 101, 97, 95, 99]
_clients = itertools.count(500)
_symbols = iter(SYMBOLS)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator("tws", "--symbols", ",".join(SYMBOLS), "--cash", "1000000") as running:
        yield running


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Timetable(bt.Strategy):
    """Brackets, a cancel, a trail and a market order, decided by the bars alone."""

    def __init__(self) -> None:
        self.seen = 0
        self.resting: bt.Order | None = None

    def next(self) -> None:
        self.seen += 1
        if self.seen == 2:
            self.buy_bracket(size=5, exectype=bt.Order.Market, stopprice=97, limitprice=110)
        elif self.seen == 3:
            self.resting = self.buy(size=2, exectype=bt.Order.Limit, price=50)
        elif self.seen == 5:
            self.cancel(self.resting)
        elif self.seen == 6:
            self.buy(size=3)
            self.sell(size=3, exectype=bt.Order.StopTrail, trailamount=4)
        elif self.seen == 11:
            self.buy(size=1, exectype=bt.Order.Limit, price=96)


class Stepped(IBKRVenue):
    """The gateway's market moves with the strategy's bars, so that each run sees the same."""

    control: Any = None
    symbol = ""
    moved: set[int]

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        if number not in self.moved:
            self.moved.add(number)
            self.control.price(self.symbol, bars[self.symbol].close)
        await self.ping()


class Account:
    """A symbol at the gateway, its client, and what a run keeps of it."""

    def __init__(self, gateway: Simulator, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        self.symbol, self.client = next(_symbols), next(_clients)
        self.moved: set[int] = set()
        self.steps: list[str] = []
        gateway.control.price(self.symbol, CLOSES[0])

    def venue(self) -> IBKRVenue:
        settings = replace(SETTINGS, host=self.gateway.host, port=self.gateway.port, client_id=self.client)
        venue = Stepped(settings, symbols=[self.symbol], state=self.folder / "ibkr.db")
        venue.control, venue.symbol, venue.moved = self.gateway.control, self.symbol, self.moved
        return venue

    def run(self, cut_at: int | None = None) -> Recording | None:
        def on_step(name: str) -> None:
            self.steps.append(name)
            if len(self.steps) == cut_at:
                raise Killed(name)

        self.steps = []
        index = pd.date_range("2024-02-01", periods=len(CLOSES), freq="1D", tz="UTC", name="time")
        frame = pd.DataFrame({name: map(float, CLOSES) for name in ("open", "high", "low", "close")}, index)
        frame["volume"] = 1000.0
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            replay = PaperReplay(
                Timetable,
                {},
                {self.symbol: frame},
                self.venue,
                database.journal("run"),
                1_000_000.0,
                0.0,
                on_step=on_step,
            )
            try:
                return replay.run()
            except Killed:
                return None

    def orders(self) -> list[dict[str, Any]]:
        return [order for order in self.gateway.orders() if order["symbol"] == self.symbol]

    def told(self, recording: Recording) -> list[tuple[Any, ...]]:
        """What became of each order, but for the time it took."""
        columns = ["type", "side", "size", "status"]
        orders = [tuple(row) for row in recording.orders[columns].itertuples(index=False)]
        fills = [
            tuple(row) for row in recording.fills[["size", "price", "commission"]].itertuples(index=False)
        ]
        return [*orders, *fills]


@pytest.fixture(scope="module")
def uncut(
    gateway: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], list[tuple[Any, ...]]]:
    account = Account(gateway, tmp_path_factory.mktemp("uncut"))
    recording = account.run()
    assert recording is not None
    return account.steps, account.told(recording)


def test_a_strategy_trades_and_the_books_agree(gateway: Simulator, tmp_path: Path) -> None:
    account = Account(gateway, tmp_path)
    recording = account.run()
    assert recording is not None
    statuses = [order["status"] for order in account.orders()]
    assert Counter(statuses) == {"filled": 5, "cancelled": 2}
    bought = sum(float(o["filled"]) * (1 if o["side"] == "buy" else -1) for o in account.orders())
    assert recording.fills["size"].sum() == bought == 1
    assert list(recording.fills["price"]) == [101, 96, 98, 97, 95]


@pytest.mark.parametrize(
    ("step", "occurrence"),
    [
        ("intent.begin", 1),
        ("intent.committed", 1),
        ("intent.committed", 3),
        ("intent.committed", 6),
        ("submit.returned", 2),
        ("submit.returned", 3),
        ("submit.returned", 6),
        ("events.begin", 1),
        ("events.committed", 2),
        ("events.begin", 4),
        ("cancel.begin", 1),
        ("cancel.committed", 1),
        ("cancel.asked", 1),
    ],
)
def test_cut_off_and_started_again_it_ends_as_if_it_had_not_been(
    gateway: Simulator,
    tmp_path: Path,
    uncut: tuple[list[str], list[tuple[Any, ...]]],
    step: str,
    occurrence: int,
) -> None:
    steps, expected = uncut
    places = [number for number, name in enumerate(steps, 1) if name == step]
    account = Account(gateway, tmp_path)
    assert account.run(cut_at=places[occurrence - 1]) is None
    recording = account.run()
    assert recording is not None
    assert account.told(recording) == expected
    assert set(Counter(order["client_id"] for order in account.orders()).values()) == {1}
    assert len(account.orders()) == 7
