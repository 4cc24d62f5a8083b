"""A strategy through journal, risk and the IBKR venue, killed on the way and started again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.types import Bar
from tests.integration.cut_runs import CutRun, Told, told
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
    """The gateway's market moves with the strategy's bars; counts what is kept and sent."""

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
        self.account.move(number, bars[self.account.symbol].close)
        await self.ping()


class Account(CutRun):
    """A symbol at the gateway that nobody else trades, and its client."""

    def __init__(self, gateway: Simulator, folder: Path) -> None:
        symbol = next(_symbols)
        self.gateway, self.client = gateway, next(_clients)
        super().__init__(folder, symbol, lambda price: gateway.control.price(symbol, price), 1_000_000.0)

    def venue(self) -> IBKRVenue:
        settings = replace(SETTINGS, host=self.gateway.host, port=self.gateway.port, client_id=self.client)
        venue = Stepped(settings, symbols=[self.symbol], state=self.folder / "ibkr.db")
        venue.account = self
        return venue

    def orders(self) -> list[dict[str, Any]]:
        return [order for order in self.gateway.orders() if order["symbol"] == self.symbol]


@pytest.fixture(scope="module")
def uncut(gateway: Simulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Told]:
    account = Account(gateway, tmp_path_factory.mktemp("uncut"))
    recording = account.run()
    return account.steps, told(recording)


def test_a_strategy_trades_and_the_books_agree(gateway: Simulator, tmp_path: Path) -> None:
    account = Account(gateway, tmp_path)
    recording = account.run()
    statuses = [order["status"] for order in account.orders()]
    assert Counter(statuses) == {"filled": 5, "cancelled": 2}
    bought = sum(float(o["filled"]) * (1 if o["side"] == "buy" else -1) for o in account.orders())
    assert recording.fills["size"].sum() == bought == 1
    assert list(recording.fills["price"]) == [101, 96, 98, 97, 95]


OFTEN = (
    "intent.begin",
    "intent.committed",
    "submit.returned",
    "events.begin",
    "events.committed",
    "venue.keeping",
    "venue.kept",
)
ONCE = ("cancel.begin", "cancel.committed", "cancel.asked")


@pytest.mark.parametrize(
    ("step", "place"),
    [*itertools.product(OFTEN, ["first", "middle", "last"]), *((step, "first") for step in ONCE)],
)
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(
    gateway: Simulator, tmp_path: Path, uncut: tuple[list[str], Told], step: str, place: str
) -> None:
    steps, expected = uncut
    count = steps.count(step)
    assert (count == 1) == (step in ONCE)
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
    uncut: tuple[list[str], Told],
    step: str,
    occurrence: int,
) -> None:
    steps, expected = uncut
    assert [steps.count(f"order.{kind}") for kind in ("noted", "placed", "sent")] == [3, 5, 7]
    _dies_and_goes_on(gateway, tmp_path, step, occurrence, expected)


def _dies_and_goes_on(gateway: Simulator, folder: Path, step: str, occurrence: int, expected: Told) -> None:
    account = Account(gateway, folder)
    account.die_at(step, occurrence)
    orders, fills = told(account.run())
    # Which of a bracket is told of first may change: a session that comes back hears of all of them at once.
    assert (sorted(orders), fills) == (sorted(expected[0]), expected[1])
    assert set(Counter(order["client_id"] for order in account.orders()).values()) == {1}
    assert len(account.orders()) == 7
