"""What an execution costs, exactly: schedules of the kinds exchanges have."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from brokers.simulators.orders import Listing, Order
from core.types import Side

CENT = Decimal("0.01")


class FeeSchedule(Protocol):
    """Says what one execution costs, and in which asset."""

    def fee(
        self, listing: Listing, order: Order, size: Decimal, price: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """The fee of filling `size` more of `order` at `price`; `order` is as it stood before."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedAssetFees:
    """A fraction of what is received, in that asset, rounded down to its precision."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    precision: Decimal = Decimal("0.00000001")

    def fee(
        self, listing: Listing, order: Order, size: Decimal, price: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """See `FeeSchedule`."""
        rate = self.maker if maker else self.taker
        received, asset = (size, listing.base) if order.side is Side.BUY else (size * price, listing.quote)
        return (received * rate).quantize(self.precision, rounding=ROUND_DOWN), asset


@dataclass(frozen=True, slots=True)
class PerUnitFees:
    """So much a unit in quote currency, with a minimum an order and a cap as a fraction of its value."""

    per_unit: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal(1)
    maximum: Decimal = Decimal("0.01")

    def fee(
        self, listing: Listing, order: Order, size: Decimal, price: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """What the whole order costs so far, less what it has been charged."""
        value = order.value + size * price
        whole = max((order.filled + size) * self.per_unit, self.minimum)
        return min(whole, value * self.maximum) - order.fees, listing.quote
