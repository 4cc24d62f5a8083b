"""Documents of optimisations, made by hand: what `optimize.document` makes of real ones has the same keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

DAY = 86_400
START = 1_577_836_800  # 2020-01-01


def day(number: int) -> str:
    """ISO text of so many days after the start."""
    return str(np.datetime64("2020-01-01") + number) + "T00:00:00+00:00"


def document(trials: int = 200, seed: int = 5, **changes: Any) -> dict[str, Any]:
    """Three parameters of three kinds; the first decides most, `mode` nothing. Changes replace whole keys."""
    rng = np.random.default_rng(seed)
    fast = rng.integers(2, 61, trials)
    stop = np.round(10 ** rng.uniform(-4, -1, trials), 7)
    mode = rng.choice(["up", "down"], trials)
    sharpe = 1.5 - np.abs(fast - 20) / 20 + 0.1 * rng.standard_normal(trials)
    values: list[float | None] = sharpe.tolist()
    values[1] = None
    best = int(np.nanargmax(np.where(np.arange(trials) == 1, np.nan, sharpe)))
    chosen = {"fast": int(fast[best]), "stop": float(stop[best]), "mode": str(mode[best])}
    logits = rng.normal(1.0, 1.5, 500)
    counts, edges = np.histogram(logits, bins=np.arange(-6.0, 7.0, 0.5))
    walk = np.cumprod(1 + 0.01 * rng.standard_normal(400))
    return {
        "schema": 1,
        "kind": "walkforward",
        "strategy": "cross.py:Cross",
        "data": {
            "source": "csv:prices.csv",
            "symbols": ["AAA"],
            "start": day(0),
            "end": day(399),
            "bars": 400,
            "timeframe": "1d",
            "notes": [],
        },
        "objectives": [{"name": "sharpe", "largest": True}],
        "verdict": {"label": "some evidence", "reason": "it holds, but not for sure", "notes": ["A note."]},
        "evidence": {
            "trials": trials,
            "effective": 41.5,
            "in_sample": 1.7,
            "out_of_sample": 0.83,
            "interval": {"value": 0.83, "low": 0.11, "high": 1.61, "level": 0.95},
            "probability": 0.97,
            "overfitting": 0.31,
            "deflated": 0.88,
            "efficiency": 0.52,
            "permutation": None,
            "ratio": 0.9,
            "trades": 44,
            "years": 1.1,
            "enough": 3.3,
            "entries": 0.021,
        },
        "metrics": {"sharpe": 0.83, "total_return": 0.12, "max_drawdown": 0.07, "trades": 44.0},
        "intervals": {"sharpe": {"value": 0.83, "low": 0.11, "high": 1.61, "level": 0.95}},
        "efficiency": 0.52,
        "windows": [window(number, chosen) for number in range(4)],
        "names": ["fast", "stop", "mode"],
        "chosen": chosen,
        "chosen_metrics": {"sharpe": float(sharpe[best]), "total_return": 0.4, "trades": 51.0},
        "drift": {"fast": 0.1, "stop": 0.2, "mode": 0.0},
        "importance": {
            "fast": {"alone": 0.8, "joint": 0.05},
            "stop": {"alone": 0.01, "joint": 0.05},
            "mode": {"alone": 0.0, "joint": 0.0},
        },
        "neighbourhood": {"size": 17, "median": 1.3, "ratio": 0.9, "positive": 1.0, "shape": "plateau"},
        "entries": {"probability": 0.021, "entries": 44, "earned": 0.31, "random": 0.02, "draws": 5000},
        "overfitting": {
            "probability": 0.31,
            "degradation": 0.4,
            "intercept": 0.1,
            "loss": 0.2,
            "splits": 500,
            "logits": {"edges": edges.tolist(), "counts": counts.tolist()},
            "in_sample": rng.normal(1.5, 0.4, 300).tolist(),
            "out_of_sample": rng.normal(0.7, 0.6, 300).tolist(),
        },
        "trials": {
            "total": trials,
            "feasible": trials - 1,
            "failed": 1,
            "pruned": 0,
            "errors": [{"error": "ValueError: period 0", "trials": 1}],
            "stopped": f"{trials} trials",
            "number": list(range(trials)),
            "params": {"fast": fast.tolist(), "stop": stop.tolist(), "mode": mode.tolist()},
            "values": {"sharpe": values},
            "front": [],
        },
        "equity": series(walk[199:], 199),
        "in_sample_equity": series(walk * 1.1, 0),
        "settings": {"sampler": "qmc", "space": {"fast": "2 to 60"}},
        "counters": {"compiled": trials, "seconds": 1.234},
        "notes": ["a note"],
        **changes,
    }


def window(number: int, params: dict[str, Any]) -> dict[str, Any]:
    """One of four windows of 50 bars, each trained on the 200 before."""
    first = 200 + 50 * number
    return {
        "number": number + 1,
        "train_from": day(first - 200),
        "train_to": day(first - 1),
        "train_bars": 200,
        "test_from": day(first),
        "test_to": day(first + 49),
        "test_bars": 50,
        "params": params,
        "in_sample": {"sharpe": 1.7},
        "out_of_sample": {"sharpe": math.nan if number == 3 else 0.4, "total_return": 0.02, "trades": 11.0},
        "trials": 200,
        "feasible": 199,
        "engine": "compiled",
        "stopped": "200 trials",
    }


def series(values: np.ndarray, first: int) -> dict[str, list[Any]]:
    """Daily values from a day on."""
    return {"time": [START + DAY * (first + i) for i in range(len(values))], "value": values.tolist()}


def with_second_objective(made: dict[str, Any]) -> dict[str, Any]:
    """The document with the largest drawdown as a second objective."""
    trials = made["trials"]
    drawdown = [None if value is None else 0.3 - 0.1 * value for value in trials["values"]["sharpe"]]
    return made | {
        "objectives": [*made["objectives"], {"name": "max_drawdown", "largest": False}],
        "trials": trials | {"values": trials["values"] | {"max_drawdown": drawdown}, "front": [0, 2]},
    }
