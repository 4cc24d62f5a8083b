"""A finished walk-forward as plain values, for `reports`, and as tables."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyzers.metrics import drawdowns
from core.jsontext import jsonable
from engine.sweep import LESS_IS_BETTER
from optimize.importance import importance
from optimize.search import PRUNED

if TYPE_CHECKING:
    from analyzers.overfitting import Interval, Overfitting
    from optimize.crossvalidation import CrossValidation
    from optimize.result import Judged, WalkForward
    from optimize.search import Searched

SCHEMA = 1
MOST_TRIALS, BEST_KEPT = 20_000, 1_000
MOST_POINTS = 4_000
MOST_SPLITS = 1_000
BINS = 40

Floats = NDArray[np.float64]


def document_of(result: WalkForward) -> dict[str, Any]:
    """Everything but long tables, as JSON-able values: what is not finite is None, times are ISO text in UTC.

    See `reports.optimization` for the keys. Of more than `MOST_TRIALS` trials the best and an even choice of the
    others are kept, of the equity `MOST_POINTS`; `tables_of` has them all. Sharpe ratios are annual.
    """
    data = result.data
    document = {
        "schema": SCHEMA,
        "kind": "walkforward" if result.crossvalidation is None else "cpcv",
        "strategy": result.strategy,
        "data": {
            "source": data.source,
            "symbols": list(data.symbols),
            "start": data.start,
            "end": data.end,
            "bars": data.bars,
            "timeframe": data.timeframe,
            "notes": list(data.notes),
        },
        "objectives": [{"name": each.name, "largest": each.largest} for each in result.objectives],
        "verdict": dataclasses.asdict(result.verdict),
        "evidence": dataclasses.asdict(result.evidence),
        "metrics": dict(result.metrics),
        "intervals": {name: _interval(each) for name, each in result.intervals.items()},
        "efficiency": result.efficiency,
        "windows": [_window(each) for each in result.windows],
        "names": list(result.names),
        "chosen": dict(result.chosen),
        "chosen_metrics": _best_metrics(result.whole),
        "drift": dict(result.drift),
        "importance": {
            name: dataclasses.asdict(share)
            for name, share in importance(
                result.names, result.whole.points, result.whole.scores[:, 0]
            ).items()
        },
        "neighbourhood": {
            **dataclasses.asdict(result.neighbourhood),
            "shape": result.neighbourhood.shape,
        },
        "entries": dataclasses.asdict(result.entries),
        "overfitting": _overfitting(
            result.overfitting, float(result.metrics.get("periods_per_year", math.nan))
        ),
        "crossvalidation": _crossvalidation(result.crossvalidation),
        "trials": _trials(result),
        "equity": _series(result.equity),
        "in_sample_equity": _series(result.in_sample_equity),
        "settings": dict(result.settings),
        "counters": dict(result.counters),
        "notes": list(result.notes),
    }
    plain: dict[str, Any] = jsonable(document)
    return plain


def tables_of(result: WalkForward) -> dict[str, pd.DataFrame]:
    """Every trial of the search over the whole period, every window, and every bar.

    trials: trial, params_*, the metrics, score_* (more is better, NaN where infeasible), error. windows: one row each,
    in_sample_* and out_of_sample_*. equity: by time; in_sample, and equity and drawdown, NaN before the first test.
    """
    return {
        "trials": _trial_table(result),
        "windows": pd.DataFrame([_flat(each) for each in result.windows]),
        "equity": _equity_table(result),
    }


def _crossvalidation(found: CrossValidation | None) -> dict[str, Any] | None:
    """Its figures, paths from the worst Sharpe ratio to the best; None where it was not asked for."""
    if found is None:
        return None
    order = np.argsort(np.where(np.isfinite(found.figures["sharpe"]), found.figures["sharpe"], -np.inf))
    return {
        "groups": found.groups,
        "tests": found.tests,
        "purge": found.purge,
        "embargo": found.embargo,
        "splits": len(found.chosen),
        "chosen": found.chosen.tolist(),
        "in_sample": found.in_sample.tolist(),
        "out_of_sample": found.out_of_sample.tolist(),
        "paths": {name: values[order].tolist() for name, values in found.figures.items()},
        "losing": found.losing,
        "spread": dict(found.spread),
        "agreed": found.agreed,
    }


def _interval(interval: Interval) -> dict[str, float]:
    return dataclasses.asdict(interval)


def _window(judged: Judged) -> dict[str, Any]:
    return {
        "number": judged.window.number + 1,
        "train_from": judged.trained_from,
        "train_to": judged.trained_to,
        "train_bars": len(judged.window.train),
        "test_from": judged.begins,
        "test_to": judged.ends,
        "test_bars": len(judged.window.test),
        "params": dict(judged.params),
        "in_sample": dict(judged.in_sample),
        "out_of_sample": dict(judged.out_of_sample),
        "trials": judged.trials,
        "feasible": judged.feasible,
        "engine": judged.engine,
        "stopped": judged.stopped,
    }


def _flat(judged: Judged) -> dict[str, Any]:
    row = _window(judged)
    params, inside, outside = row.pop("params"), row.pop("in_sample"), row.pop("out_of_sample")
    row |= {f"params_{name}": value for name, value in params.items()}
    row |= {f"in_sample_{name}": value for name, value in inside.items()}
    return row | {f"out_of_sample_{name}": value for name, value in outside.items()}


def _best_metrics(found: Searched) -> dict[str, float]:
    """The metrics of the best trial, none where no trial is feasible."""
    if not np.isfinite(found.scores[:, 0]).any():
        return {}
    return {name: float(values[found.best]) for name, values in found.outcome.metrics.items()}


def _trials(result: WalkForward) -> dict[str, Any]:
    """Trials as columns, in the order they were proposed. values: of each objective, as the metric is."""
    found = result.whole
    kept = _kept(found.scores[:, 0])
    errors = Counter(error for error in found.outcome.errors if error)
    pruned = errors.pop(PRUNED, 0)
    place_of = {number: place for place, number in enumerate(kept.tolist())}
    front = found.front.tolist() if len(result.objectives) > 1 else []
    return {
        "total": len(found),
        "feasible": int(np.isfinite(found.scores[:, 0]).sum()),
        "failed": sum(errors.values()),
        "pruned": pruned,
        "errors": [{"error": error, "trials": count} for error, count in errors.most_common(5)],
        "stopped": found.stopped,
        "number": kept.tolist(),
        "params": {name: [found.params[place][name] for place in kept] for name in result.names},
        "values": {
            each.name: (found.scores[kept, place] * (1.0 if each.largest else -1.0)).tolist()
            for place, each in enumerate(result.objectives)
        },
        "metrics": {
            name: {"largest": name not in LESS_IS_BETTER, "values": values[kept].tolist()}
            for name, values in found.outcome.metrics.items()
            if name not in {each.name for each in result.objectives}
        },
        "front": [place_of[number] for number in front if number in place_of],
    }


def _kept(scores: Floats) -> NDArray[np.int64]:
    """All trials, or the best and an even choice of the others."""
    n = len(scores)
    if n <= MOST_TRIALS:
        return np.arange(n)
    best = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")[:BEST_KEPT]
    others = np.setdiff1d(np.arange(n), best)
    even = np.linspace(0, len(others) - 1, MOST_TRIALS - BEST_KEPT).astype(np.int64)
    return np.union1d(best, others[even])


def _series(series: pd.Series) -> dict[str, list[Any]]:
    """Times, seconds since 1970, and values; the last of each group of bars where they are many."""
    step = max(1, -(-len(series) // MOST_POINTS))
    places = np.unique(np.r_[0, np.arange(len(series) - 1, -1, -step)]) if len(series) else np.arange(0)
    seconds = pd.DatetimeIndex(series.index).as_unit("s").asi8[places]
    return {"time": seconds.tolist(), "value": series.to_numpy(dtype=np.float64)[places].tolist()}


def _overfitting(found: Overfitting, periods: float) -> dict[str, Any]:
    """Its figures, the logits as a histogram, and at most `MOST_SPLITS` of the splits' annual Sharpe ratios."""
    yearly = math.sqrt(periods) if periods > 0 else 1.0
    inside, outside = found.in_sample * yearly, found.out_of_sample * yearly
    splits = len(inside)
    places = np.unique(np.linspace(0, splits - 1, min(splits, MOST_SPLITS)).astype(np.int64))
    # Bins include their upper border: a winner that is the median counts as overfit.
    counts, edges = np.histogram(-found.logits, bins=_edges(-found.logits))
    slope = found.degradation
    return {
        "probability": found.probability,
        "degradation": slope,
        "intercept": float(outside.mean() - slope * inside.mean()) if splits else math.nan,
        "loss": found.loss,
        "splits": splits,
        "logits": {"edges": (-edges[::-1]).tolist(), "counts": counts[::-1].tolist()},
        "in_sample": inside[places].tolist(),
        "out_of_sample": outside[places].tolist(),
    }


