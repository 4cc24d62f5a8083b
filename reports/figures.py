"""How a metric is called, shown and explained to a person. The figures themselves come from `analyzers`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["percent", "ratio", "money", "count"]
MISSING = "\u2013"
MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric as the page shows it; `meaning` in a few words."""

    key: str
    label: str
    unit: Unit
    meaning: str

    def text(self, metrics: Mapping[str, float]) -> str:
        """The value as a person reads it; a dash where it is not defined."""
        return show(metrics.get(self.key, math.nan), self.unit)


GROUPS: Mapping[str, tuple[Figure, ...]] = {
    "Return": (
        Figure("total_return", "Total return", "percent", "end over start, less one"),
        Figure("cagr", "Yearly return (CAGR)", "percent", "growth a year, compounded"),
        Figure("start_value", "Start value", "money", "account at the first bar"),
        Figure("end_value", "End value", "money", "account at the last bar"),
        Figure("exposure", "Time in the market", "percent", "bars that end with a position"),
    ),
    "Risk": (
        Figure("volatility", "Volatility", "percent", "deviation of returns, a year"),
        Figure("max_drawdown", "Largest drawdown", "percent", "deepest fall below an earlier high"),
        Figure("max_drawdown_bars", "Longest drawdown", "count", "bars below an earlier high"),
        Figure("ulcer_index", "Ulcer index", "percent", "root mean square of drawdown"),
        Figure("var_95", "Value at risk, 95%", "percent", "loss that 1 bar in 20 exceeds"),
        Figure("cvar_95", "Expected shortfall, 95%", "percent", "mean loss of those bars"),
    ),
    "Return for risk": (
        Figure("sharpe", "Sharpe", "ratio", "mean over deviation, a year"),
        Figure("sortino", "Sortino", "ratio", "mean over downside deviation, a year"),
        Figure("calmar", "Calmar", "ratio", "yearly return over largest drawdown"),
        Figure("recovery_factor", "Recovery factor", "ratio", "total return over largest drawdown"),
        Figure("omega", "Omega", "ratio", "sum of gains over sum of losses, by bar"),
        Figure("tail_ratio", "Tail ratio", "ratio", "best 5% of bars over worst 5%"),
        Figure("psr", "Probabilistic Sharpe", "percent", "chance that the true Sharpe is above zero"),
    ),
    "Trades": (
        Figure("trades", "Closed trades", "count", "positions opened and closed"),
        Figure("win_rate", "Win rate", "percent", "trades that earned after commission"),
        Figure("profit_factor", "Profit factor", "ratio", "money won over money lost"),
        Figure("expectancy", "Expectancy", "money", "mean result of a trade"),
        Figure("average_win", "Average win", "money", "mean of the winning trades"),
        Figure("average_loss", "Average loss", "money", "mean size of the losing trades"),
        Figure("best_trade", "Best trade", "money", "after commission"),
        Figure("worst_trade", "Worst trade", "money", "after commission"),
        Figure("sqn", "System quality (SQN)", "ratio", "how far the mean trade is from chance"),
        Figure("commission", "Commission paid", "money", "over all fills"),
    ),
}
FIGURES: Mapping[str, Figure] = {figure.key: figure for group in GROUPS.values() for figure in group}


def show(value: float, unit: Unit) -> str:
    """A number for a person: percent from a fraction, thousands separated, a true minus, dash for NaN."""
    if not math.isfinite(value):
        return MISSING
    text = {
        "percent": f"{value:.2%}",
        "ratio": f"{value:.2f}",
        "money": f"{value:,.2f}",
        "count": f"{value:,.0f}",
    }
    return signed(text[unit])


def signed(text: str) -> str:
    """The text with a true minus sign, and none before a zero."""
    if text.startswith("-") and not text.strip("-0.,%"):
        text = text[1:]
    return text.replace("-", MINUS)


def number(value: float) -> str:
    """A price or a size: thousands separated, as many decimals as it has, eight at most."""
    if not math.isfinite(value):
        return MISSING
    whole, _, decimals = f"{value:,.8f}".rstrip("0").partition(".")
    # 0.30000000000000004 and the like have eight decimals for no reason but the arithmetic.
    return signed(f"{whole}.{decimals:0<2}" if decimals else whole)


def price(value: float) -> str:
    """A price: two decimals from ten upwards, more below, as many as it takes to tell prices apart."""
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    decimals = 2 if size >= 10 or size == 0 else min(8, 4 - math.floor(math.log10(size)))
    return signed(f"{value:,.{decimals}f}")
