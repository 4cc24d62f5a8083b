"""The page of one run: one file that needs no network."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from core.errors import ConfigError
from reports import pictures
from reports.charts import chart_data
from reports.document import FigureRow, Report, make_report
from reports.figures import CARDS, number, show
from reports.grid import Grid, text_of
from reports.plots import Plot
from reports.quantstats_page import quantstats_part
from reports.svg import svg
from reports.words import plural

if TYPE_CHECKING:
    from core.config import ReportSettings
    from core.results import RunResult

TRADES_SHOWN = 200
WIDE, NARROW = (550.0, 210.0), (350.0, 190.0)
"""Sizes of the drawn charts, of which a page shows one."""
SIGNED = ("total_return", "cagr")


def tearsheet(result: RunResult, *, settings: ReportSettings | None = None) -> str:
    """The page of a run; see `page_of`."""
    title = None if settings is None else settings.title
    shown = TRADES_SHOWN if settings is None else settings.trades_shown
    return page_of(make_report(result, title=title), trades_shown=shown)


def page_of(report: Report, *, trades_shown: int = TRADES_SHOWN) -> str:
    """The whole page as text. Everything that came with the run is escaped; secrets are hidden.

    trades_shown: rows of the table of trades, newest first.
    """
    return environment().get_template("tearsheet.html").render(context(report, trades_shown))


def context(report: Report, trades_shown: int) -> dict[str, Any]:
    """What the template shows, in the form it shows it."""
    charts = chart_data(report.result, report.benchmark)
    return {
        "title": report.title,
        "kind": report.kind,
        "report": report,
        "result": report.result,
        "cards": list(_cards(report)),
        "groups": {group: list(rows) for group, rows in groupby(report.rows, lambda row: row.group)},
        "periods": number(report.figures.get("periods_per_year", math.nan)),
        "years": list(_years(report.months)),
        "trades": [_trade(row, report.trades) for row in report.trades.rows[:trades_shown]],
        "quantstats": quantstats_part(report.result.equity, report.benchmark, name=report.name),
        "held": "" if report.benchmark is None else f"{report.benchmark.name} held",
        "spread": _drawn(report, pictures.spread),
        "spread_said": _spread_said(report),
        "paths": _drawn(report, pictures.paths),
        "rolling_sharpe": _drawn(report, pictures.rolling_sharpe),
        "rolling_volatility": _drawn(report, pictures.rolling_volatility),
        "window": f"{report.rolling.attrs['bars']:,}" if len(report.rolling) else "",
        "data": Markup(script_json(charts)),
        "group": charts["group"],
        "library": Markup(chart_library()),
        "script": Markup(template_text("tearsheet.js")),
        "style": Markup(template_text("tearsheet.css")),
        "quantstats_style": Markup(template_text("quantstats.css")),
    }


@cache
def chart_library() -> str:
    """The charts' JavaScript, out of the installed package. Raises ConfigError when it is not there."""
    wanted = resources.files("lightweight_charts") / "js" / "lightweight-charts.js"
    if not wanted.is_file():
        raise ConfigError(
            "the package lightweight-charts does not carry its JavaScript",
            hint="install the version that constraints.txt names",
        )
    text = wanted.read_text(encoding="utf-8")
    # The text ends its own element wherever this stands, and no such end is part of the code.
    return text.replace("</script", "<\\/script")


def environment() -> jinja2.Environment:
    """For the templates of this package: everything is escaped, and what is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template_text(name: str) -> str:
    """A file of the templates' folder, as it is."""
    return (resources.files("reports") / "templates" / name).read_text(encoding="utf-8")


def script_json(value: object) -> str:
    """JSON that may stand inside a script element: it cannot end it or open a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _drawn(report: Report, picture: Callable[[Report, pictures.Size], Plot | None]) -> list[Markup]:
    """A chart as wide and as narrow screens show it; nothing where the run is too short for it."""
    plots = (picture(report, size) for size in (WIDE, NARROW))
    return [svg(plot) for plot in plots if plot is not None]


def _spread_said(report: Report) -> str:
    found = report.distribution
    if found is None:
        return ""
    still = f", {plural(found.still, found.of)} without a change are not drawn" if found.still else ""
    return (
        f"Mean {show(found.mean, 'percent')}, deviation {show(found.deviation, 'percent')}, skewness "
        f"{show(found.skewness, 'ratio')}, excess kurtosis {show(found.kurtosis, 'ratio')}; "
        f"best {show(found.best, 'percent')}, worst {show(found.worst, 'percent')}{still}."
    )


def _cards(report: Report) -> Iterator[tuple[FigureRow, str, str]]:
    """The figure, a line below, and the sign as a class name."""
    text = {row.figure.key: row.text for row in report.rows}
    below = {
        "total_return": "",
        "cagr": f"{text['start_value']} to {text['end_value']}",
        "sharpe": f"PSR {text['psr']}, on these bars only",
        "max_drawdown": f"longest: {text['max_drawdown_bars']} bars",
        "sortino": f"Calmar {text['calmar']}",
        "volatility": f"in the market {text['exposure']} of the time",
        "win_rate": f"{text['trades']} closed trades",
        "profit_factor": f"{text['expectancy']} a trade",
    }
    if report.benchmark is not None:
        below["total_return"] = f"{report.benchmark.name} held: {text['benchmark_return']}"
    for key in CARDS:
        row = report.row(key)
        yield row, below[key], _sign(row.value) if key in SIGNED else ""


def _sign(value: float) -> str:
    return "" if not math.isfinite(value) or value == 0 else "gain" if value > 0 else "loss"


def _years(months: Grid) -> Iterator[dict[str, Any]]:
    """Rows of the monthly table: year, twelve cells and the year's, each (text, heat in [-1, 1])."""
    known = np.abs(np.array([row[1:-1] for row in months.rows], dtype=np.float64))
    strongest = float(np.nanmax(known)) if np.isfinite(known).any() else math.nan
    for row, texts in zip(months.rows, months.texts(), strict=True):
        cells = [_cell(value, text, strongest) for value, text in zip(row[1:-1], texts[1:-1], strict=True)]
        yield {"year": texts[0], "cells": cells, "whole": texts[-1], "sign": _sign(row[-1])}


def _cell(value: float, text: str, strongest: float) -> tuple[str, float]:
    if not math.isfinite(value):
        return "", 0.0
    heat = value / strongest if math.isfinite(strongest) and strongest > 0 else 0.0
    return text, round(heat, 3)


def _trade(row: tuple[Any, ...], trades: Grid) -> list[tuple[str, str, str]]:
    """Text, what it is sorted by ("" for its text), and class of each cell."""
    cells = []
    for column, value in zip(trades.columns, row, strict=True):
        key, name = "", "words"
        if column.kind != "text":
            key = str(_order(value) if column.kind == "time" else value)
            name = _sign(value) if column.key == "pnl_net" else ""
        cells.append((text_of(value, column.kind), key, name))
    return cells


def _order(at: Any) -> float:
    return 0.0 if pd.isna(at) else float(at.timestamp())
