"""What the market offers between two ticks: one size a level, a tick apart, away from bid and ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from brokers.simulators.market import Tick
from core.types import Side

DEPTH = 100


@dataclass(slots=True)
class Ladder:
    """The levels a taker meets; what is taken is gone until the next tick."""

    tick: Tick
    tick_size: Decimal
    taken: dict[Side, Decimal] = field(default_factory=dict)

    def levels(self, side: Side, depth: int = DEPTH) -> Iterator[tuple[Decimal, Decimal]]:
        """Price and size left, best first, for a taker of `side`."""
        gone = self.taken.get(side, Decimal(0))
        best = self.tick.ask if side is Side.BUY else self.tick.bid
        for step in range(depth):
            price = best + step * side.sign * self.tick_size
            left = self.tick.volume - gone
            gone = max(-left, Decimal(0))
            if price <= 0:
                return
            if left > 0:
                yield price, left

    def crosses(self, side: Side, limit: Decimal) -> bool:
        """Whether a limit order would trade at once."""
        return limit >= self.tick.ask if side is Side.BUY else limit <= self.tick.bid

    def match(self, side: Side, size: Decimal, limit: Decimal | None) -> list[tuple[Decimal, Decimal]]:
        """What an order of `size` would get, no worse than `limit`; nothing is taken yet."""
        parts = []
        for price, available in self.levels(side):
            if size <= 0 or (limit is not None and (limit - price) * side.sign < 0):
                break
            part = min(size, available)
            parts.append((price, part))
            size -= part
        return parts

    def size_for(self, side: Side, value: Decimal, lot_size: Decimal) -> Decimal:
        """Units that `value` of quote currency buys or brings, whole lots."""
        size = Decimal(0)
        for price, available in self.levels(side):
            part = min(value / price, available)
            size += part
            value -= part * price
            if part < available:
                break
        return whole_lots(size, lot_size)

    def take(self, side: Side, size: Decimal) -> None:
        """Remove `size` from the best levels of a taker of `side`."""
        self.taken[side] = self.taken.get(side, Decimal(0)) + size


def whole_lots(size: Decimal, lot_size: Decimal) -> Decimal:
    """`size` rounded down to whole lots."""
    return (size / lot_size).to_integral_value(rounding=ROUND_DOWN) * lot_size
