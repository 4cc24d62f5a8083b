"""Monte Carlo paths against the same figures in plain numpy, on the same returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.measure import Row, measure

BASELINE = "numpy, blocks of 500 paths"
BLOCK, TAIL = 500, 0.05


def in_numpy(returns: Any, paths: int, seed: int = 0) -> float:
    """Return, drawdown, Sharpe ratio, value at risk and the mean beyond it, of paths drawn one by one; their mean Sharpe."""
    import numpy as np

    rng = np.random.default_rng(seed)
    logs, steps = np.log1p(returns), len(returns)
    last = int((steps - 1) * TAIL)
    weight = (steps - 1) * TAIL - last
    found = np.empty((5, paths))
    for first in range(0, paths, BLOCK):
        some = slice(first, min(first + BLOCK, paths))
        places = rng.integers(0, steps, (some.stop - first, steps), dtype=np.int32)
        growth = np.cumsum(logs[places], axis=1)
        highest = np.maximum(np.maximum.accumulate(growth, axis=1), 0.0)
        drawn = returns[places]
        found[0, some] = np.expm1(growth[:, -1])
        found[1, some] = -np.expm1((growth - highest).min(axis=1))
        found[2, some] = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1) * math.sqrt(252)
        drawn.partition((last, last + 1), axis=1)
        found[3, some] = -(drawn[:, last] * (1 - weight) + drawn[:, last + 1] * weight)
        found[4, some] = -drawn[:, : last + 1].mean(axis=1)
    return float(found[2].mean())


def ours(
    returns: Any, paths: int, method: Any, block: float | None = None, threads: int | None = None
) -> float:
    """The same and more: growth a year, time under water, ruin, a fan. Mean Sharpe ratio."""
    from analyzers.montecarlo import monte_carlo

    return float(monte_carlo(returns, method=method, paths=paths, block=block, threads=threads).sharpe.mean())


def paths(count: int, steps: int, repeat: int) -> list[Row]:
    """R6: so many paths of so many returns."""
    import numpy as np

    returns = np.random.default_rng(0).normal(0.0005, 0.01, steps)
    runs: dict[str, Callable[[], float | None]] = {
        BASELINE: partial(in_numpy, returns, count),
        "one by one, one thread": partial(ours, returns, count, "iid", None, 1),
        "one by one": partial(ours, returns, count, "iid"),
        "blocks of 5 bars": partial(ours, returns, count, "stationary", 5.0),
        "shuffled": partial(ours, returns, count, "trades"),
    }
    return measure(
        f"Monte Carlo, {count:,} paths of {steps:,} returns",
        BASELINE,
        {name: _without_value(run) for name, run in runs.items()},
        repeat=repeat,
        warm=lambda name: None if name == BASELINE else _compile(returns),
    )


def _without_value(run: Callable[[], float | None]) -> Callable[[], float | None]:
    """Draws of other random numbers have other means: there is no final value to compare."""

    def runs() -> None:
        run()

    return runs


def _compile(returns: Any) -> None:
    ours(returns, 1, "iid")
