"""No entry on what is old: bars that do not come, a stream of events that is lost. At both simulated venues."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import store
from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from brokers.risk import RiskGate
from engine.live_feeds import venue_feeds
from engine.live_path import LivePath
from feeds.live.binance import StreamSettings
from feeds.live.ibkr import IBKRStreamSettings
from live.watch import Watch
from tests.integration.live_bars import MINUTE, market_time, minutes, passing_time
from tests.simulator import Simulator, simulator

SILENT_SECONDS = 2.0
SECONDS = 60.0
_clients = itertools.count(820)


@dataclass
class Place:
    """One simulated venue, and how to reach it."""

    sim: Simulator
    name: str
    symbol: str
    native: str
    settings: Any = None
    make: Callable[[Path], Any] = field(default=lambda folder: None)


@pytest.fixture(params=["binance", "ibkr"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    symbol = {"binance": "ABC/USDT", "ibkr": "ABC"}[request.param]
    exchange = {"binance": "binance", "ibkr": "tws"}[request.param]
    with simulator(exchange, "--symbols", symbol, "--cash", "100000") as sim:
        found = Place(sim, request.param, symbol, symbol.replace("/", ""))
        if request.param == "binance":
            where = f"{sim.host}:{sim.port}"
            rest, streams = f"http://{where}/api/v3", f"ws://{where}/ws"
            found.settings = StreamSettings(rest, streams, 2.0, silence_seconds=1.0)
            keys = BinanceSettings(
                "rehearsal-key",
                "rehearsal-secret",
                rest,
                streams,
                f"ws://{where}/ws-api/v3",
                ping_seconds=0.5,
            )
            found.make = lambda folder: BinanceVenue(keys, symbols=[symbol], state=folder / "venue.db")
        else:
            found.settings = IBKRStreamSettings(
                sim.host, sim.port, next(_clients), answer=2.0, silence_seconds=1.0
            )
            tws = IBKRSettings(host=sim.host, port=sim.port, client_id=next(_clients), heartbeat=0.5)
            found.make = lambda folder: IBKRVenue(tws, symbols=[symbol], state=folder / "venue.db")
        minutes(sim, found.native, 6)
        yield found


class Persistent(bt.Strategy):
    """Bids far below the market; when that fills between two bars, wants more, then out; enters again on the next bar."""

    bid: Any = None
    more: Any = None
    out: Any = None
    again: Any = None
    live = False

    def notify_data(self, data: Any, status: int, *args: object, **kwargs: object) -> None:
        self.live = status == data.LIVE

    def next(self) -> None:
        if self.live and (self.bid is None or self.ended_empty(self.bid)):
            self.bid = self.buy(size=1, exectype=bt.Order.Limit, price=50.0)
        elif self.out is not None and (self.again is None or self.ended_empty(self.again)):
            self.again = self.buy(size=1)

    @staticmethod
    def ended_empty(order: Any) -> bool:
        """Refused, or given up by a session that was held up for a while."""
        return not order.alive() and order.status != bt.Order.Completed

    def __repr__(self) -> str:
        orders = {name: getattr(self, name) for name in ("bid", "more", "out", "again")}
        return f"live={self.live}, " + ", ".join(
            f"{name}={order and order.getstatusname()}" for name, order in orders.items()
        )

    def notify_order(self, order: bt.Order) -> None:
        if self.bid is not None and order.ref == self.bid.ref and order.status == bt.Order.Completed:
            self.more = self.buy(size=1)
            self.out = self.sell(size=0.5 if order.executed.size < 1 else 1)
        if self.again is not None and order.ref == self.again.ref and order.status == bt.Order.Completed:
            self.env.runstop()


def until(done: Callable[[], Any], told: object = "") -> None:
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end, told
        time.sleep(0.02)


def test_bars_that_do_not_come_block_entries_and_no_exit(place: Place, tmp_path: Path) -> None:
    """The market stands still while its feed is up: what decides on other news may get out, and not in."""
    watch = Watch(SILENT_SECONDS, lambda seconds, act: path.gateway.later(seconds, act))
    seen: list[Persistent] = []
    refused: list[str] = []

    class Seen(Persistent):
        def start(self) -> None:
            seen.append(self)

    def resting() -> bool:
        return bool(seen) and seen[0].bid is not None and seen[0].bid.status == bt.Order.Accepted

    def stand_still_and_go_on() -> None:
        try:
            with passing_time(place.sim, place.native):
                until(resting, seen)
            until(lambda: watch.blocked(place.symbol), seen)
            place.sim.control.price(place.native, 49)
            until(lambda: seen[0].out is not None and seen[0].out.status == bt.Order.Completed, seen)
            with passing_time(place.sim, place.native):
                until(lambda: seen[0].again is not None and seen[0].again.status == bt.Order.Completed, seen)
        finally:
            path.request_stop()

    with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
        path = LivePath(
            Seen,
            {},
            venue_feeds(
                place.name,
                [place.symbol],
                "1m",
                settings=place.settings,
                backfill=0,
                since=market_time(place.sim) - 3 * MINUTE,
                folder=tmp_path,
                on_state=watch.on_state,
                on_bar=watch.on_bar,
            ),
            lambda: place.make(tmp_path),
            database.journal("stale"),
            5_000.0,
            0.0,
            risk=RiskGate(rules=[watch]),
            ending="leave",
            quick=True,
            on_event=lambda event, intent: refused.append(event.reason) if event.reason else None,
        )
        market = threading.Thread(target=stand_still_and_go_on)
        market.start()
        try:
            path.run()
        finally:
            market.join()
    (strategy,) = seen
    assert strategy.more.status == bt.Order.Rejected
    assert strategy.out.status == strategy.again.status == bt.Order.Completed
    assert f"no bar of {place.symbol} for 2 s: no new entries" in refused


def test_a_venue_says_when_it_is_no_longer_heard(place: Place, tmp_path: Path) -> None:
    async def disconnected() -> list[bool]:
        told: list[bool] = []
        lost, back = asyncio.Event(), asyncio.Event()

        def hear(stands: bool) -> None:
            told.append(stands)
            (back if stands else lost).set()

        venue = place.make(tmp_path)
        await venue.connect()
        try:
            venue.watch_stream(hear)
            place.sim.control.fault("disconnect")
            async with asyncio.timeout(SECONDS):
                await lost.wait()
                await back.wait()
        finally:
            await venue.close()
        return told

    told = asyncio.run(disconnected())
    assert told[0] is False
    assert True in told
