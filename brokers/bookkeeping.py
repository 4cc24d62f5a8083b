"""Trades and positions as the fills make them, kept in the same commit as the fill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.types import EXIT_REASONS, ExitReason, Fill, OrderIntent, Position, Side, is_dust


class OpenTrade(Protocol):
    """What is read of a stored trade."""

    @property
    def id(self) -> int:
        """Its key in the store."""
        ...

    @property
    def symbol(self) -> str:
        """What is traded."""
        ...

    @property
    def side(self) -> Side:
        """The side it was entered on."""
        ...

    @property
    def remaining(self) -> Decimal:
        """Units still held, > 0."""
        ...

    @property
    def entry_price(self) -> Decimal:
        """Average entry."""
        ...


class Trades(Protocol):
    """What is needed of `store.TradeRepository`."""

    def open(
        self,
        symbol: str,
        side: Side,
        size: Decimal,
        price: Decimal,
        time: datetime,
        commission: Decimal = ...,
    ) -> OpenTrade:
        """Begin a trade."""
        ...

    def add(self, key: int, size: Decimal, price: Decimal, commission: Decimal = ...) -> OpenTrade:
        """Enter more."""
        ...

    def reduce(
        self, key: int, size: Decimal, price: Decimal, time: datetime, commission: Decimal = ...
    ) -> OpenTrade:
        """Close a part."""
        ...

    def close(
        self,
        key: int,
        price: Decimal,
        time: datetime,
        commission: Decimal = ...,
        *,
        reason: ExitReason | None = None,
    ) -> OpenTrade:
        """Close what is left."""
        ...

    def list(self, *, open_only: bool = False) -> Sequence[OpenTrade]:
        """Stored trades."""
        ...


class Positions(Protocol):
    """What is needed of `store.PositionRepository`."""

    def save(self, position: Position, *, time: datetime) -> None:
        """Keep a position; a flat one is removed."""
        ...


class Bookkeeper:
    """Follows the trades of one run, one per symbol at a time; a reversal closes one and opens the next."""

    def __init__(self, trades: Trades, positions: Positions) -> None:
        self._trades = trades
        self._positions = positions
        self._open: dict[str, OpenTrade] = {}
        self.reload()

    def reload(self) -> None:
        """Read the open trades again: after a transaction that was undone, ours would be others."""
        self._open = {trade.symbol: trade for trade in self._trades.list(open_only=True)}

    def book(self, fill: Fill, intent: OrderIntent) -> None:
        """Take one fill in; call it inside the transaction that journals the fill."""
        size, commission = fill.size, fill.commission
        trade = self._open.get(fill.symbol)
        if trade is not None and trade.side is not fill.side:
            whole = size >= trade.remaining or is_dust(trade.remaining - size, size)
            exact = is_dust(size - trade.remaining, size)
            closing = size if exact else min(size, trade.remaining)
            share = commission if closing == size else commission * closing / size
            self._close(trade, fill, closing, share, intent, whole=whole)
            size, commission = size - closing, commission - share
        if size:
            self._enter(fill, size, commission)
        self._save_position(fill)

    def _close(
        self,
        trade: OpenTrade,
        fill: Fill,
        size: Decimal,
        commission: Decimal,
        intent: OrderIntent,
        *,
        whole: bool,
    ) -> None:
        if not whole:
            left = self._trades.reduce(trade.id, size, fill.price, fill.time, commission)
            self._open[fill.symbol] = left
            return
        reason = intent.exit_reason or (
            ExitReason.REVERSAL if size < fill.size else EXIT_REASONS[intent.type]
        )
        self._trades.close(trade.id, fill.price, fill.time, commission, reason=reason)
        del self._open[fill.symbol]

    def _enter(self, fill: Fill, size: Decimal, commission: Decimal) -> None:
        trade = self._open.get(fill.symbol)
        if trade is None:
            entered = self._trades.open(fill.symbol, fill.side, size, fill.price, fill.time, commission)
        else:
            entered = self._trades.add(trade.id, size, fill.price, commission)
        self._open[fill.symbol] = entered

    def _save_position(self, fill: Fill) -> None:
        trade = self._open.get(fill.symbol)
        held = Position(fill.symbol, Decimal(0), Decimal(0))
        if trade is not None:
            held = Position(fill.symbol, trade.remaining * trade.side.sign, trade.entry_price)
        self._positions.save(held, time=fill.time)
