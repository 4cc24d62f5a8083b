"""How much worse than the market's price an order fills, and how much of it: pure functions over floats.

Prices and offsets are in quote currency a unit, sizes in units, shares and spreads fractions.

- A number of slippage is a fraction of the price; `PerUnit` is money a unit.
- `VolumeShare`: price x impact x share ** 2, share being what the bar's fills are of its volume; Zipline's
  documented `VolumeShareSlippage` (zipline.finance.slippage, default impact 0.1).
- `SquareRoot`: coefficient x average true range x sqrt(share): the square-root law of impact (Toth et al. 2011,
  "Anomalous price impact and the critical nature of liquidity in financial markets", eq. 1), with the true range for
  the volatility, both of one bar.
- `Volatility`: multiple x average true range; with bars=1 the true range of the bar that fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from core.errors import ConfigError

ROUNDING = 1e-9
"""What a share of a volume may lack of a whole number and still be one: 0.29 * 100 is below 29."""


@dataclass(frozen=True, slots=True)
class PerUnit:
    """So much money a unit, whatever the price."""

    amount: float
    bars = 0

    def offset(self, price: float, share: float, true_range: float) -> float:
        """Quote currency a unit."""
        return self.amount

    def __str__(self) -> str:
        return f"{self.amount:g} a unit"


@dataclass(frozen=True, slots=True)
class VolumeShare:
    """Grows with the square of the share of the bar's volume. impact: of the price at the whole volume."""

    impact: float = 0.1
    bars = 0

    def offset(self, price: float, share: float, true_range: float) -> float:
        """Quote currency a unit. share: of the bar's volume, this fill and those before it in the bar."""
        return price * self.impact * (share * share)

    def __str__(self) -> str:
        return f"{self.impact:g} x the square of the share of the bar's volume"


@dataclass(frozen=True, slots=True)
class SquareRoot:
    """Grows with the square root of the share of the bar's volume. coefficient: near 1 where it was measured.

    bars: of the average true range.
    """

    coefficient: float = 1.0
    bars: int = 14

    def offset(self, price: float, share: float, true_range: float) -> float:
        """Quote currency a unit. true_range: its average, in quote currency."""
        return self.coefficient * true_range * math.sqrt(share)

    def __str__(self) -> str:
        return f"{self.coefficient:g} x true range x the root of the share of the bar's volume"


@dataclass(frozen=True, slots=True)
class Volatility:
    """A multiple of the average true range over `bars`; of the bar's own with bars=1."""

    multiple: float
    bars: int = 14

    def offset(self, price: float, share: float, true_range: float) -> float:
        """Quote currency a unit. true_range: its average, in quote currency."""
        return self.multiple * true_range

    def __str__(self) -> str:
        return f"{self.multiple:g} x true range of {self.bars} bars"


@dataclass(frozen=True, slots=True)
class Fraction:
    """A fraction of the price."""

    rate: float
    bars = 0

    def offset(self, price: float, share: float, true_range: float) -> float:
        """Quote currency a unit."""
        return price * self.rate

    def __str__(self) -> str:
        return f"{self.rate:.4%} of the price"


Slippage = Fraction | PerUnit | VolumeShare | SquareRoot | Volatility


def check_slippage(model: Slippage) -> None:
    """Raise ConfigError for a model whose numbers make no sense."""
    for each in fields(model):
        value = getattr(model, each.name)
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(
                f"slippage has {each.name} {value}", hint=f"give a {each.name} of 0 or more; 0 is none"
            )
    if isinstance(model, SquareRoot | Volatility) and model.bars < 1:
        raise ConfigError("slippage has 0 bars of true range", hint="give at least 1, the bar that fills")
    if isinstance(model, Fraction) and model.rate >= 1:
        raise ConfigError(
            f"slippage is {model.rate:g}", hint="give a fraction of the price, such as 0.0005 for 0.05%"
        )


def worse(buy: bool, price: float, offset: float) -> float:
    """The price that an offset against the order leads to; never below 0."""
    return price + offset if buy else max(price - offset, 0.0)


def bounded(
    buy: bool, price: float, ideal: float, *, low: float, high: float, limit: float | None, beyond: bool
) -> float:
    """A slipped price kept inside the bar, unless it may go `beyond` it, and never worse than the limit.

    ideal: the price without slippage, at least which is given.
    """
    if buy:
        capped = price if beyond else min(price, max(high, ideal))
        return capped if limit is None else min(capped, max(limit, ideal))
    capped = price if beyond else max(price, min(low, ideal))
    return capped if limit is None else max(capped, min(limit, ideal))


def fillable(wanted: float, volume: float, share: float | None, used: float) -> float:
    """How much of a signed size a bar takes, when all its fills may be `share` of its volume; sign as `wanted`.

    used: units the bar has filled before. What is wanted in whole units is filled in whole units. A volume that is no
    number counts as 0. share None: all of it.
    """
    if share is None:
        return wanted
    left = max(volume * share - used, 0.0) if volume > 0 else 0.0
    if left + ROUNDING >= abs(wanted):
        return wanted
    if float(wanted).is_integer():
        left = float(math.floor(left + ROUNDING))
    return math.copysign(left, wanted) if left else 0.0


def share_of(size: float, volume: float, used: float) -> float:
    """What a fill and those before it in the bar are of the bar's volume, at most 1; 1 where there is no volume."""
    return min((abs(size) + used) / volume, 1.0) if volume > 0 else 1.0


def quoted_spreads(frame: Any) -> Any:
    """The spread of each bar as a fraction of its middle, from columns `bid` and `ask`: for `Costs(spread=...)`.

    frame: a DataFrame by time. Returns a Series; bars without both prices are left out. Raises ConfigError where a
    column is missing, or an ask is below its bid.
    """
    if not {"bid", "ask"} <= set(frame.columns):
        raise ConfigError("the bars have no bid and ask", hint="name the columns bid and ask")
    quotes = frame[["bid", "ask"]].dropna()
    spread = (quotes["ask"] - quotes["bid"]) / ((quotes["ask"] + quotes["bid"]) / 2.0)
    if len(spread) and spread.min() < 0:
        raise ConfigError(f"the ask is below the bid at {spread.idxmin()}", hint="drop or mend that bar")
    return spread
