"""How a metric is called, shown and explained to a person. The figures themselves come from `analyzers`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["percent", "ratio", "money", "count"]
MOST: Mapping[Unit, float] = {"percent": 1e6, "ratio": 1e9, "money": 1e15, "count": 1e15}
"""From here on a number is shown with its power of ten: nobody counts the digits of a yearly return of 1e40%."""
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
        Figure("turnover", "Turnover", "ratio", "value traded a year over the mean account"),
    ),
    "Risk": (
        Figure("volatility", "Volatility", "percent", "deviation of returns, a year"),
        Figure("max_drawdown", "Largest drawdown", "percent", "deepest fall below an earlier high"),
        Figure("max_drawdown_bars", "Longest drawdown", "count", "bars below an earlier high"),
        Figure(
            "max_drawdown_recovery_bars",
            "Recovery of the largest",
            "count",
            "bars from its lowest to the old high",
        ),
        Figure("average_drawdown", "Average drawdown", "percent", "mean depth over all drawdowns"),
        Figure("time_under_water", "Time under water", "percent", "bars below an earlier high"),
        Figure("ulcer_index", "Ulcer index", "percent", "root mean square of drawdown"),
        Figure("var_95", "Value at risk, 95%", "percent", "loss that 1 bar in 20 exceeds"),
        Figure("cvar_95", "Expected shortfall, 95%", "percent", "mean loss of those bars"),
        Figure("var_95_normal", "Value at risk, normal", "percent", "as if returns were normal"),
        Figure("cvar_95_normal", "Expected shortfall, normal", "percent", "as if returns were normal"),
        Figure(
            "var_95_cornish_fisher",
            "Value at risk, Cornish-Fisher",
            "percent",
            "normal, corrected for skew and tails",
        ),
        Figure(
            "cvar_95_cornish_fisher",
            "Expected shortfall, Cornish-Fisher",
            "percent",
            "normal, corrected for skew and tails",
        ),
    ),
    "Return for risk": (
        Figure("sharpe", "Sharpe", "ratio", "mean over deviation, a year"),
        Figure("sharpe_error", "Standard error of Sharpe", "ratio", "of the figure above"),
        Figure("sortino", "Sortino", "ratio", "mean over downside deviation, a year"),
        Figure("calmar", "Calmar", "ratio", "yearly return over largest drawdown"),
        Figure("recovery_factor", "Recovery factor", "ratio", "total return over largest drawdown"),
        Figure("omega", "Omega", "ratio", "sum of gains over sum of losses, by bar"),
        Figure("tail_ratio", "Tail ratio", "ratio", "best 5% of bars over worst 5%"),
        Figure("psr", "Probabilistic Sharpe", "percent", "chance that the true Sharpe is above zero"),
        Figure("kelly", "Kelly fraction, returns", "ratio", "leverage that grows fastest, were it known"),
    ),
    "Trades": (
        Figure("trades", "Closed trades", "count", "positions opened and closed"),
        Figure("win_rate", "Win rate", "percent", "trades that earned after commission"),
        Figure("profit_factor", "Profit factor", "ratio", "money won over money lost"),
        Figure("expectancy", "Expectancy", "money", "mean result of a trade"),
        Figure("payoff_ratio", "Payoff ratio", "ratio", "average win over average loss"),
        Figure("average_win", "Average win", "money", "mean of the winning trades"),
        Figure("average_loss", "Average loss", "money", "mean size of the losing trades"),
        Figure("best_trade", "Best trade", "money", "after commission"),
        Figure("worst_trade", "Worst trade", "money", "after commission"),
        Figure("average_bars", "Average length", "ratio", "bars a trade is held"),
        Figure("mae", "Adverse excursion", "percent", "mean of how far a trade went against its entry"),
        Figure("mfe", "Favourable excursion", "percent", "mean of how far a trade went for it"),
        Figure("kelly_trades", "Kelly fraction, trades", "ratio", "part to risk, from win rate and payoff"),
        Figure("sqn", "System quality (SQN)", "ratio", "how far the mean trade is from chance"),
        Figure("commission", "Commission paid", "money", "over all fills"),
        Figure("cost_share", "Share of costs", "percent", "what was paid, of the profit before costs"),
    ),
    "Against the benchmark": (
        Figure("benchmark_return", "Benchmark's return", "percent", "of what was held instead"),
        Figure("excess_return", "Excess return", "percent", "total return less the benchmark's"),
        Figure("alpha", "Alpha", "percent", "yearly return that the benchmark does not explain"),
        Figure("beta", "Beta", "ratio", "move with each move of the benchmark"),
        Figure("correlation", "Correlation", "ratio", "of returns with the benchmark's"),
        Figure("tracking_error", "Tracking error", "percent", "deviation of the difference, a year"),
        Figure(
            "information_ratio", "Information ratio", "ratio", "mean difference over its deviation, a year"
        ),
    ),
}
FIGURES: Mapping[str, Figure] = {figure.key: figure for group in GROUPS.values() for figure in group}


CARDS = (
    "total_return",
    "cagr",
    "sharpe",
    "max_drawdown",
    "sortino",
    "volatility",
    "win_rate",
    "profit_factor",
)
"""The figures that stand first and large."""


def show(value: float, unit: Unit) -> str:
    """A number for a person: percent from a fraction, thousands separated, a true minus, dash for NaN."""
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= MOST[unit]:
        return signed(f"{100 * value:.2e}%" if unit == "percent" else f"{value:.2e}")
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
    return signed(f"{value:,.{price_decimals(value)}f}") if math.isfinite(value) else MISSING


def price_decimals(value: float) -> int:
    """Decimals of a price, eight at most."""
    size = abs(value)
    return 2 if size >= 10 or size == 0 else min(8, 4 - math.floor(math.log10(size)))
