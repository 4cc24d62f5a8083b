"""The page of an optimisation, one file that needs no network, and the files beside it.

A document is plain data, as JSON holds it, with these keys. What is not known is None.

strategy, kind; data: source, symbols, start, end, bars, timeframe, notes; objectives: of each name, largest;
verdict: label, reason, notes; evidence: the figures it rests on, as `analyzers.verdict.Evidence`; metrics: out of
sample; intervals: by metric value, low, high, level; efficiency; windows: of each number, train_from, train_to,
train_bars, test_from, test_to, test_bars, params, in_sample, out_of_sample, trials, feasible, engine, stopped;
names: parameters that varied; chosen, chosen_metrics: the best over the whole period; drift: by parameter, part of
its range; importance: by parameter, the most important first, alone, joint; neighbourhood: size, median, ratio,
positive, shape; entries: against random moments, probability, entries, earned, random, draws; trials: total, feasible, failed, pruned, errors, stopped, and columns number, params by name, values
by objective, metrics by name (largest, values), front; equity, in_sample_equity: time in seconds since 1970, value; overfitting: probability,
degradation, intercept, loss, splits, logits (edges, counts), in_sample, out_of_sample; crossvalidation: None, or groups,
tests, purge, embargo, splits, chosen, in_sample, out_of_sample, paths by figure, losing, spread by parameter, agreed;
settings, counters, notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from analyzers import verdict
from core.jsontext import to_json
from core.redact import redact
from reports.artefacts import explained, write, write_text
from reports.figures import MISSING
from reports.html import environment, script_json, template_text
from reports.optimization_charts import MOST_AXES, chart_data, figure_text, label_of, text_of
from reports.optimization_evidence import cards, entries, number, paths, percent, splits

PAGE = "optimization.html"
LONG = ("trials", "equity", "in_sample_equity")
"""Keys that hold long columns of numbers."""
COMPARED = (
    "total_return",
    "cagr",
    "sharpe",
    "max_drawdown",
    "volatility",
    "trades",
    "win_rate",
    "profit_factor",
)
LABELS: Mapping[str, str] = {
    verdict.NONE: "neutral",
    verdict.OVERFIT: "against",
    verdict.SOME: "some",
    verdict.STRONG: "for",
}
FRONT_SHOWN = 20
KINDS: Mapping[str, str] = {"walkforward": "Walk-forward", "cpcv": "Walk-forward and cross-validation"}


def write_optimization(document: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Write an optimisation's files into `folder`, made if missing; returns the path of the page.

    result.json (the document), windows.json (one flat object a window), trials.parquet and equity.parquet, of the
    tables of these names, and optimization.html. Times are UTC, undefined figures null, secrets hidden. Each file
    replaces the one of its name in one step. Raises UserError when the folder cannot be written.
    """
    safe = _safe(document)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "result.json", to_json(safe) + "\n")
        rows = redact(tables["windows"].to_dict("records"))
        write_text(folder / "windows.json", to_json(rows, indent=2) + "\n")
        for name in ("trials", "equity"):
            write(folder / f"{name}.parquet", tables[name].to_parquet)
        write_text(folder / PAGE, _rendered(safe))
    return folder / PAGE


def optimization_page(document: Mapping[str, Any]) -> str:
    """The whole page as text. Everything that came with the document is escaped; secrets are hidden."""
    return _rendered(_safe(document))


