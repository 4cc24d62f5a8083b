"""Backtrader's booking of one fill, in its order of operations, for brokers that decided it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from brokers.order_objects import unlevered

Commissions = Callable[[float, float], tuple[float, float]]
"""From the signed sizes a fill closes and opens to the commission of either."""


def book_fill(
    broker: Any, order: Any, size: float, price: float, commissions: Commissions, days: float, time: datetime
) -> None:
    """Move cash, position and order as `BackBroker` does when the cash suffices.

    size: signed. days: Backtrader's date of the fill. time: naive UTC, what the position remembers.
    """
    data, comminfo = order.data, broker.getcommissioninfo(order.data)
    position = broker.positions[data]
    price_before = position.price
    psize, pprice, opened, closed = position.pseudoupdate(size, price)
    pnl = comminfo.profitandloss(-closed, price_before, price)
    closed_commission, opened_commission = commissions(closed, opened)
    closed_value = opened_value = 0.0
    if closed:
        closed_value = comminfo.getvaluesize(-closed, price_before)
        broker.cash += unlevered(closed_value, comminfo) + pnl * comminfo.stocklike
        broker.cash -= closed_commission
    if opened:
        opened_value = comminfo.getvaluesize(opened, price)
        broker.cash -= unlevered(opened_value, comminfo)
        broker.cash -= opened_commission
        position.adjbase = price
    comminfo.confirmexec(size, price)
    position.update(size, price, time)
    order.execute(
        days,
        size,
        price,
        closed,
        closed_value,
        closed_commission,
        opened,
        opened_value,
        opened_commission,
        comminfo.margin,
        pnl,
        psize,
        pprice,
    )
    order.addcomminfo(comminfo)
