"""Trades, kept when executions are told to the strategy, one for one `Strategy._addnotification` and `Trade.update`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.compiled.broker_money import size_value
from engine.compiled.broker_orders import bar_of
from engine.compiled.records import TIME, Book

CREATED, OPEN, CLOSED = range(3)
"""States of a trade."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def begin(account: NDArray[np.void], trade: np.void, data: int) -> None:
    """A new trade, which has no execution yet."""
    account[0].refs += 1
    trade.ref = account[0].refs
    trade.data = data
    trade.status = CREATED
    trade.just_opened = trade.long = 0
    trade.open_bar = trade.close_bar = trade.bars = 0
    trade.opened = trade.closed = 0.0
    trade.size = trade.price = trade.value = 0.0
    trade.commission = trade.pnl = trade.pnl_net = 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def advance(
    trade: np.void, scheme: np.void, size: float, price: float, commission: float, bars: int, now: float
) -> None:
    """Add one part of an execution. bars: how many the data has had; now: its day number."""
    trade.commission += commission
    before = trade.size
    trade.size = before + size
    trade.just_opened = 1 if before == 0.0 else 0
    if trade.just_opened != 0:
        trade.open_bar = bars
        trade.opened = now
        trade.long = 1 if trade.size > 0.0 else 0
    trade.bars = bars - trade.open_bar
    if before != 0.0 and trade.size == 0.0:
        trade.close_bar = bars
        trade.closed = now
        trade.status = CLOSED
    elif trade.size != 0.0:
        trade.status = OPEN
    pnl = 0.0
    if abs(trade.size) > abs(before):
        trade.price = (before * trade.price + size * price) / trade.size
    else:
        pnl = -size * (price - trade.price) * scheme.mult
    trade.pnl += pnl
    trade.pnl_net = trade.pnl - trade.commission
    trade.value = size_value(scheme, trade.size, trade.price)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def tell(account: NDArray[np.void], trades: NDArray[np.void], trade: np.void, step: int) -> None:
    """A notification of the trade as it is."""
    count = account[0].trades
    if count >= len(trades):
        account[0].overflow = 1
        return
    account[0].trades = count + 1
    entry = trades[count]
    entry.data = trade.data
    entry.ref = trade.ref
    entry.status = trade.status
    entry.just_opened = trade.just_opened
    entry.long = trade.long
    entry.open_bar = trade.open_bar
    entry.close_bar = trade.close_bar
    entry.bars = trade.bars
    entry.step = step
    entry.opened = trade.opened
    entry.closed = trade.closed
    entry.size = trade.size
    entry.price = trade.price
    entry.value = trade.value
    entry.commission = trade.commission
    entry.pnl = trade.pnl
    entry.pnl_net = trade.pnl_net


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def follow(book: Book, fill: np.void, step: int) -> None:
    """Bring the trade of a data up to date with one execution."""
    data = fill.data
    trade = book.open_trades[data]
    scheme = book.schemes[data]
    bars = book.at[data] + 1
    now = book.bars[data, TIME, bar_of(book, data)]
    if trade.ref == 0:
        begin(book.account, trade, data)
    if fill.closed != 0.0:
        advance(trade, scheme, fill.closed, fill.price, fill.closed_commission, bars, now)
        if trade.status == CLOSED:
            tell(book.account, book.trades, trade, step)
    if fill.opened != 0.0:
        if trade.status == CLOSED:
            begin(book.account, trade, data)
        advance(trade, scheme, fill.opened, fill.price, fill.opened_commission, bars, now)
        if trade.status == CLOSED:
            tell(book.account, book.trades, trade, step)
    if trade.just_opened != 0:
        tell(book.account, book.trades, trade, step)
