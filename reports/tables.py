"""The tables of a report: which columns each has, and what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzers.breakdown import by_exit_reason
from analyzers.excursions import excursions
from reports.figures import FIGURES
from reports.grid import Column, Grid, grid_of

if TYPE_CHECKING:
    from analyzers.montecarlo import MonteCarlo

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TRADES = (
    Column("symbol", "Symbol", "text"),
    Column("side", "Side", "text"),
    Column("entry_time", "Entry", "time"),
    Column("exit_time", "Exit", "time"),
    Column("size", "Size", "number"),
    Column("entry_price", "Entry price", "price"),
    Column("exit_price", "Exit price", "price"),
    Column("move", "Move", "percent"),
    Column("mae", "MAE", "percent"),
    Column("mfe", "MFE", "percent"),
    Column("commission", "Commission", "money"),
    Column("pnl_net", "Result", "money"),
    Column("bars", "Bars", "count"),
    Column("exit_reason", "Why closed", "text"),
)
DRAWDOWNS = (
    Column("depth", "Depth", "percent"),
    Column("start", "Last high", "time"),
    Column("trough", "Lowest", "time"),
    Column("end", "As high again", "time"),
    Column("bars", "Bars", "count"),
    Column("recovery_bars", "Recovering", "count"),
)
EXIT_REASONS = (
    Column("exit_reason", "Why closed", "text"),
    Column("trades", "Trades", "count"),
    Column("win_rate", "Win rate", "percent"),
    Column("expectancy", "Expectancy", "money"),
    Column("profit_factor", "Profit factor", "ratio"),
    Column("total", "Result", "money"),
    Column("average_bars", "Bars held", "ratio"),
)
REGIMES = (
    Column("regime", "Market", "text"),
    Column("bars", "Bars", "count"),
    Column("share", "Of all", "percent"),
    Column("total_return", "Return", "percent"),
    Column("volatility", "Volatility", "percent"),
    Column("sharpe", "Sharpe", "ratio"),
)
EVENTS = (
    Column("time", "Time", "time"),
    Column("symbol", "Symbol", "text"),
    Column("kind", "What", "text"),
    Column("units", "Units", "number"),
    Column("amount", "Amount", "money"),
    Column("ratio", "Ratio", "ratio"),
)
PERCENTILES = ("p5", "p25", "p50", "p75", "p95")


def months(returns: pd.DataFrame) -> Grid:
    """returns: of `monthly_returns`. A year's return is that of its months."""
    columns = (
        Column("year", "Year", "text"),
        *(Column(name.lower(), name, "percent") for name in MONTHS),
        Column("whole", "Year", "percent"),
    )
    rows = []
    for year, known in returns.iterrows():
        values = known.to_numpy(dtype=np.float64)
        there = values[~np.isnan(values)]
        with np.errstate(over="ignore", invalid="ignore"):
            whole = float(np.prod(1.0 + there)) - 1.0 if there.size else math.nan
        rows.append((str(year), *values.tolist(), whole))
    return Grid(columns, tuple(rows))


def drawdowns(table: pd.DataFrame) -> Grid:
    """table: of `drawdown_table`."""
    return grid_of(table, DRAWDOWNS)


def trades(closed: pd.DataFrame, prices: Mapping[str, pd.DataFrame]) -> Grid:
    """Newest first. move: of the price, in favour of the trade, a fraction; size without its sign."""
    table = closed.join(excursions(closed, prices)) if len(closed) else closed.assign(mae=[], mfe=[])
    size = table["size"].to_numpy(dtype=np.float64)
    entry, leave = (table[name].to_numpy(dtype=np.float64) for name in ("entry_price", "exit_price"))
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.copysign(1.0, size) * (leave / entry - 1.0)
    reasons = table["exit_reason"].astype(object).fillna("").astype(str)
    table = table.assign(
        side=np.where(size < 0, "short", "long"),
        size=np.abs(size),
        move=np.where(entry != 0, move, np.nan),
        exit_reason=reasons.str.replace("_", " "),
    )
    return grid_of(table.iloc[::-1], TRADES)


def exit_reasons(closed: pd.DataFrame) -> Grid:
    """See `by_exit_reason`."""
    table = by_exit_reason(closed).reset_index()
    table["exit_reason"] = [
        str(reason).replace("_", " ") or "not recorded" for reason in table["exit_reason"]
    ]
    return grid_of(table, EXIT_REASONS)


def events(told: Sequence[Mapping[str, Any]]) -> Grid:
    """Splits, dividends, margin calls and liquidations, in their order; a value that is not told is not defined."""
    rows = tuple(
        (
            pd.Timestamp(each["time"]),
            str(each.get("symbol") or ""),
            str(each["kind"]).replace("_", " "),
            *(
                math.nan if each.get(key) is None else float(each[key])
                for key in ("units", "amount", "ratio")
            ),
        )
        for each in told
    )
    return Grid(EVENTS, rows)


def regimes(table: pd.DataFrame | None) -> Grid:
    """table: of `by_regime`; None where there is no market to judge by. Regimes without a bar are left out."""
    if table is None:
        return Grid(REGIMES, ())
    return grid_of(table[table["bars"] > 0].reset_index(), REGIMES)


def outcomes(found: MonteCarlo | None) -> Grid:
    """A row a figure; its values have the unit of that figure, so they are text here and numbers in JSON."""
    columns = (
        Column("figure", "Figure", "text"),
        *(Column(name, "Median" if name == "p50" else f"{int(name[1:])}%", "text") for name in PERCENTILES),
    )  # fmt: skip
    if found is None:
        return Grid(columns, ())
    rows = []
    for key, known in found.percentiles().items():
        figure = FIGURES[key]
        rows.append((figure.label, *(figure.text({key: known[name]}) for name in PERCENTILES)))
    return Grid(columns, tuple(rows))


__all__ = [
    "MONTHS",
    "PERCENTILES",
    "drawdowns",
    "events",
    "exit_reasons",
    "months",
    "outcomes",
    "regimes",
    "trades",
]
