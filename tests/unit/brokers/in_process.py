"""The Binance venue over the in-process exchange, with faults that are written down instead of drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from brokers.binance import BinanceVenue
from brokers.simulation.faults import Faults
from brokers.simulation.loop import LoopClock, VirtualLoop
from brokers.simulation.market import NATIVE, START, SYMBOL, Market
from brokers.simulation.mortality import Disk, Life
from brokers.simulation.network import Network
from brokers.simulation.session import simulated_venue
from core.types import OrderIntent, OrderType, Side

D = Decimal


class Still(Market):
    """A market that moves when it is told to."""

    def _move(self) -> None:
        self.to(100)

    def to(self, price: object) -> None:
        self.simulation.price(NATIVE, D(str(price)))


class Scripted(Faults):
    """Faults by what they strike: (part of the request or report, fault), each once, in any order."""

    def __init__(self, *script: tuple[str, str]) -> None:
        super().__init__(Random(0))
        self.script = list(script)

    def on_request(self, what: str, names: tuple[str, ...]) -> str | None:
        return self._next(what)

    def on_report(self, what: str) -> str | None:
        return self._next(what)

    def _next(self, what: str) -> str | None:
        for entry in self.script:
            if entry[0] in what:
                self.script.remove(entry)
                return entry[1]
        return None


class InProcess:
    """One exchange and one bot's disk, for several lives."""

    def __init__(self, *script: tuple[str, str]) -> None:
        self.loop = VirtualLoop()
        self.trace: list[str] = []
        self.faults = Scripted(*script)
        self.market = Still(self.loop, 0, self.faults)
        self.network = Network(self.loop, self.market, self.faults, self.trace.append)
        self.clock = LoopClock(self.loop, START)
        self.disk = Disk()
        self.lives = 0

    def life(self, dies_at: int | None = None) -> Life:
        self.lives += 1
        return Life(self.lives, self.trace.append, dies_at)

    def venue(self, life: Life | None = None) -> BinanceVenue:
        return simulated_venue(self.market, self.network, life or self.life(), self.clock, self.disk)

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in virtual time; half an hour of that is the most."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(asyncio.wait_for(scenario(), 1_800))
            self.loop.run_until_complete(self._end())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _end(self) -> None:
        """What dead lives leave behind."""
        left = [task for task in self.loop.tasks if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def statuses(self, client_id: str) -> list[str]:
        """What was told of an order."""
        return [event.status.value for event in self.disk.events if event.client_id == client_id]

    def sent_alone(self, *client_ids: str) -> list[str]:
        """Orders of these that the exchange ever took outside a list."""
        orders = self.market.exchange.books.state.orders.values()
        alone = [order.client_id for order in orders if order.group is None]
        return [sent for sent in alone if sent.partition(".")[0] in client_ids]

    def resting(self) -> list[str]:
        """Client ids of what is open at the exchange."""
        return [order.client_id for order in self.market.exchange.books.open.values()]


def intent(
    client_id: str, kind: OrderType = OrderType.MARKET, side: Side = Side.BUY, **terms: Any
) -> OrderIntent:
    given = {
        "size": D(2),
        "reference_price": D(100),
        "bar_time": START + timedelta(minutes=1),
        "leg": 1,
        **terms,
    }
    return OrderIntent(client_id=client_id, symbol=SYMBOL, side=side, type=kind, **given)


def bracket(kind: OrderType = OrderType.MARKET, **terms: Any) -> list[OrderIntent]:
    """An entry, its stop and its target; the last sends them."""
    return [
        intent("entry", kind, transmit=False, **terms),
        intent("stop", OrderType.STOP, Side.SELL, price=D(95), parent="entry", transmit=False),
        intent("target", OrderType.LIMIT, Side.SELL, price=D(110), parent="entry"),
    ]
