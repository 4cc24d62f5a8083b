"""A stop that grows with its entry is replaced in one request: whatever strikes, what is protected stays protected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from brokers.binance import BinanceVenue
from brokers.simulation.market import NATIVE
from brokers.simulation.mortality import Died
from brokers.simulators.binance.errors import BinanceError
from core.types import OrderIntent, OrderType, Side
from tests.unit.brokers.in_process import D, InProcess, bracket, intent

REPLACE = "POST order/cancelReplace"
BOUGHT = D("1.998")
"""Two units, less what their commission took."""

AWAY_SECONDS = 40.0
STOP = intent("stop", OrderType.STOP, Side.SELL, price=D(95), parent="entry")
TRAIL = intent("stop", OrderType.STOP_TRAIL, Side.SELL, trail_percent=D("0.05"), parent="entry")
FAULTS = (
    "drop-before-accept",
    "drop-after-accept",
    "silence-before-accept",
    "silence-after-accept",
    "fail-before-accept",
    "fail-after-accept",
    "hold",
    "hold-answer",
    "reject",
    "rate-limit",
)


class Watched:
    """An exchange at which an entry fills in two parts; notes when less is protected than was before."""

    def __init__(self, *script: tuple[str, str], stop: OrderIntent = STOP) -> None:
        self.place = InProcess(*script)
        self.orders: Sequence[OrderIntent] = [bracket(OrderType.LIMIT, price=D(99))[0], stop]
        self.protected, self.shrank = D(0), False
        self.place.loop.on_round = self._look

    def covered(self) -> Any:
        """Units of the stop that can fill."""
        resting = self.place.market.exchange.books.open.values()
        return sum((o.remaining for o in resting if o.client_id.partition(".")[0] == "stop"), D(0))

    def _look(self, number: int) -> None:
        covered = self.covered()
        self.shrank = self.shrank or covered < self.protected
        self.protected = max(self.protected, covered)

    async def submit(self, venue: BinanceVenue) -> None:
        """As the executor hands orders over again after a restart: it asks first."""
        for order in self.orders:
            if await venue.order(order.client_id) is None:
                await venue.submit(order)

    async def fill(self) -> None:
        """Half of what is asked for trades, then the other half, unless it has."""
        entry = next(o for o in self.place.market.exchange.books.state.orders.values() if o.side is Side.BUY)
        for filled in (D(1), D(2)):
            if entry.filled < filled:
                self.place.market.simulation.price(NATIVE, D(99), volume=D(1))
                await asyncio.sleep(5)

    def check(self) -> None:
        """All that was bought is protected by one stop, and nobody was told of more than one."""
        assert self.covered() == BOUGHT
        assert len([name for name in self.place.resting() if name.startswith("stop")]) == 1
        assert self.place.statuses("stop") == ["submitted", "accepted"]


async def grow(case: Watched) -> None:
    """One life to its end."""
    venue = case.place.venue()
    await venue.connect()
    await case.submit(venue)
    await case.fill()
    await asyncio.sleep(AWAY_SECONDS)
    await venue.close()


@pytest.mark.parametrize("stop", [STOP, TRAIL], ids=["fixed", "trailing"])
def test_a_stop_grows_in_one_request(stop: OrderIntent) -> None:
    case = Watched(stop=stop)
    case.place.run(lambda: grow(case))
    case.check()
    assert not case.shrank
    assert sum(REPLACE in line for line in case.place.trace) == 1
    assert not any("DELETE" in line for line in case.place.trace)


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_becomes_of_the_request_what_was_protected_is(fault: str) -> None:
    case = Watched((REPLACE, fault))
    case.place.run(lambda: grow(case))
    assert any(f"{REPLACE} stop.2 [{fault}]" in line for line in case.place.trace)
    case.check()
    assert not case.shrank


@pytest.mark.parametrize("answered", [True, False], ids=["told", "lost"])
def test_a_new_order_that_is_refused_after_the_cancel_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """-2021: at once; where nobody heard that, as soon as it is certain that it cannot come any more."""
    case = Watched(*(() if answered else ((REPLACE, "drop-after-accept"),)))
    refuse_once(case, monkeypatch)
    case.place.run(lambda: grow(case))
    assert case.shrank
    assert case.place.sent_alone("stop") == ["stop", "stop.3"]
    case.check()


def refuse_once(case: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange refuses the new order of the first replacement, whose cancel it has carried out."""
    trading = case.place.market.operations.trading
    place, refusals = trading.place, [BinanceError(-2010, "Filter failure")]

    def placed(params: Any, account: str) -> Any:
        if "cancelReplaceMode" in params and refusals:
            raise refusals.pop()
        return place(params, account)

    monkeypatch.setattr(trading, "place", placed)


@pytest.mark.parametrize("refused", [False, True])
def test_wherever_the_process_died_the_next_finds_it_protected(
    monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """With the new order refused, it is sent again by the session that comes back, first of all."""
    deaths = 0
    for point in range(1, 60):
        case = Watched()
        if refused:
            refuse_once(case, monkeypatch)

        async def scenario(case: Watched = case, point: int = point) -> None:
            nonlocal deaths
            life = case.place.life(point)
            venue = case.place.venue(life)
            with suppress(Died):
                await venue.connect()
                await case.submit(venue)
                await case.fill()
            deaths += not life.alive
            life.alive = False
            await asyncio.sleep(AWAY_SECONDS)
            assert refused or not case.shrank
            venue = case.place.venue()
            await venue.connect()
            await case.submit(venue)
            await case.fill()
            await asyncio.sleep(AWAY_SECONDS)
            await venue.close()

        case.place.run(scenario)
        case.check()
        assert refused or not case.shrank
    assert deaths > 30
