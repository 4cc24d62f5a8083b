"""What IBKR lists, and its quotes; subscriptions are made anew with every connection."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

from brokers.ibkr_link import Link
from brokers.ibkr_orders import Listed
from core.errors import ConfigError
from core.ib import contract_fields
from core.types import Instrument, Quote, to_decimal

FIRST_PRICE_SECONDS = 2.0


class IBKRMarket:
    """Instruments and quotes over one link. A symbol is `AAPL`, or `SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY]`."""

    def __init__(self, link: Link) -> None:
        self.known: dict[str, Listed] = {}
        self._link = link
        self._tickers: dict[str, Any] = {}
        self._interrupted = False

    async def listed(self, symbol: str) -> Listed | None:
        """How IBKR lists a symbol, or None when it does not. Raises ConfigError for one that names several."""
        if symbol in self.known:
            return self.known[symbol]
        wanted = self._link.library.Contract(**contract_fields(symbol))
        found = await self._link.ask(symbol, lambda session: session.reqContractDetailsAsync(wanted))
        if not found:
            return None
        if len(found) > 1:
            places = ", ".join(sorted({details.contract.primaryExchange or "?" for details in found}))
            raise ConfigError(
                f"{symbol!r} means {len(found)} contracts at IBKR ({places})",
                hint="write it as SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY]",
            )
        listed = await self._describe(symbol, found[0])
        self.known[symbol] = listed
        return listed

    async def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask; None before the first price, and while the market is cut off."""
        listed = await self.listed(symbol)
        if listed is None:
            return None
        session = await self._link.usable()
        ticker = self._tickers.get(symbol)
        if ticker is None:
            ticker = self._tickers[symbol] = self._subscribe(session, listed)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_PRICE_SECONDS):
                while not (_is_price(ticker.bid) and _is_price(ticker.ask)):
                    await ticker.updateEvent
        if self._interrupted or not (_is_price(ticker.bid) and _is_price(ticker.ask)):
            return None
        return Quote(
            symbol,
            self._link.now(),
            to_decimal(ticker.bid),
            to_decimal(ticker.ask),
            _size(ticker.bidSize),
            _size(ticker.askSize),
        )

    def interrupted(self, *, lost: bool) -> None:
        """IBKR has lost its market data, or has it again."""
        self._interrupted = lost

    def resubscribe(self, session: Any) -> None:
        """Ask anew for every quote that was asked for."""
        self._interrupted = False
        if self._link.settings.market_data != 1:
            session.reqMarketDataType(self._link.settings.market_data)
        for symbol in self._tickers:
            self._tickers[symbol] = self._subscribe(session, self.known[symbol])

    def _subscribe(self, session: Any, listed: Listed) -> Any:
        if session.ticker(listed.contract) is not None:
            session.cancelMktData(listed.contract)
        return session.reqMktData(listed.contract)

    async def _describe(self, symbol: str, details: Any) -> Listed:
        contract = details.contract
        rules = dict(zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=False))
        rule = rules.get(contract.exchange, "")
        increments: tuple[tuple[Decimal, Decimal], ...] = ((Decimal(0), to_decimal(details.minTick)),)
        if rule.isdigit():
            told = await self._link.ask(
                f"the price steps of {symbol}", lambda session: session.reqMarketRuleAsync(int(rule))
            )
            steps = [(to_decimal(step.lowEdge), to_decimal(step.increment)) for step in told or ()]
            increments = tuple(step for step in steps if step[1] > 0) or increments
        instrument = Instrument(
            symbol,
            currency=contract.currency,
            tick_size=increments[0][1],
            lot_size=_size(details.sizeIncrement) or None,
            multiplier=Decimal(contract.multiplier or 1),
        )
        return Listed(contract, instrument, increments)


def _is_price(value: Any) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _size(value: Any) -> Decimal:
    return to_decimal(value) if _is_price(value) and value < 1e300 else Decimal(0)
