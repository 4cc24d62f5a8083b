"""IBKR as a house: stocks in dollars, commissions by the share, a margin account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from brokers.simulators.control import HOST
from brokers.simulators.fees import FeeSchedule, PerUnitFees
from brokers.simulators.orders import Listing
from brokers.simulators.rules import Rules
from brokers.simulators.simulation import Simulation
from brokers.simulators.tws.gateway import Gateway


@dataclass(slots=True)
class TwsHouse:
    """One paper account with twice its equity to trade with."""

    account: str = "DU1000001"
    fees: FeeSchedule = field(default_factory=PerUnitFees)
    rules: Rules = field(
        default_factory=lambda: Rules(
            unique_client_ids=False, refuse_reached_stops=False, market_remainder_expires=False
        )
    )
    leverage: Decimal | None = Decimal(2)

    def listing(self, symbol: str) -> Listing:
        """A stock: cents, whole shares."""
        return Listing(symbol, symbol, "USD", tick_size=Decimal("0.01"), lot_size=Decimal(1))

    def server(self, simulation: Simulation) -> Gateway:
        """The gateway."""
        return Gateway(simulation, self.account)

    def address(self, port: int) -> Mapping[str, Any]:
        """Host and port."""
        return {"host": HOST, "port": port}


def house() -> TwsHouse:
    """What `python -m brokers.simulators tws` serves."""
    return TwsHouse()
