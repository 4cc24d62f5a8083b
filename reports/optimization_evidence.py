"""What an optimisation's page says of luck: the cards behind the verdict, overfitting, entries, cross-validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from analyzers import verdict
from reports.figures import MISSING, show, signed
from reports.optimization_charts import figure_text, label_of

PATHS_SHOWN = 24
FOR, AGAINST, UNKNOWN = "for", "against", "unknown"
WORDS: Mapping[str, str] = {FOR: "speaks for it", AGAINST: "speaks against it", UNKNOWN: "not known", "": ""}
BELOW_MEDIAN = "splits in which the best in sample ends below the median out of sample"
MORE_THAN_LUCK = "chance that the best trial is more than the luck of so many tries"
KEPT = "yearly return out of sample, as a part of that in sample"
SHUFFLED = "of shuffled markets on which the same search does as well"
RANDOM = "of random moments of entry, held as long, that earn as much out of sample"


def cards(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The figures behind the verdict: label, value, a line below, and whether it speaks for the strategy."""
    e = {key: number(value) for key, value in document["evidence"].items() if key != "interval"}
    interval = document["evidence"]["interval"]
    between = "too few bars for an interval"
    if interval:
        between = (
            f"{interval['level']:.0%} between {ratio(interval['low'])} and {ratio(interval['high'])}; "
            f"in sample {ratio(e['in_sample'])}"
        )
    sure = verdict.SURE
    held = e["probability"] >= sure and e["out_of_sample"] > 0
    lengths = (
        f"below it so many trials show a Sharpe of 1 without skill; the data has {show(e['years'], 'ratio')}"
    )
    alike = f"independent ones among {show(e['trials'], 'count')}, by how alike their returns are"
    near = _neighbours(document["neighbourhood"])
    for label, value, below, mark in (
        ("Sharpe out of sample", ratio(e["out_of_sample"]), between, _mark(e["probability"], held)),
        ("Probability of overfitting (PBO)", percent(e["overfitting"]), BELOW_MEDIAN, _mark(e["overfitting"], e["overfitting"] <= verdict.LOW_OVERFITTING)),
        ("Deflated Sharpe", percent(e["deflated"]), MORE_THAN_LUCK, _mark(e["deflated"], e["deflated"] >= sure)),
        ("Walk-forward efficiency", percent(e["efficiency"]), KEPT, _mark(e["efficiency"], e["efficiency"] >= 0.5)),
        ("Permutation test", percent(e["permutation"]), SHUFFLED, _mark(e["permutation"], e["permutation"] <= 1 - sure)),
        ("Random entries", percent(e["entries"]), RANDOM, _mark(e["entries"], e["entries"] <= 1 - sure)),
        ("Minimum backtest length", f"{show(e['enough'], 'ratio')} years", lengths, _mark(e["enough"] - e["years"], e["years"] >= e["enough"])),
        ("Effective trials", show(e["effective"], "count"), alike, ""),
        ("Neighbours of the best", percent(e["ratio"]), near, _mark(e["ratio"], e["ratio"] >= 0.5)),
    ):  # fmt: skip
        yield {"label": label, "value": value, "below": below, "mark": mark, "words": WORDS[mark]}


def _mark(value: float, good: bool) -> str:
    return UNKNOWN if math.isnan(value) else FOR if good else AGAINST


def _neighbours(found: Mapping[str, Any]) -> str:
    if found["shape"] == "unknown":
        return "too few trials near the best to tell a plateau from a spike"
    return f"of its value, in the median of {found['size']:,} trials near it: a {found['shape']}"


def splits(found: Mapping[str, Any]) -> dict[str, str] | None:
    """The overfitting section in words; None where nothing could be split."""
    if not found["splits"]:
        return None
    slope = number(found["degradation"])
    if math.isnan(slope):
        sentence = "The best in sample was equally good in all of them, so there is no slope."
    elif slope > 0:
        sentence = f"Each 1.00 of Sharpe more in sample went with {slope:.2f} more out of sample."
    else:
        sentence = (
            f"Each 1.00 of Sharpe more in sample went with {-slope:.2f} less out of sample; two halves share one "
            "history, so this alone says little, even of a trial that is the best in both."
        )
    return {
        "count": f"{found['splits']:,}",
        "probability": percent(number(found["probability"])),
        "loss": percent(number(found["loss"])),
        "sentence": sentence,
    }


def entries(found: Mapping[str, Any]) -> str:
    """The test of the entries in a sentence or two."""
    if found["probability"] is None:
        return f"Out of sample it entered {found['entries']:,} times: too few to compare with random moments."
    if not found["draws"]:
        return "Out of sample it always held the same side, so there are no entries to compare with random moments."
    return (
        f"Out of sample it entered {found['entries']:,} times. Held as long, but from random moments on, it earned as "
        f"much in {percent(number(found['probability']))} of {found['draws']:,} draws: "
        f"{percent(number(found['random']))} of the account on average, against {percent(number(found['earned']))}; "
        "both before costs and not compounded."
    )


def paths(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The cross-validation section in words; None where there was none. Of many paths an even choice is shown."""
    if not found:
        return None
    columns = found["paths"]
    count = len(columns["sharpe"])
    shown = sorted(
        {round(place * (count - 1) / max(1, PATHS_SHOWN - 1)) for place in range(min(count, PATHS_SHOWN))}
    )
    if count <= PATHS_SHOWN:
        shown = list(range(count))
    known = [number(value) for value in columns["sharpe"] if value is not None]
    most = max([abs(value) for value in known], default=0.0) or 1.0
    rows = [
        {
            "number": place + 1,
            "width": round(50 * abs(value) / most, 1),
            "below": value < 0,
            "figures": [figure_text(name, columns[name][place]) for name in columns],
        }
        for place, value in ((place, number(columns["sharpe"][place] or 0.0)) for place in shown)
    ]
    return {
        "rows": rows,
        "count": f"{count:,}",
        "splits": f"{found['splits']:,}",
        "groups": found["groups"],
        "tests": found["tests"],
        "gap": f"{found['purge']} bars purged, {found['embargo']} more embargoed",
        "heads": [label_of(name) for name in columns],
        "losing": percent(number(found["losing"])),
        "agreed": percent(number(found["agreed"])),
        "spread": [(name, percent(number(value))) for name, value in found["spread"].items()],
    }


def number(value: Any) -> float:
    """A figure of the document, NaN where it is not known."""
    return math.nan if value is None else float(value)


def percent(value: float) -> str:
    """As exact as a probability from a few hundred draws is."""
    return signed(f"{value:.1%}") if math.isfinite(value) else MISSING


def ratio(value: Any) -> str:
    """A figure of the document as a ratio is shown."""
    return show(number(value), "ratio")


__all__ = ["cards", "entries", "number", "paths", "percent", "ratio", "splits"]
