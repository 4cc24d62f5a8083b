"""Trades, kept when executions are told to the strategy, one for one `Strategy._addnotification` and `Trade.update`."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from engine.compiled.broker_memory import (
    account_at,
    copy_trade,
    desk_at,
    fill_at,
    inner,
    int_at,
    scheme_at,
    trade_at,
)
from engine.compiled.broker_money import value_of
from engine.compiled.broker_orders import now_of

CREATED, OPEN, CLOSED = range(3)
"""States of a trade."""


@inner
def begin(address: int, data: int) -> None:
    """A new trade, which has no execution yet."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    account.refs += 1
    trade = trade_at(desk.open_trades, data)
    trade.ref = account.refs
    trade.data = data
    trade.status = CREATED
    trade.just_opened = trade.long = 0
    trade.open_bar = trade.close_bar = trade.bars = 0
    trade.opened = trade.closed = 0.0
    trade.size = trade.price = trade.value = 0.0
    trade.commission = trade.pnl = trade.pnl_net = 0.0


@inner
def tell(address: int, data: int, step: int) -> None:
    """A notification of the data's trade as it is."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    if account.trades >= desk.trades_room:
        account.overflow = 1
        return
    entry = trade_at(desk.trades, account.trades)
    account.trades += 1
    copy_trade(entry, trade_at(desk.open_trades, data))
    entry.step = step


@inner
def advance(address: int, data: int, size: float, price: float, commission: float, step: int) -> None:
    """Add one part of an execution to the data's trade, and tell when that closes it."""
    desk = desk_at(address, 0)
    trade = trade_at(desk.open_trades, data)
    bars = int_at(desk.at, data) + 1
    now = now_of(address, data)
    trade.commission += commission
    before = trade.size
    trade.size = before + size
    trade.just_opened = 1 if before == 0.0 else 0
    if trade.just_opened != 0:
        trade.open_bar = bars
        trade.opened = now
        trade.long = 1 if trade.size > 0.0 else 0
    trade.bars = bars - trade.open_bar
    if trade.size != 0.0:
        trade.status = OPEN
    elif before != 0.0:
        trade.close_bar = bars
        trade.closed = now
        trade.status = CLOSED
    pnl = 0.0
    if abs(trade.size) > abs(before):
        trade.price = (before * trade.price + size * price) / trade.size
    else:
        pnl = -size * (price - trade.price) * scheme_at(desk.schemes, data).mult
    trade.pnl += pnl
    trade.pnl_net = trade.pnl - trade.commission
    trade.value = value_of(address, data, trade.size, trade.price, 1)
    if trade.status == CLOSED:
        tell(address, data, step)


@inner
def follow(address: int, number: int, step: int) -> None:
    """Bring the trade of a data up to date with one execution."""
    desk = desk_at(address, 0)
    fill = fill_at(desk.fills, number)
    data = fill.data
    trade = trade_at(desk.open_trades, data)
    if trade.ref == 0:
        begin(address, data)
    if fill.closed != 0.0:
        advance(address, data, fill.closed, fill.price, fill.closed_commission, step)
    if fill.opened != 0.0:
        if trade.status == CLOSED:
            begin(address, data)
        advance(address, data, fill.opened, fill.price, fill.opened_commission, step)
    if trade.just_opened != 0:
        tell(address, data, step)
