"""What an optimiser may vary, declared on a strategy class: `space = {"fast": Int(5, 50)}`.

Stock Backtrader ignores the attribute; `strategies.registry` checks given parameters against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers from low to high, both included, in steps."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high or self.step < 1:
            raise ValueError(
                f"Int({self.low}, {self.high}, step={self.step}): low <= high and step >= 1 are needed"
            )

    def contains(self, value: Any) -> bool:
        """Whether `value` is a whole number on the grid; numpy's whole numbers count."""
        if isinstance(value, bool) or not isinstance(value, Integral):
            return False
        number = int(value)
        return self.low <= number <= self.high and (number - self.low) % self.step == 0

    def describe(self) -> str:
        """For messages: the range in words."""
        return f"a whole number from {self.low} to {self.high}" + (
            f" in steps of {self.step}" if self.step > 1 else ""
        )


@dataclass(frozen=True, slots=True)
class Float:
    """Real numbers from low to high, both included; `log` searches by ratio."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"Float({self.low}, {self.high}): low <= high is needed")
        if self.log and self.low <= 0:
            raise ValueError(f"Float({self.low}, {self.high}, log=True): low must be above zero")

    def contains(self, value: Any) -> bool:
        """Whether `value` is a number within the range; NaN never is."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        return self.low <= float(value) <= self.high

    def describe(self) -> str:
        """For messages: the range in words."""
        return f"a number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the given values."""

    options: Sequence[Any]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("Choice needs at least one option")

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of the options."""
        return value in self.options

    def describe(self) -> str:
        """For messages: the options in words."""
        return "one of " + ", ".join(map(str, self.options))


Dimension = Int | Float | Choice
Space = Mapping[str, Dimension]
Constraint = Callable[[Mapping[str, Any]], bool]
