"""An optimisation's document as the compact numbers that its page's charts draw: see `optimization.js`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.figures import FIGURES, number, show

CELLS = 20
"""Rows and columns of a heat-map; where a parameter took fewer values, each is one."""
MOST_AXES = 10
"""Parameters that are drawn: the most important ones."""
MOST_METRICS = 8
"""Metrics that a heat-map may show."""
MOST_POINTS, MOST_LINES, BEST_LINES = 1_500, 400, 100
LOG_RATIO = 100

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def chart_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the charts need, as plain lists; what is not known is None."""
    names = drawn_names(document)
    axes = {name: axis_of(document["trials"]["params"][name]) for name in names}
    objective = document["objectives"][0]
    values = floats(document["trials"]["values"][objective["name"]])
    scores = values if objective["largest"] else -values
    return {
        "names": names,
        "label": label_of(objective["name"]),
        "unit": unit_of(objective["name"]),
        "largest": objective["largest"],
        "equity": _equity(document),
        "axes": [axes[name].plain() for name in names],
        "heat": _heat(axes, values, scores, document),
        "lines": _lines(axes, scores, values),
        "history": _history(document["trials"]["number"], values, scores),
        "drift": _drift(axes, document),
        "front": _front(document),
        "overfitting": {
            key: compact(item) if isinstance(item, list) else item
            for key, item in document["overfitting"].items()
        },
    }


def drawn_names(document: Mapping[str, Any]) -> list[str]:
    """The parameters that the charts show, as they were declared; of many the most important."""
    names: list[str] = document["names"]
    if len(names) <= MOST_AXES:
        return list(names)
    wanted = {*list(document["importance"] or names)[:MOST_AXES]}
    return [name for name in names if name in wanted]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where each value of a parameter stands.

    places: (n,) in [0, 1]. cells: (n,) heat-map row or column. labels: of the cells. ticks: (place, text) of some
    values. scale: low, high and whether by ratio; None for values that are not numbers.
    """

    places: Floats
    cells: Ints
    labels: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]
    scale: tuple[float, float, bool] | None

    def place(self, value: Any) -> float | None:
        """Where a value stands that need not be a trial's; None where it has no place."""
        if self.scale is None:
            text = text_of(value)
            return (self.labels.index(text) + 0.5) / len(self.labels) if text in self.labels else None
        if not _numeric([value]):
            return None
        return float(np.clip(_placed(np.array([float(value)]), *self.scale)[0], 0.0, 1.0))

    def plain(self) -> dict[str, Any]:
        """For the page."""
        return {"labels": list(self.labels), "ticks": [[round(at, 4), text] for at, text in self.ticks]}


def axis_of(values: Sequence[Any]) -> Axis:
    """The axis of a parameter, by the values that trials had."""
    if not _numeric(values):
        labels = tuple(dict.fromkeys(sorted(map(text_of, values))))
        codes = np.array([labels.index(text_of(value)) for value in values], dtype=np.int64)
        places = (codes + 0.5) / max(1, len(labels))
        ticks = tuple(((place + 0.5) / len(labels), label) for place, label in enumerate(labels))
        return Axis(places, codes, labels, _thinned(ticks), None)
    column = np.array(values, dtype=np.float64)
    low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 1.0)
    scale = (low, high, _by_ratio(column))
    places = _placed(column, *scale)
    distinct, codes = np.unique(column, return_inverse=True)
    if len(distinct) <= CELLS:
        labels = tuple(text_of(value) for value in distinct.tolist())
        ticks = tuple(zip(_placed(distinct, *scale).tolist(), labels, strict=True))
        return Axis(places, codes.astype(np.int64), labels, _thinned(ticks), scale)
    cells = np.minimum((places * CELLS).astype(np.int64), CELLS - 1)
    labels = tuple(_range(column[cells == cell]) for cell in range(CELLS))
    middle = math.sqrt(low * high) if scale[2] else (low + high) / 2
    if all(float(value).is_integer() for value in (low, high)) and (distinct % 1 == 0).all():
        middle = float(round(middle))
    ends = np.array([low, middle, high])
    ticks = tuple(zip(_placed(ends, *scale).tolist(), map(_short_text, ends.tolist()), strict=True))
    return Axis(places, cells, labels, ticks, scale)


def text_of(value: Any) -> str:
    """A parameter's value as a person reads it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "none" if value is None else str(value)
    return number(value if isinstance(value, int) else float(f"{value:.5g}")).removesuffix(".00")


def _short_text(value: Any) -> str:
    """`text_of` with no more digits than a chart has room for."""
    return text_of(float(f"{value:.2g}")) if isinstance(value, float) and value % 1 else text_of(value)


def figure_text(name: str, value: float | None) -> str:
    """A metric's value as a person reads it, a user's own one as a plain number."""
    known = math.nan if value is None else float(value)
    if name in FIGURES:
        return show(known, FIGURES[name].unit)
    return number(float(f"{known:.5g}")) if math.isfinite(known) else number(known)


def label_of(name: str) -> str:
    """What a metric, or a user's own function, is called."""
    return FIGURES[name].label if name in FIGURES else name.rpartition(":")[2] or name


