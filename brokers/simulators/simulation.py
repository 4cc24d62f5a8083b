"""One simulated exchange at work: a market that moves it, faults, the control API's hooks, and state on disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.simulators.exchange import Exchange
from brokers.simulators.faults import Faults, Point
from brokers.simulators.market import BarBuilder, MarketBar, MarketClock, Tick, flat_tick
from brokers.simulators.orders import Event, Order, Ticket
from core.errors import DataError
from core.types import OrderType, Side

Listener = Callable[[Tick | None, Sequence[MarketBar]], None]


class Simulation:
    """What a protocol server speaks for. path: the market's ticks in order of time; none means prices come by hand.

    state: file the exchange's state is kept in, written after every change. hours: the regular trading hours in New
    York, for those who ask for bars of them alone; None is around the clock.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: MarketClock,
        *,
        path: Iterator[Tick] | None = None,
        state: Path | None = None,
        hours: tuple[time, time] | None = None,
    ) -> None:
        self.exchange = exchange
        self.hours = hours
        self.clock = clock
        self.faults = Faults()
        self.bars = BarBuilder()
        self.ticks = 0
        self._path = path
        self._state = state
        self._on_tick: list[Listener] = []
        self._changed = False
        self._moved = asyncio.Event()
        self._opening = exchange.books.snapshot()
        exchange.matching.ask_portion = self._portion
        exchange.books.listen(self._note)
        if state is not None and state.exists():
            try:
                exchange.books.restore(json.loads(state.read_text()))
            except ValueError as error:
                raise DataError(
                    f"{state} is no state of a simulator: {error}", hint="name another file"
                ) from error

    def on_tick(self, listener: Listener) -> None:
        """Call `listener` with every tick (None when only the clock moved) and the bars it changed; orders have been matched."""
        self._on_tick.append(listener)

    def take(self, tick: Tick) -> None:
        """Move the market: match, build bars, tell listeners, keep the state."""
        self.ticks += 1
        self.exchange.on_tick(tick)
        changed = self.bars.add(tick)
        self._tell(tick, changed)
        self.save()

    def price(
        self,
        symbol: str,
        price: Decimal,
        *,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        volume: Decimal | None = None,
    ) -> None:
        """A price told by hand."""
        self.take(flat_tick(self.clock.now(), symbol, price, bid=bid, ask=ask, volume=volume))

    def trade(self, account: str, symbol: str, side: Side, size: Decimal) -> int:
        """The account's owner trades at the market by hand; returns the order's id."""
        ticket = Ticket(
            account=account, symbol=symbol, side=side, type=OrderType.MARKET, size=size, external=True
        )
        order = self.exchange.submit(ticket)
        self.save()
        return order.id

    def save(self) -> None:
        """Write the state when it has changed; whole or not at all."""
        if self._state is None or not self._changed:
            return
        partial = self._state.with_suffix(".partial")
        partial.write_text(json.dumps(self.exchange.books.snapshot()))
        os.replace(partial, self._state)
        self._changed = False

    async def run(self) -> None:
        """Play the market's path, each tick at its time, until it ends or the task is cancelled."""
        for tick in self._path or ():
            while (seconds := self.clock.seconds_until(tick.time)) > 0:
                await self._moved_or(seconds)
            self.take(tick)
            await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move market time forward by hand, and close the bars whose time is over."""
        self.clock.advance(seconds)
        self._moved.set()
        closed = self.bars.close_until(self.clock.now())
        if closed:
            self._tell(None, closed)

    def run_at(self, speed: float) -> None:
        """Let market time pass at another speed from now on; 0 lets it stand."""
        self.clock.run_at(speed)
        self._moved.set()

    async def _moved_or(self, seconds: float) -> None:
        """Wait that long, or until somebody moves the clock."""
        self._moved.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._moved.wait()

    def _tell(self, tick: Tick | None, bars: Sequence[MarketBar]) -> None:
        for listener in self._on_tick:
            listener(tick, bars)

    def reset(self) -> None:
        """Forget every order, trade and fault since the beginning; accounts hold again what they held then."""
        self.faults.clear()
        self.exchange.books.restore(self._opening)
        self._changed = True
        self.save()

    def view(self) -> Mapping[str, Any]:
        """What the control API shows."""
        state = self.exchange.books.snapshot()
        return {
            "time": self.clock.now().isoformat(),
            "faults": self.faults.waiting,
            "struck": self.faults.struck,
            **state,
        }

    def _portion(self, order: Order) -> Decimal | None:
        fault = self.faults.at(Point.FILL, f"{order.symbol} {order.client_id}")
        return None if fault is None else fault.value

    def _note(self, event: Event) -> None:
        self._changed = True
