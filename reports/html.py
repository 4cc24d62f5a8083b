"""The page of one run: one file that needs no network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from analyzers.metrics import monthly_returns
from core.errors import ConfigError
from core.redact import redact
from reports.charts import chart_data
from reports.figures import FIGURES, GROUPS, MISSING, number, price, show, signed
from reports.quantstats_page import quantstats_part

if TYPE_CHECKING:
    from core.config import ReportSettings
    from core.results import RunResult

TRADES_SHOWN = 200
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
KINDS: Mapping[str, tuple[str, str]] = {
    "backtest": ("Backtest", "Simulated over history. No orders left this machine."),
    "paper": ("Paper", "Replayed through the live path on a paper broker. No orders left this machine."),
    "rehearsal": (
        "Rehearsal",
        "Traded at a simulated venue, over its own protocol. No orders left this machine.",
    ),
    "live": ("Live", "Traded at a real venue."),
}
RATES = ("commission", "slippage")
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


def tearsheet(result: RunResult, *, settings: ReportSettings | None = None) -> str:
    """The whole page as text. Everything that came with the run is escaped; secrets are hidden."""
    template = environment().get_template("tearsheet.html")
    return template.render(context(result, settings))


def context(result: RunResult, settings: ReportSettings | None) -> dict[str, Any]:
    """What the template shows, in the form it shows it."""
    name = result.strategy.rpartition(":")[2] or result.strategy
    symbols = ", ".join(result.data.symbols)
    label, promise = KINDS.get(result.kind, (result.kind.capitalize(), ""))
    metrics = result.metrics
    benchmark = _benchmark(result)
    charts = chart_data(result)
    return {
        "title": (settings and settings.title) or f"{name} on {symbols or 'no data'}",
        "name": name,
        "kind": label,
        "promise": promise,
        "result": result,
        "symbols": symbols,
        "start": _day(result.data.start),
        "end": _day(result.data.end),
        "cards": list(_cards(metrics, benchmark)),
        "groups": {
            group: [(figure.label, figure.text(metrics), figure.meaning) for figure in figures]
            for group, figures in GROUPS.items()
        },
        "periods": number(metrics.get("periods_per_year", math.nan)),
        "months": MONTHS,
        "years": _years(result.equity),
        "trades": _trades(result.trades, TRADES_SHOWN if settings is None else settings.trades_shown),
        "open_trades": result.meta.get("open_trades", 0),
        "params": [(key, str(value)) for key, value in redact(dict(result.params)).items()],
        "costs": [(_words(key), _cost(key, value)) for key, value in result.costs.items()],
        "quality": list(_quality(result.data.quality)),
        "notes": list(dict.fromkeys((*result.notes, *result.data.notes))),
        "quantstats": quantstats_part(result.equity, benchmark, name=name),
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


def _benchmark(result: RunResult) -> pd.Series | None:
    """Closes of the first symbol over the run, named by it; None when the run saw no prices."""
    for name, frame in result.prices.items():
        if len(frame) and len(result.equity):
            closes = frame["close"].loc[result.equity.index[0] : result.equity.index[-1]]
            return closes.rename(name) if len(closes) else None
    return None


def _cards(metrics: Mapping[str, float], benchmark: pd.Series | None) -> Iterator[tuple[str, str, str, str]]:
    """Label, value, a line below, and the sign as a class name."""
    below = dict.fromkeys(CARDS, "")
    if benchmark is not None and benchmark.iloc[0] > 0:
        held = float(benchmark.iloc[-1] / benchmark.iloc[0] - 1.0)
        below["total_return"] = f"{benchmark.name} held: {show(held, 'percent')}"
    below["cagr"] = (
        f"{show(metrics.get('start_value', math.nan), 'money')} to {show(metrics.get('end_value', math.nan), 'money')}"
    )
    below["sharpe"] = f"PSR {FIGURES['psr'].text(metrics)}, on these bars only"
    below["max_drawdown"] = f"longest: {FIGURES['max_drawdown_bars'].text(metrics)} bars"
    below["sortino"] = f"Calmar {FIGURES['calmar'].text(metrics)}"
    below["volatility"] = f"in the market {FIGURES['exposure'].text(metrics)} of the time"
    below["win_rate"] = f"{FIGURES['trades'].text(metrics)} closed trades"
    below["profit_factor"] = f"{FIGURES['expectancy'].text(metrics)} a trade"
    for key in CARDS:
        value = metrics.get(key, math.nan)
        sign = _sign(value) if key in ("total_return", "cagr") else ""
        yield FIGURES[key].label, FIGURES[key].text(metrics), below[key], sign


def _sign(value: float) -> str:
    return "" if not math.isfinite(value) or value == 0 else "gain" if value > 0 else "loss"


def _years(equity: pd.Series) -> list[dict[str, Any]]:
    """Rows of the monthly table: year, twelve cells and the year's, each (text, heat in [-1, 1])."""
    table = monthly_returns(equity)
    known = np.abs(table.to_numpy(dtype=np.float64))
    strongest = float(np.nanmax(known)) if np.isfinite(known).any() else math.nan
    rows = []
    for year, months in table.iterrows():
        whole = float(np.prod(1.0 + months.dropna().to_numpy(dtype=np.float64))) - 1.0
        cells = [_cell(float(months[month]), strongest) for month in range(1, 13)]
        rows.append({"year": year, "cells": cells, "whole": _cell(whole, math.nan), "sign": _sign(whole)})
    return rows


