"""The page of a strategy's scenarios: what each changed, and the accounts over each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from reports import plots
from reports.grid import Column, Grid
from reports.html import environment, template_text
from reports.pictures import seconds
from reports.svg import svg

if TYPE_CHECKING:
    import pandas as pd

    from core.results import RunResult

COLUMNS = (
    Column("scenario", "Scenario", "text"),
    Column("total_return", "Return", "percent"),
    Column("total_return_delta", "Change", "percent"),
    Column("sharpe", "Sharpe", "ratio"),
    Column("max_drawdown", "Largest drawdown", "percent"),
    Column("max_drawdown_delta", "Change", "percent"),
    Column("trades", "Trades", "count"),
)


def scenario_grid(table: pd.DataFrame) -> Grid:
    """The rows of `engine.scenarios.Outcomes.table`, the run as it was first, without changes of its own."""
    rows = []
    for place, (name, row) in enumerate(table.iterrows()):
        values = [float(row[column.key]) for column in COLUMNS[1:]]
        if place == 0:
            values = [
                np.nan if column.key.endswith("_delta") else value
                for column, value in zip(COLUMNS[1:], values, strict=True)
            ]
        rows.append((str(name), *values))
    return Grid(COLUMNS, tuple(rows))


def scenario_page(
    base: RunResult, runs: Mapping[str, RunResult], table: pd.DataFrame, failures: Mapping[str, str]
) -> str:
    """One file that needs no network. runs: those that ended, by scenario. failures: why the others did not."""
    name = base.strategy.rpartition(":")[2] or base.strategy
    worst = table["total_return_delta"].drop(index=table.index[0]).idxmin() if len(runs) else None
    return environment().get_template("scenarios.html").render(
        title=f"{name} on {', '.join(base.data.symbols)}",
        kind="Scenarios",
        grid_of_scenarios=scenario_grid(table),
        failures=dict(failures),
        overlay=[svg(overlay(base, runs, None if worst is None else str(worst), size)) for size in plots.PAGE_SIZES],
        data="null",
        script="",
        style=Markup(template_text("tearsheet.css")),
    )  # fmt: skip


def overlay(
    base: RunResult, runs: Mapping[str, RunResult], worst: str | None, size: tuple[float, float]
) -> plots.Plot:
    """Every account over its start: the run as it was on top, the worst scenario named, the others grey."""
    lines = []
    for name, result in runs.items():
        if name != worst:
            lines.append(("others", *_account(result), "muted"))
    if worst is not None and worst in runs:
        lines.append((worst, *_account(runs[worst]), "loss"))
    lines.append(("as it was", *_account(base), "accent"))
    drawn = [line for line in lines if len(line[2])]
    named = [
        line if place == 0 or line[0] != "others" else ("", *line[1:]) for place, line in enumerate(drawn)
    ]
    said = "Accounts over their start value, one for each scenario"
    return plots.over_time(named, unit="ratio", size=size, said=said, level=1.0)


def _account(result: RunResult) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and values over the start; empty for an account that did not start above zero."""
    values = result.equity.to_numpy(dtype=np.float64)
    if not values.size or not values[0] > 0:
        return np.empty(0), np.empty(0)
    return seconds(result.equity.index), values / values[0]
