"""Backtrader's objects after a split or a dividend: orders, positions and running trades, as plain attributes.

What was opened before the split is then of as many units, at such a price, as if it had been opened after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from brokers.movements import Movement
from core.types import OrderType


def scale_position(position: Any, ratio: float) -> None:
    """Grow a position by `ratio`; its value at entry stays."""
    if position.size and ratio != 1.0:
        position.size = position.size * ratio
        position.price = position.price / ratio


def scale_order(order: Any, kind: OrderType, movement: Movement) -> None:
    """Change an order that rests, by a split, or by a dividend that lowers its prices."""
    ratio, created = movement.ratio, order.created
    if ratio != 1.0:
        for part in (order, created):
            part.size = part.size * ratio
        created.remsize = created.remsize * ratio
        order.executed.remsize = order.executed.remsize * ratio
        if order.trailamount:
            order.trailamount = order.trailamount / ratio
    created.price, created.pricelimit = moved_prices(
        order.isbuy(), kind, created.price, created.pricelimit, movement
    )
    if order._limitoffset:
        order._limitoffset = order._limitoffset / ratio
    if getattr(order, "pannotated", None):
        order.pannotated = order.pannotated / ratio


def moved_prices(
    buy: bool, kind: OrderType, price: float, limit: float, movement: Movement
) -> tuple[float, float]:
    """Price and limit of an order that rests, after a split or a dividend.

    A dividend in cash lowers buy limits and sell stops, with their limits (FINRA Rule 5330), and leaves buy stops and
    sell limits where they are. A market order's price, which is the close it was decided on, follows the market.
    """
    price, limit = price / movement.ratio, limit / movement.ratio
    follows = kind in (OrderType.MARKET, OrderType.CLOSE) or buy is (kind is OrderType.LIMIT)
    if not movement.lowered or not follows:
        return price, limit
    return max(price - movement.lowered, 0.0), max(limit - movement.lowered, 0.0)


def scale_trades(strategies: Iterable[Any], data: Any, ratio: float) -> None:
    """Grow the running trades of a data, and what watches them: analyzers that have a method `scale_trades`."""
    if ratio == 1.0:
        return
    for strategy in strategies:
        for trades in strategy._trades[data].values():
            for trade in trades:
                if trade.isopen:
                    trade.size = trade.size * ratio
                    trade.price = trade.price / ratio
        for analyzer in strategy.analyzers:
            scale = getattr(analyzer, "scale_trades", None)
            if scale is not None:
                scale(data, ratio)