def _cell(value: float, strongest: float) -> tuple[str, float]:
    if not math.isfinite(value):
        return "", 0.0
    heat = value / strongest if math.isfinite(strongest) and strongest > 0 else 0.0
    return show(value, "percent"), round(heat, 3)


def _trades(trades: pd.DataFrame, shown: int) -> dict[str, Any]:
    """The newest trades as rows of (text, sort key) cells, and how many there are in all."""
    newest = trades.iloc[::-1].head(shown)
    return {"rows": [_trade(row) for row in newest.to_dict("records")], "total": len(trades)}


def _trade(row: Mapping[Any, Any]) -> dict[str, Any]:
    size, entry, leave = float(row["size"]), float(row["entry_price"]), float(row["exit_price"])
    net, move = float(row["pnl_net"]), leave / entry - 1.0 if entry else math.nan
    move = math.copysign(1.0, size) * move
    return {
        "sign": _sign(net),
        "text": [str(row["symbol"]), "short" if size < 0 else "long"],
        "cells": [
            (_moment(row["entry_time"]), _order(row["entry_time"])),
            (_moment(row["exit_time"]), _order(row["exit_time"])),
            (number(abs(size)), abs(size)),
            (price(entry), entry),
            (price(leave), leave),
            (show(move, "percent"), move),
            (show(float(row["commission"]), "money"), float(row["commission"])),
            (show(net, "money"), net),
            (show(float(row["bars"]), "count"), float(row["bars"])),
        ],
        "reason": str(row["exit_reason"]).replace("_", " "),
    }


def _quality(quality: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in quality.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            continue
        yield _words(key), f"{value:,}" if isinstance(value, int) else str(value)


def _cost(key: str, value: float) -> str:
    """Rates as percent of the traded value, amounts as they are."""
    if key in RATES and abs(value) < 1:
        return signed(f"{value:.4%}".rstrip("0%").rstrip(".") + "%") + " of the value traded"
    return number(value)


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _day(moment: Any) -> str:
    return MISSING if pd.isna(moment) else f"{moment:%Y-%m-%d}"


def _moment(moment: Any) -> str:
    if pd.isna(moment):
        return MISSING
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def _order(moment: Any) -> float:
    return 0.0 if pd.isna(moment) else float(moment.timestamp())
