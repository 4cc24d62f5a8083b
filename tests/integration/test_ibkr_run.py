"""A strategy through journal, risk and the IBKR venue, killed on the way and started again."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import store
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.types import Bar
from engine.recording import Recording
from engine.replay import PaperReplay
from tests.integration.timetable import CLOSES, Timetable
from tests.simulator import Simulator, simulator

SETTINGS = IBKRSettings(answer=5, heartbeat=1, patience=20, overdue=0.2, reconnect_first=0.05)
SYMBOLS = [f"R{number:02}" for number in range(90)]
_clients = itertools.count(500)
_symbols = iter(SYMBOLS)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator("tws", "--symbols", ",".join(SYMBOLS), "--cash", "1000000") as running:
        yield running


class Stepped(IBKRVenue):
    """The gateway's market moves with the strategy's bars, so that each life sees the same; counts what it keeps."""

    account: Account

    async def connect(self) -> None:
        """As ever, and from then on each writing down, and each sending, is a step."""
        await super().connect()
        self._log.commit = self._counted("venue.keeping", self._log.commit, "venue.kept")  # type: ignore[method-assign]
        book = self._reports.book
        book.note = self._counted("order.noting", book.note, "order.noted")  # type: ignore[method-assign]
        book.place = self._counted("order.placing", book.place, "order.placed")  # type: ignore[method-assign]
        self._send = self._counted("order.sending", self._send, "order.sent")  # type: ignore[method-assign]

    def _counted(self, before: str, call: Callable[..., None], after: str) -> Callable[..., None]:
        def counted(*arguments: Any, **named: Any) -> None:
            self.account.on_step(before)
            call(*arguments, **named)
            self.account.on_step(after)

        return counted

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        account = self.account
        if not account.moved(number):
            account.gateway.control.price(account.symbol, bars[account.symbol].close)
            account.note_moved(number)
        await self.ping()


class Account:
    """A symbol at the gateway, its client, and what a run keeps of it."""

    def __init__(self, gateway: Simulator, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        self.symbol, self.client = next(_symbols), next(_clients)
        self.steps: list[str] = []
        self.cut_at: tuple[str, int] | None = None
        gateway.control.price(self.symbol, CLOSES[0])

    def on_step(self, name: str) -> None:
        self.steps.append(name)
        if (name, self.steps.count(name)) == self.cut_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def moved(self, number: int) -> bool:
        return (self.folder / f"moved-{number}").exists()

    def note_moved(self, number: int) -> None:
        (self.folder / f"moved-{number}").touch()

    def venue(self) -> IBKRVenue:
        settings = replace(SETTINGS, host=self.gateway.host, port=self.gateway.port, client_id=self.client)
        venue = Stepped(settings, symbols=[self.symbol], state=self.folder / "ibkr.db")
        venue.account = self
        return venue

    def run(self) -> Recording:
        """One life, to its end."""
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
                on_step=self.on_step,
            )
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

    def orders(self) -> list[dict[str, Any]]:
        return [order for order in self.gateway.orders() if order["symbol"] == self.symbol]

    def told(self, recording: Recording) -> list[tuple[Any, ...]]:
        """What became of each order, but for the time it took, and for which of a bracket was told of first."""
        columns = ["type", "side", "size", "status"]
        orders = sorted(tuple(row) for row in recording.orders[columns].itertuples(index=False))
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
    return account.steps, account.told(recording)


def test_a_strategy_trades_and_the_books_agree(gateway: Simulator, tmp_path: Path) -> None:
    account = Account(gateway, tmp_path)
    recording = account.run()
    statuses = [order["status"] for order in account.orders()]
    assert Counter(statuses) == {"filled": 5, "cancelled": 2}
    bought = sum(float(o["filled"]) * (1 if o["side"] == "buy" else -1) for o in account.orders())
    assert recording.fills["size"].sum() == bought == 1
    assert list(recording.fills["price"]) == [101, 96, 98, 97, 95]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    "step",
    [
        "intent.begin",
        "intent.committed",
        "submit.returned",
        "events.begin",
        "events.committed",
        "cancel.begin",
        "cancel.committed",
        "cancel.asked",
        "venue.keeping",
        "venue.kept",
    ],
)
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(
    gateway: Simulator, tmp_path: Path, uncut: tuple[list[str], list[tuple[Any, ...]]], step: str, place: str
) -> None:
    steps, expected = uncut
    count = steps.count(step)
    if count == 1 and place != "first":
        pytest.skip("it happens once")
    _dies_and_goes_on(
        gateway, tmp_path, step, {"first": 1, "middle": count // 2, "last": count}[place], expected
    )


@pytest.mark.parametrize(
    ("step", "occurrence"),
    [
        *((step, number) for step in ("order.noting", "order.noted") for number in (1, 2, 3)),
        *((step, number) for step in ("order.placing", "order.placed") for number in range(1, 6)),
        *((step, number) for step in ("order.sending", "order.sent") for number in range(1, 8)),
    ],
)
def test_killed_wherever_an_order_is_on_its_way_it_is_sent_once(
    gateway: Simulator,
    tmp_path: Path,
    uncut: tuple[list[str], list[tuple[Any, ...]]],
    step: str,
    occurrence: int,
) -> None:
    steps, expected = uncut
    assert [steps.count(f"order.{kind}") for kind in ("noted", "placed", "sent")] == [3, 5, 7]
    _dies_and_goes_on(gateway, tmp_path, step, occurrence, expected)


def _dies_and_goes_on(
    gateway: Simulator, folder: Path, step: str, occurrence: int, expected: list[tuple[Any, ...]]
) -> None:
    account = Account(gateway, folder)
    account.die_at(step, occurrence)
    recording = account.run()
    assert account.told(recording) == expected
    assert set(Counter(order["client_id"] for order in account.orders()).values()) == {1}
    assert len(account.orders()) == 7
