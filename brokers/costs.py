"""What trading costs, as pure functions over floats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commission:
    """A commission in proportion to the value traded, as `cerebro.broker.setcommission(commission=rate)`.

    rate: fraction of the value, 0.001 for a tenth of a percent.
    """

    rate: float = 0.0

    def amount(self, size: float, price: float) -> float:
        """Commission in quote currency; `size` may carry a sign.

        The order of the two products is Backtrader's: another one differs in the last bit.
        """
        return abs(size) * self.rate * price
