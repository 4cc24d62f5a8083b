"""Backtrader's order objects and floats, and what a venue says in decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.types import Fill, OrderEvent, is_dust, to_decimal


def exact(value: float) -> Decimal:
    """Exact; whole numbers without a fraction."""
    number = float(value)
    return Decimal(int(number)) if number.is_integer() else to_decimal(number)


def signed_size(order: Any, fill: Fill, held: float, *, in_parts: bool) -> float:
    """The fill's size with its sign; an integer where the order's is one, and nothing was taken off it.

    One of several fills that leaves nothing but float rounding of what is held takes all of it. in_parts: so does
    one that fills its order, which may be one of several.
    """
    size = fill.size * fill.side.sign
    several = in_parts or abs(size) != exact(abs(order.size))
    if held and several and is_dust(exact(held) + size, exact(held)):
        return -held
    return int(size) if isinstance(order.size, int) and size == int(size) else float(size)


def resize(order: Any, size: Decimal) -> None:
    """A limit has clipped the order: it is for less than the strategy asked."""
    clipped = int(size) if isinstance(order.size, int) else float(size)
    order.size = order.created.size = order.created.remsize = order.executed.remsize = clipped


def move_stop(order: Any, event: OrderEvent) -> None:
    """The venue has moved a trailing order."""
    if event.trigger is not None:
        order.created.price = float(event.trigger)
    if event.limit is not None:
        order.created.pricelimit = float(event.limit)


def split_commission(commission: float, closed: float, opened: float) -> tuple[float, float]:
    """By size, between the part that closed and the part that opened."""
    if not opened:
        return commission, 0.0
    if not closed:
        return 0.0, commission
    share = commission * (abs(closed) / (abs(closed) + abs(opened)))
    return share, commission - share


def unlevered(value: float, comminfo: Any) -> float:
    """What of a value is paid in cash."""
    return value / comminfo.get_leverage() if value > 0 else value
