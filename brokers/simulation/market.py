"""The exchange in this process: the simulated Binance without its sockets, a market, and the bars it makes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from brokers.simulation.faults import Faults
from brokers.simulators.binance.filters import SymbolFilters
from brokers.simulators.binance.house import KEY, MIN_NOTIONAL, SECRET
from brokers.simulators.binance.operations import Operations
from brokers.simulators.binance.security import ApiKey
from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import ReceivedAssetFees
from brokers.simulators.market import MarketClock, spread_tick
from brokers.simulators.orders import Listing, Order
from brokers.simulators.simulation import Simulation
from core.types import Bar, Side, to_decimal

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOL, NATIVE, BASE, QUOTE = "BTC/USDT", "BTCUSDT", "BTC", "USDT"
ACCOUNT = "main"
CASH = Decimal(10_000)
OWNERS_UNITS = Decimal(50)
"""Units the account's owner holds and trades by hand; the bot's own begin at nothing."""

BAR_SECONDS = 60.0
TICKS_A_BAR = 4
BAR_DELAY = 0.2
FIRST_PRICE = 100.0
TICK_SIZE, LOT_SIZE = Decimal("0.01"), Decimal("0.00001")


class Market:
    """One listed pair that moves, the exchange beneath, and every bar so far."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, faults: Faults) -> None:
        clock = MarketClock(START, monotonic=loop.time)
        self.listing = Listing(NATIVE, BASE, QUOTE, TICK_SIZE, LOT_SIZE, MIN_NOTIONAL)
        self.exchange = Exchange([self.listing], ReceivedAssetFees(), clock.now)
        self.exchange.open_account(ACCOUNT, {QUOTE: CASH, BASE: OWNERS_UNITS})
        self.simulation = Simulation(self.exchange, clock)
        self.exchange.matching.ask_portion = self._portion
        filters = {NATIVE: SymbolFilters(self.listing)}
        keys = [ApiKey(KEY, SECRET, ACCOUNT)]
        self.operations = Operations(self.simulation, filters, keys, lambda: clock.now().timestamp())
        self.bars: list[Bar] = []
        self.on_tick: list[Callable[[], None]] = []
        self._loop = loop
        self._random = Random(f"{seed} market")
        self._faults = faults
        self._level = FIRST_PRICE
        self._wild = self._random.uniform(0.0005, 0.006)
        self._forming: list[float] = []
        self._move()

    @property
    def price(self) -> float:
        """The last price."""
        return self._level

    def bar_due(self, number: int) -> float:
        """Virtual seconds at which bar `number` (1, 2, ...) can be had."""
        return number * BAR_SECONDS + BAR_DELAY

    def trade_by_hand(self, random: Random) -> None:
        """The account's owner trades."""
        side = random.choice((Side.BUY, Side.SELL))
        size = Decimal(random.randint(1, 50)) / 100
        self.simulation.trade(ACCOUNT, NATIVE, side, size)

    def _move(self) -> None:
        """One tick, and the bar it completes."""
        random = self._random
        jump = random.gauss(0, 0.02) if random.random() < 0.02 else 0.0
        self._level *= math.exp(random.gauss(0, self._wild) + jump)
        volume = to_decimal(round(math.exp(random.gauss(0.0, 1.2)), 3)) + Decimal("0.01")
        moment = START + timedelta(seconds=self._loop.time())
        tick = spread_tick(moment, NATIVE, to_decimal(round(self._level, 2)), TICK_SIZE, volume)
        self.simulation.take(tick)
        self._forming.append(float(tick.last))
        if len(self._forming) == TICKS_A_BAR:
            self._close_bar()
        for listener in self.on_tick:
            listener()
        self._loop.call_later(BAR_SECONDS / TICKS_A_BAR, self._move)

    def _close_bar(self) -> None:
        prices, self._forming = self._forming, []
        time = START + timedelta(seconds=BAR_SECONDS * (len(self.bars) + 1))
        self.bars.append(Bar(SYMBOL, time, prices[0], max(prices), min(prices), prices[-1], 1.0))

    def _portion(self, order: Order) -> Decimal | None:
        if order.external or self._faults.strike("partial") is None:
            return None
        return Decimal(self._faults.random.randint(1, 9)) / 10
