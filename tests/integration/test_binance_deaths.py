"""The session dies around every commit of a bracket's life; the next one finds everything and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.binance import BinanceVenue
from brokers.venue_log import VenueLog
from core.errors import VenueTransient
from core.types import OrderType, Side
from tests.integration.binance_desk import NATIVE, SYMBOL, intent, limit_buy, statuses, venue_on
from tests.simulator import Simulator, simulator

D = Decimal
COMMITS = 24
"""Fewer than the script makes: see the first test."""


class Died(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    arguments = ("--cash", "10000", "--symbols", SYMBOL, "--speed", "1", "--market", "hand")
    with simulator("binance", *arguments) as running:
        yield running


class Deaths:
    """Ends the session before or after its nth commit; n 0 never does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int, *, before: bool) -> None:
        self.commits, self._nth, self._before = 0, nth, before
        whole = VenueLog.commit

        def commit(log: VenueLog[Any], *arguments: Any) -> None:
            self.commits += 1
            if self.dead and (self._before or self.commits > self._nth):
                raise Died
            whole(log, *arguments)
            if self.dead:
                raise Died

        monkeypatch.setattr(VenueLog, "commit", commit)

    @property
    def dead(self) -> bool:
        return 0 < self._nth <= self.commits

    def revive(self) -> None:
        self._nth = 0


async def submit(venue: BinanceVenue, order: Any) -> None:
    """As the executor hands over an order again after a restart: it asks first."""
    if await venue.order(order.client_id) is None:
        await venue.submit(order)


async def market(sim: Simulator, venue: BinanceVenue, price: object, **fields: object) -> None:
    await asyncio.to_thread(sim.control.price, NATIVE, price, **fields)
    await venue.ping()


async def amend(venue: BinanceVenue) -> None:
    state = await venue.order("other")
    if state is not None and state.limit != D(86):
        await venue.amend("other", price=D(86))


async def cancel(venue: BinanceVenue) -> None:
    await venue.cancel("other")


def script(sim: Simulator) -> list[Callable[[BinanceVenue], Awaitable[object]]]:
    stop = intent("stop", OrderType.STOP, Side.SELL, price=D(80), parent="entry", transmit=False)
    target = intent("target", OrderType.LIMIT, Side.SELL, price=D(120), parent="entry")
    return [
        lambda venue: submit(venue, limit_buy("entry", 90, transmit=False)),
        lambda venue: submit(venue, stop),
        lambda venue: submit(venue, target),
        lambda venue: submit(venue, limit_buy("other", 85)),
        amend,
        lambda venue: market(sim, venue, 90, volume="0.5"),
        cancel,
        lambda venue: market(sim, venue, 90),
    ]


async def play(
    sim: Simulator, state: Path, deaths: Deaths, check: Callable[[BinanceVenue], Awaitable[None]]
) -> None:
    """The script; from the step at which the session died on, in a session of its own, which is checked."""
    steps, done = script(sim), 0
    while done < len(steps):
        venue = venue_on(sim, state, recv_window=700, timeout_seconds=3.0)
        try:
            await venue.connect()
            while done < len(steps):
                await steps[done](venue)
                if deaths.dead:
                    raise Died
                done += 1
            await check(venue)
        except (Died, VenueTransient):
            # Where the stream's reader died, its connection is silent from then on.
            assert deaths.dead
            deaths.revive()
        finally:
            await venue.close()


def check_exchange(sim: Simulator) -> None:
    """One bracket, protected to the last lot, and nothing else."""
    orders, state = sim.orders(), sim.control.state()
    live = {o["client_id"].partition(".")[0]: o for o in orders if o["status"] in ("accepted", "partial")}
    assert sorted(live) == ["stop", "target"]
    bought = sum((D(e["size"]) - D(e["fee"]) for e in state["executions"]), D(0))
    assert bought == D("1.998")
    assert [D(o["size"]) - D(o["filled"]) for o in live.values()] == [bought, bought]
    for name in ("entry", "other", "stop", "target"):
        filled = sum((D(o["filled"]) for o in orders if o["client_id"].partition(".")[0] == name), D(0))
        assert filled == (2 if name == "entry" else 0)


async def check_venue(venue: BinanceVenue) -> None:
    """It says what the exchange has, in events without a gap."""
    assert (await venue.positions())[SYMBOL].size == D("1.998")
    events = list(await venue.fills(0))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert (await statuses(venue, "entry"))[-1] == "filled"
    assert (await statuses(venue, "other"))[-1] == "cancelled"
    assert await statuses(venue, "stop") == ["submitted", "accepted"]


@pytest.mark.parametrize("nth", range(COMMITS + 1))
def test_the_next_session_goes_on(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    sim.control.reset()
    sim.control.price(NATIVE, 100)
    deaths = Deaths(monkeypatch, nth, before=nth % 2 == 0)

    async def whole() -> None:
        async with asyncio.timeout(60):
            await play(sim, tmp_path / "log.db", deaths, check_venue)

    asyncio.run(whole())
    check_exchange(sim)
    if nth == 0:
        assert deaths.commits > COMMITS
