"""A session dies while its trailing stops move, at every durable step; the next finds them where they stood."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import store
from brokers.base import Venue
from brokers.binance import BinanceVenue
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.types import Bar, SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.stops import StopPlan, trailing_stop
from tests.integration.binance_desk import NATIVE, SYMBOL, venue_on
from tests.integration.cut_runs import CutRun, Told, told
from tests.simulator import Simulator, simulator

D = Decimal
SETTINGS = IBKRSettings(answer=5, heartbeat=1, patience=20, overdue=0.2, reconnect_first=0.05)
POINTS = {"binance": 6, "ibkr": 10}
"""Deaths at each venue, spread over the steps from the entry's first fill on."""
SYMBOLS = [f"T{number:02}" for number in range(POINTS["ibkr"] + 1)]
WORKING = ("accepted", "partial")
_clients = itertools.count(700)
_symbols = iter(SYMBOLS)


class Follower(Strategy):
    """Buys once, and lets stops trail by a twentieth; what fills later gets one of its own."""

    lot = 0.001

    def signal(self) -> TradingSignal:
        return TradingSignal(SignalType.LONG) if len(self) == 2 else HOLD

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        return trailing_stop(0.05)

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        return 10.0


class Trailing(CutRun):
    """An account whose entry fills in three parts, and whose stop then moves up with every bar until it fills."""

    strategy = Follower
    closes = (100, 100, 101, 104, 104, 108, 112, 116, 109, 104)
    sim: Simulator

    def __init__(self, sim: Simulator, folder: Path, symbol: str, native: str) -> None:
        self.sim, self.native, self.last_step = sim, native, -1
        super().__init__(folder, symbol, lambda price: sim.control.price(native, price), 10_000.0)
        sim.control.fault("partial", match=native, value="0.5", times=2)

    def on_step(self, name: str) -> None:
        self.cut_at = (name, self.steps.count(name) + 1) if len(self.steps) == self.last_step else None
        super().on_step(name)

    def die_at_step(self, number: int) -> None:
        """One life that is killed at its step of that number, from 0."""
        self.last_step = number
        self.die_at("", 0)
        self.last_step = -1

    def move(self, number: int, price: float) -> None:
        self.on_step("market.moving")
        super().move(number, price)
        self.on_step("market.moved")

    def counted(self, call: Callable[..., None]) -> Callable[..., None]:
        """Each writing down is two steps."""

        def counted(*arguments: Any) -> None:
            self.on_step("venue.keeping")
            call(*arguments)
            self.on_step("venue.kept")

        return counted

    def orders(self) -> list[dict[str, Any]]:
        return [order for order in self.sim.orders() if order["symbol"] == self.native]

    def stops(self) -> list[dict[str, Any]]:
        """The stops that can fill."""
        return [o for o in self.orders() if o["side"] == "sell" and o["status"] in WORKING]

    def stored(self) -> dict[str, tuple[Decimal | None, int]]:
        """Where the journal says that stops stand, and how often each has moved."""
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            kept = database.journal("run").stops()
        return {client_id: (stop.trigger, stop.changes) for client_id, stop in kept.items()}

    def check_where_it_stands(self, told: Mapping[str, Decimal | None]) -> None:
        """A session that has just come back says of each stop what the venue has."""
        for order in self.stops():
            assert told[order["client_id"].partition(".")[0]] == self.level(order)

    @abstractmethod
    def level(self, order: Mapping[str, Any]) -> Decimal | None:
        """What the venue tells of where a trailing stop stands."""

    def check_history(self) -> None:
        """At no moment could the exits fill more than was held; what a stop protects it protects until it fills."""
        held, exits, bare = D(0), {}, D(0)
        for event in self.sim.control.state()["events"]:
            order, execution = event["order"], event["execution"]
            if order["symbol"] != self.native:
                continue
            if execution is not None:
                size = D(execution["size"])
                fee = D(execution["fee"]) if execution["fee_asset"] in self.symbol.split("/")[:1] else D(0)
                held += size - fee if execution["side"] == "buy" else -size
            if order["side"] == "sell":
                left = D(order["size"]) - D(order["filled"])
                exits[order["id"]] = left if order["status"] in WORKING else D(0)
            protected = sum(exits.values(), D(0))
            assert protected <= held
            assert held - protected <= bare or order["side"] == "buy"
            bare = held - protected


