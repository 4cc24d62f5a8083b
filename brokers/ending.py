"""How a session that is told to end leaves the account: as it is, protected, or with nothing held."""

from __future__ import annotations

import time as wall
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from core.errors import InconsistentState
from core.types import ExitReason, is_dust, to_decimal

Ending = Literal["leave", "flatten"]
"""leave: positions stay, with the orders that protect them at the venue. flatten: orders are cancelled, positions closed."""

PATIENCE_SECONDS = 30.0
UNIT = Decimal(1)


@dataclass(frozen=True, slots=True)
class Left:
    """What a session left at its venue: signed units by symbol, and how many orders rest."""

    positions: Mapping[str, float] = field(default_factory=dict)
    orders: int = 0


def units(size: float) -> float:
    """A position without what adding floats up has left in its last digit: more than is held cannot be closed."""
    return 0.0 if is_dust(to_decimal(size), UNIT) else float(f"{size:.15g}")


def flatten(broker: Any) -> bool:
    """Cancel what rests, close what is held at the market, and wait for both; whether all of it was closed.

    broker: a `VenueBroker`. Units too few for the venue to trade stay. Raises InconsistentState when the venue is not
    done in time.
    """
    for order in list(broker.pending):
        if order.alive():
            broker.cancel(order)
    _until(broker, lambda: not any(order.alive() for order in broker.pending), "cancelled its orders")
    owner = broker.cerebro.runningstrats[0]
    closing = []
    for data, position in list(broker.positions.items()):
        size = units(position.size)
        if size:
            close = broker.sell if size > 0 else broker.buy
            closing.append(close(owner, data, abs(size), exit_reason=ExitReason.FLATTEN))
    _until(broker, lambda: not any(order.alive() for order in closing), "closed its positions")
    return all(order.status == order.Completed for order in closing)


def _until(broker: Any, done: Callable[[], bool], what: str) -> None:
    end = wall.monotonic() + PATIENCE_SECONDS
    while not done():
        left = end - wall.monotonic()
        if left <= 0:
            raise InconsistentState(
                f"the venue has not {what} within {PATIENCE_SECONDS:g} s",
                hint="look at the account: something may still be held there",
            )
        broker.gateway.wait(left, stopping=True)
        broker.hear()
