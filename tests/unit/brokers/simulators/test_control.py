"""The control API over a real socket, and the simulation behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest

from brokers.simulators.control import Control, ControlServer
from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import ReceivedAssetFees
from brokers.simulators.market import MINUTE, MarketClock, flat_tick
from brokers.simulators.simulation import Simulation
from core.errors import DataError, UserError, VenueTransient
from core.types import OrderStatus, OrderType, Side
from tests.unit.brokers.simulators.venue_floor import LISTING, START, D, ticket

T = TypeVar("T")


def simulation(state: Path | None = None, path: list[object] | None = None) -> Simulation:
    clock = MarketClock(START, 0)
    exchange = Exchange([LISTING], ReceivedAssetFees(), clock.now)
    made = Simulation(exchange, clock, state=state, path=iter(path) if path else None)  # type: ignore[arg-type]
    exchange.open_account("me", {"USDT": D(1_000)})
    return made


def controlled(made: Simulation, act: Callable[[Control], T]) -> T:
    """What `act` returns, called from another thread while the server runs."""

    async def scenario() -> T:
        server = ControlServer(made, lambda: {"protocol": "none"})
        await server.start()
        try:
            return await asyncio.to_thread(act, Control(server.port))
        finally:
            await server.stop()

    return asyncio.run(scenario())


def test_prices_trades_and_the_clock_are_moved_by_hand() -> None:
    made = simulation()

    def act(control: Control) -> dict[str, object]:
        control.price("BTCUSDT", "100", bid="99", ask="101", volume="3")
        control.trade("me", "BTCUSDT", Side.BUY, "2")
        control.advance(60)
        return control.state()

    state = controlled(made, act)
    assert state["protocol"] == "none"
    assert state["time"] == (START + MINUTE).isoformat()
    assert made.exchange.books.account("me").balances == {"USDT": D(798), "BTC": D("1.998")}
    (order,) = made.exchange.books.orders("me")
    assert (order.external, order.value, order.status) == (True, D(202), OrderStatus.FILLED)
    assert [bar.closed for bar in made.bars.bars("BTCUSDT")] == [True]


def test_faults_are_set_and_cleared() -> None:
    made, restarted = simulation(), []
    made.faults.on_now(lambda fault: restarted.append((fault.name, fault.seconds)))

    def act(control: Control) -> list[object]:
        control.fault("hold", match="order", seconds=2)
        waiting = control.state()["faults"]
        control.clear()
        control.restart(1.5)
        return [waiting, control.state()["faults"]]

    assert controlled(made, act) == [["hold"], []]
    assert restarted == [("restart", 1.5)]


@pytest.mark.parametrize(
    "act",
    [
        lambda control: control.fault("holt"),
        lambda control: control.price("NOPE", 1),
        lambda control: control.price("BTCUSDT", "much"),
        lambda control: control.trade("you", "BTCUSDT", Side.BUY, 1),
        lambda control: control.trade("me", "BTCUSDT", Side.BUY, 1),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(act: Callable[[Control], object]) -> None:
    with pytest.raises(UserError):
        controlled(simulation(), act)


def test_no_simulator_is_said_so() -> None:
    with pytest.raises(VenueTransient, match="no simulator answers"):
        Control(9).state()


def test_the_partial_fault_fills_a_part_of_the_next_order() -> None:
    made = simulation()

    def act(control: Control) -> None:
        control.price("BTCUSDT", 100)
        control.fault("partial", value="0.5")

    controlled(made, act)
    order = made.exchange.submit(ticket(Side.BUY, OrderType.MARKET, "4"))
    assert order.filled == D(2)
    made.price("BTCUSDT", D(100))
    assert order.filled == D(4)


def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "exchange.json"
    first = simulation(file)
    first.price("BTCUSDT", D(100))
    first.trade("me", "BTCUSDT", Side.BUY, D(1))
    later = simulation(file)
    assert later.exchange.books.state == first.exchange.books.state
    assert json.loads(file.read_text())["accounts"]["me"]["balances"]["USDT"] == "900.00"
    file.write_text("{")
    with pytest.raises(DataError, match="no state of a simulator"):
        simulation(file)


def test_a_path_is_played_as_the_clock_allows() -> None:
    ticks = [flat_tick(START + timedelta(seconds=s), "BTCUSDT", D(100 + s)) for s in (0, 10, 20)]
    made = simulation(path=list(ticks))
    seen: list[Decimal] = []

    async def scenario() -> None:
        came = asyncio.Event()

        def note(tick: object, bars: object) -> None:
            last = made.exchange.books.tick("BTCUSDT")
            assert last is not None
            seen.append(last.last)
            came.set()

        made.on_tick(note)
        playing = asyncio.create_task(made.run())
        await came.wait()
        came.clear()
        made.advance(15)
        await came.wait()
        assert seen == [D(100), D(110)]
        made.advance(5)
        await playing

    asyncio.run(scenario())
    assert seen == [D(100), D(110), D(120)]