def unit_of(name: str) -> str:
    """`percent`, `ratio`, `money` or `count` for a known metric, else `ratio`."""
    return FIGURES[name].unit if name in FIGURES else "ratio"


def floats(values: Sequence[float | None]) -> Floats:
    """Numbers, None as NaN."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def compact(values: Sequence[float | None] | Floats, digits: int = 5) -> list[float | None]:
    """So many significant digits, as no screen has more; None for what is not finite."""
    return [
        None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
        for value in (values.tolist() if isinstance(values, np.ndarray) else values)
    ]


def _numeric(values: Sequence[Any]) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) for value in values)


def _by_ratio(column: Floats) -> bool:
    """Whether values that span orders of magnitude lie more evenly by their logarithm."""
    if not len(column) or column.min() <= 0 or column.max() / column.min() < LOG_RATIO:
        return False
    low, high = column.min(), column.max()
    middle = float(np.median(column))
    plain = (middle - low) / (high - low)
    return bool(abs(math.log(middle / low) / math.log(high / low) - 0.5) < abs(plain - 0.5))


def _placed(column: Floats, low: float, high: float, by_ratio: bool) -> Floats:
    if not high > low:
        return np.full(len(column), 0.5)
    if by_ratio:
        return np.asarray(
            np.log(np.maximum(column, low * 1e-9) / low) / math.log(high / low), dtype=np.float64
        )
    return np.asarray((column - low) / (high - low), dtype=np.float64)


def _range(values: Floats) -> str:
    """What a cell holds, in words; "" for one without trials."""
    if not len(values):
        return ""
    low, high = text_of(float(values.min())), text_of(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _thinned(ticks: tuple[tuple[float, str], ...]) -> tuple[tuple[float, str], ...]:
    """At most nine of them, with both ends."""
    if len(ticks) <= 9:
        return ticks
    places = np.unique(np.linspace(0, len(ticks) - 1, 5).round().astype(int))
    return tuple(ticks[place] for place in places)


def _equity(document: Mapping[str, Any]) -> dict[str, Any]:
    """Growth since the bar before the first test, in and out of sample, one there."""
    outside, inside = document["equity"], document["in_sample_equity"]
    values, other = floats(outside["value"]), floats(inside["value"])
    times = np.array(inside["time"], dtype=np.int64)
    base = math.nan
    if len(values) and len(other):
        place = int(np.searchsorted(times, outside["time"][0], side="right")) - 1
        base = float(other[max(0, place)])
    start = float(values[0]) if len(values) else math.nan
    every = [*outside["time"], *inside["time"]]
    return {
        "outside": [outside["time"], compact(values / start) if start > 0 else [None] * len(values)],
        "inside": [inside["time"], compact(other / base) if base > 0 else [None] * len(other)],
        "tests": [_seconds(window["test_from"]) for window in document["windows"]],
        "intraday": any(second % 86_400 for second in every),
    }


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def _heat(
    axes: Mapping[str, Axis], values: Floats, scores: Floats, document: Mapping[str, Any]
) -> dict[str, Any]:
    """By pair of parameters "i,j", i < j, of each metric: cells row by row, the first parameter across."""
    usable = np.isfinite(scores)
    listed = list(axes.values())
    metrics, columns = _heated(values, scores, document)
    pairs = {
        f"{one},{other}": [_cells(listed[one], listed[other], *column, usable) for column in columns]
        for one, other in combinations(range(len(listed)), 2)
    }
    chosen = [_cell_of(axis, document["chosen"].get(name)) for name, axis in axes.items()]
    first = [name for name in document["importance"] if name in axes][:2]
    wanted = sorted(list(axes).index(name) for name in (first if len(first) == 2 else list(axes)[:2]))
    return {"metrics": metrics, "pairs": pairs, "chosen": chosen, "first": wanted}


def _heated(
    values: Floats, scores: Floats, document: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[tuple[Floats, Floats]]]:
    """What a heat-map may show: the objectives, then what else is known of trials; and of each values and scores."""
    objectives, trials = document["objectives"], document["trials"]
    metrics = [_metric(each["name"], each["largest"]) for each in objectives]
    columns = [(values, scores)]
    for each in objectives[1:]:
        column = floats(trials["values"][each["name"]])
        columns.append((column, column if each["largest"] else -column))
    room = max(0, MOST_METRICS - len(metrics))
    for name, each in list(trials.get("metrics", {}).items())[:room]:
        column = floats(each["values"])
        metrics.append(_metric(name, each["largest"]))
        columns.append((column, column if each["largest"] else -column))
    return metrics, columns


def _metric(name: str, largest: bool) -> dict[str, Any]:
    return {"label": label_of(name), "unit": unit_of(name), "largest": largest}


def _cell_of(axis: Axis, value: Any) -> int | None:
    place = axis.place(value)
    if place is None:
        return None
    near = np.flatnonzero(np.abs(axis.places - place) < 1e-9)
    return int(axis.cells[near[0]]) if len(near) else None


def _cells(across: Axis, down: Axis, values: Floats, scores: Floats, usable: NDArray[np.bool_]) -> Any:
    width, size = len(across.labels), len(across.labels) * len(down.labels)
    usable = usable & np.isfinite(scores)
    flat = down.cells[usable] * width + across.cells[usable]
    order = np.lexsort((scores[usable], flat))
    flat, ordered = flat[order], values[usable][order]
    count = np.bincount(flat, minlength=size)
    ends = np.cumsum(count)
    filled = count > 0
    best, median = np.full(size, np.nan), np.full(size, np.nan)
    best[filled] = ordered[ends[filled] - 1]
    starts = (ends - count)[filled]
    middles = ordered[starts + (count[filled] - 1) // 2], ordered[starts + count[filled] // 2]
    median[filled] = (middles[0] + middles[1]) / 2
    return {"median": compact(median, 4), "best": compact(best, 4), "count": count.tolist()}


def _lines(axes: Mapping[str, Axis], scores: Floats, values: Floats) -> list[Any]:
    """For some trials, worst first: [rank in [0, 1], value, place on each axis]."""
    usable = np.flatnonzero(np.isfinite(scores))
    order = usable[np.argsort(-scores[usable], kind="stable")]
    n = len(order)
    picked = np.arange(n)
    if n > MOST_LINES:
        rest = np.linspace(BEST_LINES, n - 1, MOST_LINES - BEST_LINES).astype(np.int64)
        picked = np.r_[np.arange(BEST_LINES), rest]
    rows = []
    for rank in picked[::-1].tolist():
        trial = int(order[rank])
        places = [round(float(axis.places[trial]), 4) for axis in axes.values()]
        rows.append([round(1 - rank / max(1, n - 1), 4), *compact(values[[trial]]), places])
    return rows


def _history(numbers: Sequence[int], values: Floats, scores: Floats) -> dict[str, Any]:
    """Some trials in the order they were tried, every new best among them, and the scale that shows most."""
    known = np.flatnonzero(np.isfinite(scores))
    if not len(known):
        return {"points": [[], []], "best": [[], []], "low": None, "high": None, "last": 0}
    highest = np.maximum.accumulate(scores[known])
    records = known[np.r_[True, np.diff(highest) > 0]]
    even = known[:: max(1, -(-len(known) // MOST_POINTS))]
    shown = np.union1d(even, records)
    # The worst trials would press all others into one line: they are drawn on the edge.
    worst, best = float(np.quantile(scores[known], 0.02)), float(highest[-1])
    low, high = sorted((worst, best) if values[known[0]] == scores[known[0]] else (-worst, -best))
    place = np.asarray(numbers, dtype=np.int64)
    return {
        "points": [place[shown].tolist(), compact(values[shown], 4)],
        "best": [place[records].tolist(), compact(values[records])],
        "low": low,
        "high": high,
        "last": int(place[-1]),
    }


def _drift(axes: Mapping[str, Axis], document: Mapping[str, Any]) -> list[Any]:
    """By parameter, the axis, and of each window [place, text, text for little room]."""
    found = []
    for name in axes:
        chosen = [window["params"].get(name) for window in document["windows"]]
        # A window may have chosen what the search over the whole period did not try.
        axis = axis_of([*document["trials"]["params"][name], *chosen])
        points = [[axis.place(value), text_of(value), _short_text(value)] for value in chosen]
        found.append({"ticks": axis.plain()["ticks"], "points": points})
    return found


def _front(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Trials by their first two objectives, and those that no other beats."""
    if len(document["objectives"]) < 2:
        return None
    one, other = document["objectives"][:2]
    across, up = (floats(document["trials"]["values"][each["name"]]) for each in (one, other))
    known = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    even = known[:: max(1, -(-len(known) // MOST_POINTS))]
    front = document["trials"]["front"]
    return {
        "names": [label_of(one["name"]), label_of(other["name"])],
        "units": [unit_of(one["name"]), unit_of(other["name"])],
        "points": [compact(across[even], 4), compact(up[even], 4)],
        "front": [compact(across[front]), compact(up[front])],
    }