def _edges(logits: Floats) -> Floats:
    """Bins of equal width of which zero, where the winner is the median, is a border."""
    if not len(logits):
        return np.array([-1.0, 0.0, 1.0])
    width = max(float(np.ptp(logits)), 1e-9) / BINS
    return width * np.arange(math.floor(logits.min() / width), math.floor(logits.max() / width) + 2)


def _trial_table(result: WalkForward) -> pd.DataFrame:
    found = result.whole
    columns: dict[str, Any] = {"trial": np.arange(len(found))}
    for name in found.params[0] if found.params else ():
        columns[f"params_{name}"] = _of_one_type([each[name] for each in found.params])
    columns |= found.outcome.metrics
    for place, each in enumerate(result.objectives):
        columns[f"score_{each.name}"] = found.scores[:, place]
    return pd.DataFrame({**columns, "error": found.outcome.errors})


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    """Values that a table's file can hold as one column: text where their types differ."""
    types = {type(value) for value in values}
    return list(values) if len(types) == 1 or types <= {int, float} else [str(value) for value in values]


def _equity_table(result: WalkForward) -> pd.DataFrame:
    inside = result.in_sample_equity.rename("in_sample")
    outside = pd.DataFrame(
        {"equity": result.equity, "drawdown": drawdowns(result.equity.to_numpy(dtype=np.float64))},
        index=result.equity.index,
    )
    return outside.join(inside, how="outer").rename_axis("time")


__all__ = ["document_of", "tables_of"]
