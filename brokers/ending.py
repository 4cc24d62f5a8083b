"""How a session that is told to end leaves the account: as it is, protected, or with nothing held."""

from __future__ import annotations

import time as wall
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import InconsistentState
from core.types import ExitReason

Ending = Literal["leave", "flatten"]
"""leave: positions stay, with the orders that protect them at the venue. flatten: orders are cancelled, positions closed."""

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Left:
    """What a session left at its venue: signed units by symbol, and how many orders rest."""

    positions: Mapping[str, float] = field(default_factory=dict)
    orders: int = 0


def flatten(broker: Any) -> None:
    """Cancel what rests, close what is held at the market, and wait for both.

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
        if position.size:
            close = broker.sell if position.size > 0 else broker.buy
            closing.append(close(owner, data, abs(position.size), exit_reason=ExitReason.FLATTEN))
    _until(broker, lambda: not any(order.alive() for order in closing), "closed its positions")


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
