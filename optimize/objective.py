"""What a search maximises: metrics of a run, or a function of its result, each with a direction and a guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, UnknownNameError
from optimize.trials import Outcome

TRADES = "trades"


@dataclass(frozen=True, slots=True)
class Objective:
    """One figure to be made large, or small. name: a metric, or `module:function` of a RunResult."""

    name: str
    largest: bool = True

    @property
    def custom(self) -> bool:
        """Whether it is a function of the whole result."""
        return ":" in self.name

    def __str__(self) -> str:
        return f"{'largest' if self.largest else 'smallest'} {self.name}"


def parse_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """`sharpe`, `-max_drawdown`, `my_file.py:score`: a minus makes small what is large by itself, and the reverse.

    Metrics that are losses or risks are made small unless they have a minus. Raises UnknownNameError, ConfigError.
    """
    from engine.sweep import LESS_IS_BETTER
    from engine.sweep_metrics import METRICS

    found = []
    for text in texts:
        name = text.strip().removeprefix("-")
        if ":" not in name and name not in METRICS:
            raise UnknownNameError("objective", name, METRICS)
        largest = name not in LESS_IS_BETTER
        found.append(Objective(name, largest != text.strip().startswith("-")))
    names = [objective.name for objective in found]
    if not found or len(set(names)) < len(names):
        raise ConfigError(
            f"the objectives are {', '.join(names) or 'none'}", hint="name one or more, each once"
        )
    return tuple(found)


def scores_of(outcome: Outcome, objectives: Sequence[Objective], min_trades: int = 0) -> NDArray[np.float64]:
    """(n, objectives), more is better; NaN where a trial failed, has no such figure, or traded too little."""
    columns = [
        outcome.metrics[objective.name] * (1.0 if objective.largest else -1.0) for objective in objectives
    ]
    scores = np.stack(columns, axis=1) if len(outcome) else np.empty((0, len(objectives)))
    out = np.array([bool(error) for error in outcome.errors], dtype=np.bool_)
    if min_trades:
        out |= ~(outcome.metrics[TRADES] >= min_trades)
    scores[out | ~np.isfinite(scores).all(axis=1)] = np.nan
    return scores


def front(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The trials that no other one beats in every objective, best in the first objective first."""
    usable = np.flatnonzero(np.isfinite(scores).all(axis=1))
    order = usable[np.lexsort([*(-scores[usable, k] for k in range(scores.shape[1] - 1, -1, -1))])]
    kept: list[int] = []
    for number in order.tolist():
        mine = scores[number]
        if not any((scores[other] >= mine).all() and (scores[other] > mine).any() for other in kept):
            kept.append(number)
    return np.array(kept, dtype=np.int64)


__all__ = ["Objective", "front", "parse_objectives", "scores_of"]
