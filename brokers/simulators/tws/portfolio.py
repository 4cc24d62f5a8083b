"""What positions have cost, as the gateway states it: commissions are part of the average cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.simulators.orders import Execution

NOTHING = Decimal(0)


@dataclass(slots=True)
class Held:
    """Signed size, what it cost with commissions, and what was realised net of them."""

    size: Decimal = NOTHING
    cost: Decimal = NOTHING
    realised: Decimal = NOTHING

    @property
    def average(self) -> Decimal:
        """Cost of one unit."""
        return self.cost / self.size if self.size else NOTHING

    def take(self, size: Decimal, price: Decimal, fee: Decimal) -> Decimal | None:
        """Take in a trade of signed `size`; returns what it realised, or None when it only opened."""
        closing = min(abs(size), abs(self.size)) if size * self.size < 0 else NOTHING
        fee_of_closing = fee * closing / abs(size)
        realised = None
        if closing:
            sign = 1 if self.size > 0 else -1
            realised = closing * (price - self.average) * sign - fee_of_closing
            self.realised += realised
            self.cost -= self.average * closing * sign
            self.size -= closing * sign
            size += closing * sign
        if size:
            self.size += size
            self.cost += size * price + fee - fee_of_closing
        return realised


class Portfolio:
    """Every account's positions, out of its executions, each taken once and in order."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Held] = {}
        self._realised: dict[int, Decimal | None] = {}

    def take(self, execution: Execution) -> None:
        """Take in an execution; one that is known changes nothing."""
        if execution.id not in self._realised:
            held = self._held.setdefault((execution.account, execution.symbol), Held())
            size = execution.size * execution.side.sign
            self._realised[execution.id] = held.take(size, execution.price, execution.fee)

    def realised(self, execution_id: int) -> Decimal | None:
        """What an execution realised, or None when it only opened."""
        return self._realised.get(execution_id)

    def positions(self, account: str) -> dict[str, Held]:
        """What an account holds or has held, by symbol."""
        return {symbol: held for (name, symbol), held in self._held.items() if name == account}
