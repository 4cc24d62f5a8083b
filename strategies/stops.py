"""Where a stop stands and where profit is taken: pure decisions over plain numbers.

Side is +1 for a long position, -1 for a short one. Prices and distances are in quote currency per unit,
fractions are of the entry price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import StrategyError

# A market without any range would put a stop onto the price itself; a tenth of a percent is the nearest allowed.
NEAREST = 0.001
# A stop below zero could not rest at any venue.
FARTHEST = 0.99


def _only(*values: float | None) -> float:
    """The one value that is given; NaN for none or several."""
    given, found = 0, math.nan
    for value in values:
        if value is not None:
            given, found = given + 1, value
    return found if given == 1 else math.nan


@dataclass(frozen=True, slots=True)
class StopPlan:
    """A protective stop, before the entry price is known: exactly one of fraction, distance and price.

    trailing: the stop follows the close at the same fraction or distance and never moves back.
    """

    fraction: float | None = None
    distance: float | None = None
    price: float | None = None
    trailing: bool = False

    def __post_init__(self) -> None:
        given = _only(self.fraction, self.distance, self.price)
        if not math.isfinite(given) or given < 0:
            raise StrategyError(
                f"a stop cannot be made of {self}", hint="give one finite number, not below zero"
            )
        if self.trailing and self.price is not None:
            raise StrategyError("a trailing stop has no fixed price", hint="give a fraction or a distance")

    def offset(self, entry: float) -> float:
        """Distance from `entry`, kept between `NEAREST` and `FARTHEST` of it."""
        wanted = self.distance if self.distance is not None else (self.fraction or 0.0) * entry
        return min(max(wanted, NEAREST * entry), FARTHEST * entry)

    def trail_fraction(self) -> float | None:
        """The trailing fraction within the allowed limits, None when the stop trails by a distance."""
        return None if self.fraction is None else min(max(self.fraction, NEAREST), FARTHEST)

    def level(self, entry: float, side: int) -> float:
        """The first stop price of a position entered at `entry`."""
        return self.price if self.price is not None else entry - side * self.offset(entry)

    def scaled(self, factor: float) -> StopPlan:
        """The same stop at `factor` times its distance; a fixed price stays where it is."""
        if self.price is not None:
            return self
        if self.fraction is not None:
            return StopPlan(fraction=self.fraction * factor, trailing=self.trailing)
        return StopPlan(distance=(self.distance or 0.0) * factor, trailing=self.trailing)


def fixed_stop(fraction: float) -> StopPlan:
    """A stop `fraction` of the entry price away."""
    return StopPlan(fraction=fraction)


def atr_stop(multiple: float, atr: float) -> StopPlan:
    """A stop `multiple` average true ranges away; `atr` in quote currency."""
    return StopPlan(distance=multiple * atr)


def trailing_stop(fraction: float) -> StopPlan:
    """A stop that follows the close, `fraction` of it away."""
    return StopPlan(fraction=fraction, trailing=True)


def atr_trailing_stop(multiple: float, atr: float) -> StopPlan:
    """A stop that follows the close, `multiple` average true ranges (as of the entry) away."""
    return StopPlan(distance=multiple * atr, trailing=True)


def tighter(first: float | None, second: float | None, side: int) -> float | None:
    """The stop nearer to the market; None where there is neither."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second) if side > 0 else min(first, second)


def ratchet(level: float, close: float, side: int, *, distance: float) -> float:
    """A trailing stop after a bar closed at `close`: follows at `distance`, never loosens."""
    moved = close - side * distance
    return max(level, moved) if side > 0 else min(level, moved)


def trail_reference(
    level: float, side: int, *, distance: float | None = None, fraction: float | None = None
) -> float:
    """The price a native trailing order must start from to have its first trigger at `level`, never looser."""
    offset = distance or 0.0
    reference = level + side * offset if fraction is None else level / (1 - side * fraction)
    while True:
        if fraction is not None:
            offset = reference * fraction
        if not side * (reference - side * offset) < side * level:
            return reference
        reference = math.nextafter(reference, math.inf * side)


@dataclass(frozen=True, slots=True)
class Target:
    """Takes profit on `share` of the position; exactly one of fraction, reward and price.

    fraction: of the entry price. reward: in multiples of the distance between entry and first stop.
    """

    share: float = 1.0
    fraction: float | None = None
    reward: float | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        given = _only(self.fraction, self.reward, self.price)
        if not math.isfinite(given) or given <= 0 or not 0 < self.share <= 1:
            raise StrategyError(
                f"a profit target cannot be made of {self}",
                hint="give one finite number above zero, and a share above 0 and up to 1",
            )

    def level(self, entry: float, side: int, risk: float | None, scale: float = 1.0) -> float | None:
        """The target's price; None when it would not be above zero or counts in a risk that is not set."""
        if self.price is not None:
            return self.price
        if self.fraction is not None:
            offset = self.fraction * entry
        elif risk:
            offset = (self.reward or 0.0) * risk
        else:
            return None
        found = entry + side * scale * offset
        return found if found > 0 else None


def check_targets(targets: Sequence[Target]) -> None:
    """Raise StrategyError when the targets would take profit on more than the whole position."""
    total = 0.0
    for target in targets:
        total += target.share
    if total > 1 + 1e-9:
        raise StrategyError(
            f"profit targets add up to {total:g} of the position", hint="their shares may add up to 1 at most"
        )