def _safe(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without secrets. Numbers in long columns are none."""
    safe: dict[str, Any] = redact({key: value for key, value in document.items() if key not in LONG})
    trials = document["trials"]
    safe["trials"] = {**trials, "errors": redact(trials["errors"])}
    return safe | {key: document[key] for key in LONG[1:]}


def _rendered(document: Mapping[str, Any]) -> str:
    return environment().get_template(PAGE).render(context(document))


def context(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows, in the form it shows it."""
    name = str(document["strategy"]).rpartition(":")[2]
    symbols = ", ".join(document["data"]["symbols"])
    objective = document["objectives"][0]
    charts = chart_data(document)
    return {
        "title": f"{name} on {symbols or 'no data'}",
        "kind": KINDS.get(document["kind"], str(document["kind"]).capitalize()),
        "document": document,
        "start": _day(document["data"]["start"]),
        "end": _day(document["data"]["end"]),
        "symbols": symbols,
        "mark": LABELS.get(document["verdict"]["label"], "neutral"),
        "cards": list(cards(document)),
        "objective": label_of(objective["name"]),
        "windows": _windows(document),
        "names": document["names"],
        "compared": list(_compared(document)),
        "level": _level(document),
        "chosen": [(key, text_of(value)) for key, value in document["chosen"].items()],
        "importance": list(_importance(document)),
        "drawn": charts["names"],
        "heated": [metric["label"] for metric in charts["heat"]["metrics"]],
        "most_axes": MOST_AXES,
        "drift": {key: percent(number(value)) for key, value in document["drift"].items()},
        "front": _front(document),
        "splits": splits(document["overfitting"]),
        "entries": entries(document["entries"]),
        "paths": paths(document.get("crossvalidation")),
        "settings": list(_pairs(document["settings"])),
        "counters": [(_words(key), text_of(_rounded(value))) for key, value in document["counters"].items()],
        "notes": list(dict.fromkeys((*document["notes"], *document["data"]["notes"]))),
        "data": Markup(script_json(charts)),
        "script": Markup(template_text("optimization.js")),
        "style": Markup(template_text("tearsheet.css") + template_text("optimization.css")),
    }


def _windows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    objective = document["objectives"][0]["name"]
    return [
        {
            "number": window["number"],
            "train": (_day(window["train_from"]), _day(window["train_to"])),
            "test": (_day(window["test_from"]), _day(window["test_to"])),
            "bars": f"{window['train_bars']:,} bars to learn from, {window['test_bars']:,} to be judged on",
            "params": [text_of(window["params"].get(name)) for name in document["names"]],
            "in_sample": figure_text(objective, window["in_sample"].get(objective)),
            "out_of_sample": figure_text(objective, window["out_of_sample"].get(objective)),
            "total_return": figure_text("total_return", window["out_of_sample"].get("total_return")),
            "max_drawdown": figure_text("max_drawdown", window["out_of_sample"].get("max_drawdown")),
            "trades": figure_text("trades", window["out_of_sample"].get("trades")),
            "sign": _sign(window["out_of_sample"].get("total_return")),
            "trials": f"{window['feasible']:,} of {window['trials']:,}",
            "stopped": window["stopped"],
            "engine": window["engine"],
        }
        for window in document["windows"]
    ]


def _compared(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Label, out of sample, its interval, and the same of the best trial over the whole period."""
    wanted = dict.fromkeys((*(each["name"] for each in document["objectives"]), *COMPARED))
    for name in wanted:
        outside, inside = document["metrics"].get(name), document["chosen_metrics"].get(name)
        if outside is None and inside is None:
            continue
        interval = document["intervals"].get(name)
        between = (
            f"{figure_text(name, interval['low'])} to {figure_text(name, interval['high'])}"
            if interval
            else ""
        )
        yield label_of(name), figure_text(name, outside), between, figure_text(name, inside)


def _level(document: Mapping[str, Any]) -> str:
    levels = [f"{each['level']:.0%}" for each in document["intervals"].values()]
    return levels[0] if levels else ""


def _importance(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, share in document["importance"].items():
        yield {
            "name": name,
            "alone": round(share["alone"], 4),
            "joint": round(share["joint"], 4),
            "text": f"{share['alone'] + share['joint']:.0%}",
            "below": f"{share['alone']:.0%} alone, {share['joint']:.0%} with others",
        }


def _front(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Trials that no other beats in every objective, as rows."""
    objectives, trials = document["objectives"], document["trials"]
    if len(objectives) < 2:
        return None
    rows = [
        {
            "number": trials["number"][place],
            "values": [
                figure_text(each["name"], trials["values"][each["name"]][place]) for each in objectives
            ],
            "params": [text_of(trials["params"][name][place]) for name in document["names"]],
        }
        for place in trials["front"][:FRONT_SHOWN]
    ]
    heads = [
        (label_of(each["name"]), f"{'more' if each['largest'] else 'less'} is better") for each in objectives
    ]
    return {"rows": rows, "total": len(trials["front"]), "heads": heads}


def _pairs(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Settings as words; what holds others is spread out."""
    for key, value in values.items():
        name = f"{before}{key if before else _words(key)}"
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{name}: ")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(text_of, value)) or MISSING
        else:
            yield name, text_of(value)


def _rounded(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value


def _sign(value: Any) -> str:
    return "" if not value else "gain" if value > 0 else "loss"


def _words(key: str) -> str:
    return str(key).replace("_", " ").capitalize()


def _day(moment: Any) -> str:
    if moment is None:
        return MISSING
    time = pd.Timestamp(moment)
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"


__all__ = ["PAGE", "optimization_page", "write_optimization"]