class BinanceTrailing(Trailing):
    """Binance says by how much a stop trails, and never where it stands."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        sim.control.reset()
        super().__init__(sim, folder, SYMBOL, NATIVE)

    def venue(self) -> BinanceVenue:
        made = venue_on(self.sim, self.folder / "venue.db", of=BinanceStepped)
        assert isinstance(made, BinanceStepped)
        made.account = self
        made._book.log.commit = self.counted(made._book.log.commit)  # type: ignore[method-assign]
        return made

    def level(self, order: Mapping[str, Any]) -> None:
        return None


class IBKRTrailing(Trailing):
    """A symbol that nobody else trades."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        symbol = next(_symbols)
        self.client = next(_clients)
        super().__init__(sim, folder, symbol, symbol)

    def venue(self) -> IBKRVenue:
        settings = replace(SETTINGS, host=self.sim.host, port=self.sim.port, client_id=self.client)
        made = IBKRStepped(settings, symbols=[self.symbol], state=self.folder / "venue.db")
        made.account = self
        made._log.commit = self.counted(made._log.commit)  # type: ignore[method-assign]
        return made

    def level(self, order: Mapping[str, Any]) -> Decimal:
        return D(order["trigger"])


class BinanceStepped(BinanceVenue):
    """The market moves with the strategy's bars."""

    account: BinanceTrailing

    async def connect(self) -> None:
        await super().connect()
        self.account.check_where_it_stands(await _standing(self))

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        self.account.move(number, bars[self.account.symbol].close)
        await self.ping()


class IBKRStepped(IBKRVenue):
    """The market moves with the strategy's bars."""

    account: IBKRTrailing

    async def connect(self) -> None:
        await super().connect()
        self.account.check_where_it_stands(await _standing(self))

    async def step(self, number: int, time: datetime, bars: Mapping[str, Bar]) -> None:
        """One bar."""
        self.account.move(number, bars[self.account.symbol].close)
        await self.ping()


async def _standing(venue: Venue) -> dict[str, Decimal | None]:
    return {order.client_id: order.trigger for order in await venue.open_orders()}


VENUES: Mapping[str, tuple[str, str, type[BinanceTrailing] | type[IBKRTrailing]]] = {
    "binance": ("binance", SYMBOL, BinanceTrailing),
    "ibkr": ("tws", ",".join(SYMBOLS), IBKRTrailing),
}


class Houses:
    """The simulated venues, each with what an undisturbed run comes to."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._known: dict[str, tuple[Simulator, Trailing, Told]] = {}

    def __call__(self, venue: str) -> tuple[Simulator, Trailing, Told]:
        if venue not in self._known:
            exchange, symbols, kind = VENUES[venue]
            sim = self._stack.enter_context(simulator(exchange, "--cash", "10000", "--symbols", symbols))
            (self._folder / venue).mkdir()
            account = kind(sim, self._folder / venue)
            self._known[venue] = sim, account, told(account.run())
        return self._known[venue]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    with ExitStack() as stack:
        yield Houses(stack, tmp_path_factory.mktemp("uncut"))


@pytest.mark.parametrize("venue", VENUES)
def test_what_an_entry_fills_later_gets_a_stop_of_its_own_and_all_trail(house: Houses, venue: str) -> None:
    """L26: at IBKR every level is stored; Binance tells none, and none is made up."""
    _, account, (orders, fills) = house(venue)
    account.check_history()
    assert [(kind, status) for kind, _, _, status in orders] == [
        ("market", "filled"),
        ("stop_trail", "filled"),
        ("stop_trail", "filled"),
    ]

    assert [price for _, price, _ in fills] == [100, 101, 104, 109, 109]
    levels = {"binance": {None}, "ibkr": {D("110.2")}}
    assert {level for level, _ in account.stored().values()} == levels[venue]


@pytest.mark.parametrize(
    ("venue", "point"), [(venue, point) for venue, points in POINTS.items() for point in range(points)]
)
def test_killed_while_its_stops_move_it_finds_them_where_they_stood(
    house: Houses, tmp_path: Path, venue: str, point: int
) -> None:
    sim, uncut, expected = house(venue)
    first = uncut.steps.index("events.committed") + 1
    account = VENUES[venue][2](sim, tmp_path)
    account.die_at_step(first + point * (len(uncut.steps) - first) // POINTS[venue])
    assert len(account.stops()) <= 2
    assert told(account.run()) == expected
    assert set(Counter(order["client_id"] for order in account.orders()).values()) == {1}
    account.check_history()
    # Ids of the orders differ by nothing but the symbol, which is in them.
    assert sorted(account.stored().values(), key=str) == sorted(uncut.stored().values(), key=str)
    for order in account.orders()[1:]:
        assert account.stored()[order["client_id"]][0] == account.level(order)
