"""Runs one simulator: builds the market and the exchange as asked, and serves them until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from brokers.simulators.control import ControlServer
from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import FeeSchedule
from brokers.simulators.market import MINUTE, MarketClock, Tick, bars_as_ticks, merged, random_walk
from brokers.simulators.orders import Listing
from brokers.simulators.rules import Rules
from brokers.simulators.simulation import Simulation
from core.cli import print_json
from core.errors import UserError
from core.types import Bar

BY_HAND, SAMPLE, RANDOM = "hand", "sample", "random:"
SAMPLE_REFERENCE = "sample:goog"
WALK_STEP = timedelta(seconds=1)
WALK_START = Decimal(100)


class Server(Protocol):
    """What speaks a protocol over one simulation."""

    port: int

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        ...

    async def stop(self) -> None:
        """End every connection and stop listening."""
        ...

    def view(self) -> dict[str, Any]:
        """What the control API adds to its state."""
        ...


class House(Protocol):
    """What a kind of exchange brings along."""

    account: str
    fees: FeeSchedule
    rules: Rules
    leverage: Decimal | None

    def listing(self, symbol: str) -> Listing:
        """How a symbol is listed there."""
        ...

    def server(self, simulation: Simulation) -> Server:
        """What speaks its protocol."""
        ...

    def address(self, port: int) -> Mapping[str, Any]:
        """Where clients connect, as they need to be told."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for.

    start: market time at which the market begins; None is now. hours: see `Simulation`. attached: end with whoever
    holds the other end of standard input.
    """

    symbols: Sequence[str]
    market: str = SAMPLE
    cash: Decimal = Decimal(100_000)
    port: int = 0
    control_port: int = 0
    speed: float = 1.0
    start: datetime | None = None
    hours: tuple[time, time] | None = None
    state: Path | None = None
    json: bool = False
    attached: bool = False


def build(house: House, options: Options) -> Simulation:
    """The simulated exchange these options describe."""
    listings = [house.listing(symbol) for symbol in options.symbols]
    start = options.start or datetime.now(UTC).replace(microsecond=0)
    clock = MarketClock(start, options.speed)
    exchange = Exchange(listings, house.fees, clock.now, house.rules)
    money = {listing.quote: options.cash for listing in listings}
    exchange.open_account(house.account, money, house.leverage)
    path = market_path(options.market, listings, start)
    return Simulation(exchange, clock, path=path, state=options.state, hours=options.hours)


def market_path(market: str, listings: Sequence[Listing], start: datetime) -> Iterator[Tick] | None:
    """The ticks to play, or None where prices come by hand."""
    if market == BY_HAND:
        return None
    if market.startswith(RANDOM):
        seed = market.removeprefix(RANDOM)
        if not seed.isdigit():
            raise UserError(f"{market!r} names no seed", hint="for example --market random:7")
        walks = (
            random_walk(
                listing.symbol,
                int(seed),
                start=start,
                price=WALK_START,
                tick_size=listing.tick_size,
                step=WALK_STEP,
            )
            for listing in listings
        )
        return merged(walks)
    frames = _recorded_bars(SAMPLE_REFERENCE if market == SAMPLE else market)
    played = (
        bars_as_ticks(
            listing.symbol,
            frames[number % len(frames)],
            start=start,
            period=MINUTE,
            tick_size=listing.tick_size,
        )
        for number, listing in enumerate(listings)
    )
    return merged(played)


def _recorded_bars(reference: str) -> list[list[Bar]]:
    """The bars of each symbol of a market on file; dates do not matter, each is played in a minute."""
    from feeds.market import load

    columns = ["open", "high", "low", "close", "volume"]
    return [
        [
            Bar(symbol, time.to_pydatetime(), *row)
            for time, row in zip(frame.index, frame[columns].to_numpy().tolist(), strict=True)
        ]
        for symbol, frame in load(reference).frames.items()
    ]


async def serve(house: House, options: Options) -> None:
    """Serve until SIGINT or SIGTERM; prints one line once clients may connect."""
    simulation = build(house, options)
    server = house.server(simulation)
    control = ControlServer(simulation, lambda: {"port": server.port, **server.view()})
    stopped = told_to_stop(attached=options.attached)
    await server.start(options.port)
    await control.start(options.control_port)
    market = asyncio.create_task(simulation.run(), name="market")
    _say_ready(house, server.port, control.port, options)
    stop = asyncio.create_task(stopped.wait(), name="stop")
    await asyncio.wait(
        {stop, market} if options.market != BY_HAND else {stop}, return_when=asyncio.FIRST_COMPLETED
    )
    if market.done() and not market.cancelled():
        market.result()
        await stop
    market.cancel()
    stop.cancel()
    await server.stop()
    await control.stop()
    simulation.save()


def told_to_stop(*, attached: bool) -> asyncio.Event:
    """Set by SIGINT and SIGTERM. attached: and by the end of standard input."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if attached:
        loop.add_reader(
            sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1024) else stopped.set()
        )
    return stopped


def _say_ready(house: House, port: int, control_port: int, options: Options) -> None:
    ready = {**house.address(port), "control": control_port, "account": house.account}
    if options.json:
        print_json({"ready": ready, "symbols": list(options.symbols)})
        sys.stdout.flush()
    else:
        where = ", ".join(f"{name} {value}" for name, value in ready.items())
        print(f"ready: {where}; market {options.market}; Ctrl-C ends it", flush=True)
