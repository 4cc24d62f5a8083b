"""How what is no figure is worded for a person: moments, names, rates, what the quality report says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from reports.figures import MISSING, number, show, signed

KINDS: Mapping[str, tuple[str, str]] = {
    "backtest": ("Backtest", "Simulated over history. No orders left this machine."),
    "paper": ("Paper", "Replayed through the live path on a paper broker. No orders left this machine."),
    "rehearsal": (
        "Rehearsal",
        "Traded at a simulated venue, over its own protocol. No orders left this machine.",
    ),
    "live": ("Live", "Traded at a real venue."),
}
RATES: Mapping[str, str] = {
    "commission": "of the value traded",
    "slippage": "of the price",
    "spread": "of the price",
    "volume_share": "of the volume of a bar",
    "borrow": "a year",
    "funding": "of the position",
}
CHARGES: Mapping[str, str] = {
    "slippage_paid": "Spread and slippage paid",
    "borrow_paid": "Borrowing paid",
    "funding_paid": "Funding paid",
    "dividends_received": "Dividends received",
}


def costs(charged: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a run began with and was charged, as label and text: rates as percent, sums as money unless zero.

    The commission that came to is a figure of the run, and not repeated.
    """
    for key, value in charged.items():
        if key in CHARGES:
            if value:
                yield CHARGES[key], show(float(value), "money")
        elif key != "fees_paid":
            yield words(key), cost(key, value)


def cost(key: str, value: Any) -> str:
    """A rate as percent of what it is taken of, an amount as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if key in RATES and abs(value) < 1:
        return signed(f"{value:.4%}".rstrip("0%").rstrip(".") + "%") + f" {RATES[key]}"
    return number(value)


def quality(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What cleaning counted, as label and text; lists and switches are left to result.json."""
    for key, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            continue
        yield words(key), f"{value:,}" if isinstance(value, int) else str(value)


def words(key: str) -> str:
    """`filled_bars` as "Filled bars"."""
    return key.replace("_", " ").capitalize()


def day(at: Any) -> str:
    """The date of a moment, UTC; a dash where there is none."""
    return MISSING if pd.isna(at) else f"{at:%Y-%m-%d}"


def moment(at: Any) -> str:
    """A moment, UTC, to the minute, and to the second where it has seconds; midnight is a date."""
    if pd.isna(at):
        return MISSING
    if at.hour == at.minute == at.second == 0:
        return f"{at:%Y-%m-%d}"
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 trade`, `2 trades`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


__all__ = ["KINDS", "cost", "costs", "day", "moment", "plural", "quality", "words"]
