"""What `live.compare` does at a venue: everything is read, one order changed and cancelled, one bought and sold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from brokers.wire.binance import BinanceRelay
from brokers.wire.tape import recording
from brokers.wire.tws import TwsRelay
from core.errors import OrderRejected, UserError, VenueTransient
from core.telemetry import get_logger
from core.types import Instrument, OrderIntent, OrderType, Quote, Side
from live.consent import NotPaper

FAR = Decimal("0.9")
"""A limit at that part of the bid rests."""
ABOVE_LEAST = Decimal("1.2")
TOO_LARGE = Decimal(10) ** 7
PAPER_ACCOUNTS = ("DU", "DF")
QUOTES, FILL_SECONDS = 20, 60
TestedVenue = BinanceVenue | IBKRVenue

log = get_logger("live.compare")


async def play(
    settings: BinanceSettings | IBKRSettings, symbol: str, file: Path, *, paper_only: bool
) -> None:
    """The script at one venue, with its wire on file. Raises NotPaper before any order."""
    with recording(file) as tape:
        if isinstance(settings, BinanceSettings):
            binance = BinanceRelay(settings, tape)
            try:
                venue = BinanceVenue(await binance.start(), symbols=[symbol])
                await _connected(venue, symbol)
            finally:
                await binance.stop()
            return
        tws = TwsRelay(settings, tape)
        try:
            gateway = IBKRVenue(await tws.start(), symbols=[symbol])
            await _connected(gateway, symbol, lambda: _check_account(gateway.account_name, paper_only))
        finally:
            await tws.stop()


def _check_account(account: str, paper_only: bool) -> None:
    if paper_only and not account.startswith(PAPER_ACCOUNTS):
        raise NotPaper(f"account {account} is no paper account", hint="log in to one, or add --real-account")


async def _connected(venue: TestedVenue, symbol: str, check: Callable[[], None] = lambda: None) -> None:
    try:
        await venue.connect()
        check()
        await Script(venue, symbol).run()
    finally:
        await venue.close()


class Script:
    """One run of it. What was sent is cancelled, and what was bought is sold, whatever fails."""

    def __init__(self, venue: TestedVenue, symbol: str) -> None:
        self._venue, self._symbol = venue, symbol
        self._run, self._sent = f"twc{time.time_ns():x}", 0

    async def run(self) -> None:
        """Read, change and cancel, be refused, buy and sell. Raises VenueTransient for what does not fill."""
        venue = self._venue
        instrument = (await venue.instruments())[self._symbol]
        await venue.balances()
        held = await venue.positions()
        if self._symbol in held:
            raise UserError(
                f"the account holds {held[self._symbol].size:f} {self._symbol}",
                hint="sell it first, or name another --symbol: what is bought here is sold again, and nothing else",
            )
        quote = await self._quote()
        size, far = smallest(instrument, quote), _on_grid(quote.bid * FAR, instrument)
        try:
            await self._change_and_cancel(size, far, instrument)
            await self._be_refused(far)
            await self._trade(size, quote.ask, Side.BUY)
        finally:
            for order in await venue.open_orders():
                await venue.cancel(order.client_id)
            bought = (await venue.positions()).get(self._symbol)
            if bought is not None and bought.size > 0:
                await self._trade(bought.size, quote.bid, Side.SELL)
        await venue.fills(0)
        await venue.balances()

    async def _change_and_cancel(self, size: Decimal, far: Decimal, instrument: Instrument) -> None:
        name = await self._submit(size, far, price=far)
        await self._venue.order(name)
        await self._tolerant(lambda: self._venue.amend(name, price=_on_grid(far * FAR, instrument)))
        await self._venue.open_orders()
        await self._venue.cancel(name)
        await self._venue.order(name)

    async def _be_refused(self, far: Decimal) -> None:
        """An order nobody can pay; where it is taken all the same, it rests far away, and is cancelled."""
        await self._tolerant(lambda: self._submit(TOO_LARGE, far, price=far))

    async def _trade(self, size: Decimal, reference: Decimal, side: Side) -> None:
        """At the market, to the order's end."""
        name = await self._submit(size, reference, side=side)
        try:
            async with asyncio.timeout(FILL_SECONDS):
                async for event in self._venue.events():
                    if event.client_id == name and event.status.terminal:
                        return
        except TimeoutError as error:
            raise VenueTransient(
                f"a market order to {side} {size:f} {self._symbol} has not filled for {FILL_SECONDS} s",
                hint="look at what the account holds, and try while the market is open",
            ) from error

    async def _submit(
        self, size: Decimal, reference: Decimal, *, side: Side = Side.BUY, price: Decimal | None = None
    ) -> str:
        self._sent += 1
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        name, now = f"{self._run}{self._sent}", datetime.now(UTC)
        intent = OrderIntent(name, self._symbol, side, kind, size, reference, now, self._sent, price=price)
        await self._venue.submit(intent)
        return name

    async def _tolerant(self, act: Callable[[], Awaitable[object]]) -> None:
        """A refusal is an answer like any other."""
        try:
            await act()
        except OrderRejected as refusal:
            log.info("compare.refused", reason=refusal.message)

    async def _quote(self) -> Quote:
        for _ in range(QUOTES):
            quote = await self._venue.quote(self._symbol)
            if quote is not None and quote.bid > 0:
                return quote
        raise VenueTransient(
            f"nobody quotes {self._symbol}", hint="try while its market is open, or name another --symbol"
        )


def smallest(instrument: Instrument, quote: Quote) -> Decimal:
    """The least that may be traded, with some room for the price to fall."""
    lot = instrument.lot_size or Decimal(1)
    least = (instrument.min_notional or Decimal(0)) * ABOVE_LEAST / (quote.bid * FAR * FAR)
    return max((least / lot).to_integral_value(rounding=ROUND_CEILING), Decimal(1)) * lot


def _on_grid(price: Decimal, instrument: Instrument) -> Decimal:
    tick = instrument.tick_size
    return price if not tick else (price / tick).to_integral_value() * tick
