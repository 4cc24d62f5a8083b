"""Splits and dividends, for runs on raw prices.

An action takes effect on the first bar stamped at its time or later, before anything fills on that bar; what was held
at the bar before is what it concerns.

- A split of ratio r (2 for two new shares for an old one, 0.1 for a reverse split) multiplies positions and open orders
  by r and divides their prices by r.
- A cash dividend of d a share pays size x d, which shorts pay; open buy limits and sell stops are lowered by d (FINRA
  Rule 5330).
- A reinvested dividend buys shares at the last close less d: it is a split of ratio close / (close - d). Prices that
  were adjusted backwards by the factor (close - d) / close, as data vendors do, give the same run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brokers.schedule import moment
from core.errors import ConfigError

RATIO_COLUMNS = ("ratio", "split", "splits", "stock splits")
AMOUNT_COLUMNS = ("amount", "dividend", "dividends")


@dataclass(frozen=True, slots=True)
class Action:
    """One split or dividend. ratio: new shares for one old one; amount: quote currency a share, after the split."""

    time: datetime
    ratio: float = 1.0
    amount: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", moment(self.time, "a corporate action"))
        if not (math.isfinite(self.ratio) and self.ratio > 0):
            raise ConfigError(
                f"a split of {self.time:%Y-%m-%d} has the ratio {self.ratio:g}",
                hint="give new shares for one old one: 2 for two for one, 0.1 for one for ten",
            )
        if not (math.isfinite(self.amount) and self.amount >= 0):
            raise ConfigError(
                f"a dividend of {self.time:%Y-%m-%d} is {self.amount:g} a share", hint="give 0 or more"
            )


def actions_of(given: Any, symbol: str) -> tuple[Action, ...]:
    """Actions of one symbol, oldest first, from actions, or from a frame by time.

    The frame has a column ratio (or split, or yfinance's Stock Splits), amount (or dividend, Dividends), or both; 0 and
    NaN are none. Raises ConfigError for a frame with neither column.
    """
    found = _of_frame(given, symbol) if hasattr(given, "columns") else list(given)
    if not all(isinstance(action, Action) for action in found):
        raise ConfigError(f"the actions of {symbol} are not `Action`s", hint="give Action(time, ratio=2.0)")
    return tuple(sorted(found, key=lambda action: action.time))


def _of_frame(frame: Any, symbol: str) -> list[Action]:
    names = {str(column).strip().lower(): column for column in frame.columns}
    ratio = next((names[name] for name in RATIO_COLUMNS if name in names), None)
    amount = next((names[name] for name in AMOUNT_COLUMNS if name in names), None)
    if ratio is None and amount is None:
        raise ConfigError(
            f"the actions of {symbol} have no column ratio or amount", hint="name at least one so"
        )
    ratios = [1.0] * len(frame) if ratio is None else frame[ratio]
    amounts = [0.0] * len(frame) if amount is None else frame[amount]
    rows = zip(frame.index, ratios, amounts, strict=True)
    actions = [Action(time, _or(split, 1.0), _or(paid, 0.0)) for time, split, paid in rows]
    return [action for action in actions if action.ratio != 1.0 or action.amount]


def _or(value: float, nothing: float) -> float:
    return nothing if not value or math.isnan(value) else float(value)


def due(actions: Iterable[Action], after: datetime, until: datetime) -> list[Action]:
    """Those later than `after`, up to and with `until`."""
    return [action for action in actions if after < action.time <= until]


def reinvested(mark: float, amount: float, symbol: str) -> float:
    """Shares one share becomes when a dividend is put back at the last close less the dividend.

    Raises ConfigError where the dividend is not below that close.
    """
    if amount >= mark:
        raise ConfigError(
            f"{symbol} pays a dividend of {amount:g} a share at a price of {mark:g}",
            hint="give the dividend in the currency of the prices, for one share as it was then",
        )
    return mark / (mark - amount)


def actions_by_symbol(given: Mapping[str, Any]) -> dict[str, tuple[Action, ...]]:
    """`actions_of` for each symbol."""
    return {symbol: actions_of(each, symbol) for symbol, each in given.items()}
