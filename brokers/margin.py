"""Margin: what of a position has to be covered by equity, before it is opened and while it is held.

requirement = long fraction x value of the longs + short fraction x value of the shorts, in account currency.

- An order that opens or adds is taken when equity after it is at least the initial requirement of all positions.
- When equity at the bar's close is below the maintenance requirement there is a margin call, and positions are closed
  at the next bar's open, the one of the largest value first, until equity covers what is left, at that close.

The fractions are those of a US margin account unless given: half to open (Regulation T, 12 CFR 220.12; a short's
proceeds not counted), a quarter of longs and 30% of shorts to hold (FINRA Rule 4210(c)).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields

from core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Margin:
    """Fractions of a position's value. initial, maintenance: of longs; short_initial, short_maintenance: of shorts."""

    initial: float = 0.5
    maintenance: float = 0.25
    short_initial: float = 0.5
    short_maintenance: float = 0.3

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 < getattr(self, each.name) <= 10:
                raise ConfigError(
                    f"margin.{each.name} is {getattr(self, each.name):g}",
                    hint="give a fraction of the position's value, such as 0.5; 1 is an account without credit",
                )
        pairs = (("initial", self.initial, self.maintenance),
                 ("short_initial", self.short_initial, self.short_maintenance))  # fmt: skip
        for name, opening, holding in pairs:
            if holding > opening:
                raise ConfigError(
                    f"margin.{name} {opening:g} is below its maintenance {holding:g}",
                    hint="what suffices to open has to suffice to hold",
                )

    def __str__(self) -> str:
        return (
            f"margin {self.initial:.0%} to open longs, {self.short_initial:.0%} shorts; "
            f"{self.maintenance:.0%} and {self.short_maintenance:.0%} to hold"
        )


def initial_requirement(values: Iterable[float], margin: Margin) -> float:
    """Equity needed to open positions of these signed values."""
    return math.fsum(v * margin.initial if v > 0 else -v * margin.short_initial for v in values)


def maintenance_requirement(values: Iterable[float], margin: Margin) -> float:
    """Equity needed to hold positions of these signed values."""
    return math.fsum(v * margin.maintenance if v > 0 else -v * margin.short_maintenance for v in values)


def may_open(cash: float, values: Iterable[float], margin: Margin) -> bool:
    """Whether cash and signed position values, all as they are after an order, meet the initial requirement."""
    held = list(values)
    return math.fsum((cash, *held)) >= initial_requirement(held, margin)


@dataclass(frozen=True, slots=True)
class Books:
    """Cash, and signed units by symbol, as they are or as an order would leave them."""

    cash: float
    held: Mapping[str, float]

    def after(self, symbol: str, size: float, price: float, commission: float) -> Books:
        """If signed `size` traded whole."""
        held = {**self.held, symbol: self.held.get(symbol, 0.0) + size}
        return Books(self.cash - size * price - commission, held)

    def values(self, marks: Mapping[str, float]) -> dict[str, float]:
        """Signed value of each position."""
        return {symbol: size * marks[symbol] for symbol, size in self.held.items() if size}


def affords(
    before: Books, after: Books, symbol: str, price: float, marks: Mapping[str, float], margin: Margin
) -> bool:
    """Whether equity covers what an order in `symbol` at `price` opens; one that only makes it smaller always passes.

    marks: the prices of what else is held.
    """
    old, new = before.held.get(symbol, 0.0), after.held[symbol]
    if old * new >= 0 and abs(new) <= abs(old):
        return True
    return may_open(after.cash, after.values({**marks, symbol: price}).values(), margin)


@dataclass(frozen=True, slots=True)
class Call:
    """A margin call. symbols: what to close, in this order. lacking: requirement less equity, account currency."""

    symbols: tuple[str, ...]
    lacking: float


def margin_call(
    books: Books, marks: Mapping[str, float], closing: Collection[str], margin: Margin
) -> Call | None:
    """What is to be closed beside the symbols that are being closed already; None where equity covers the rest."""
    values = books.values(marks)
    cash = math.fsum((books.cash, *(value for symbol, value in values.items() if symbol in closing)))
    rest = {symbol: value for symbol, value in values.items() if symbol not in closing}
    chosen = to_liquidate(cash, rest, margin)
    if not chosen:
        return None
    return Call(chosen, maintenance_requirement(rest.values(), margin) - math.fsum((cash, *rest.values())))


def to_liquidate(cash: float, values: Mapping[str, float], margin: Margin) -> tuple[str, ...]:
    """Symbols to close, largest value first, until equity covers the rest; none where it does already.

    values: signed, by symbol, at the marks that `cash` goes with. Closing at the marks leaves equity as it is.
    """
    equity = math.fsum((cash, *values.values()))
    by_size = sorted((symbol for symbol in values if values[symbol]), key=lambda s: (-abs(values[s]), s))
    for count in range(len(by_size) + 1):
        if equity >= maintenance_requirement((values[symbol] for symbol in by_size[count:]), margin):
            return tuple(by_size[:count])
    return tuple(by_size)
