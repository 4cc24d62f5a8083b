"""What the parts of a search hand each other: a span of bars, a batch of trials, and what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Params = Mapping[str, Any]

BLOCKS = 16
"""Equal consecutive parts of the measured bars for which a trial's returns are summed (`Outcome.moments`)."""
PRUNING, RETURNS = "pruning", "returns"
"""Words in the key of a batch that is no trial of its study."""
COUNT, SUM, SQUARES = 0, 1, 2
"""The last axis of `Outcome.moments`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bars of a market by position: measured are [first, last), run are [first - warmup, last).

    Nothing that is run over a span may see a bar at or past `last`.
    """

    first: int
    last: int
    warmup: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= self.first < self.last:
            raise ValueError(f"Span({self.first}, {self.last}, {self.warmup}) holds no bars")

    @property
    def start(self) -> int:
        """The first bar that is run."""
        return self.first - self.warmup

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(slots=True)
class Outcome:
    """What came of n trials, in the order they were asked for.

    metrics: by name (n,) float64, NaN where undefined. errors: "" where a trial ran, else why not, in one line;
    tracebacks: by position, for those that raised. moments: (n, BLOCKS, 3) float64: how many per-bar simple returns
    lie in each part of the measured bars, their sum and their sum of squares; zeros for a trial that did not run.
    cached: how many were answered from the result cache.
    """

    metrics: dict[str, NDArray[np.float64]]
    errors: list[str]
    moments: NDArray[np.float64]
    tracebacks: dict[int, str] = field(default_factory=dict)
    cached: int = 0

    def __len__(self) -> int:
        return len(self.errors)

    def part(self, first: int, last: int) -> Outcome:
        """The trials of [first, last)."""
        return Outcome(
            {name: values[first:last] for name, values in self.metrics.items()},
            self.errors[first:last],
            self.moments[first:last],
            {place - first: text for place, text in self.tracebacks.items() if first <= place < last},
        )


class Evaluator(Protocol):
    """Runs parameters over a span of one market's bars and measures them."""

    def __call__(self, params: Sequence[Params], span: Span) -> Outcome:
        """Run every one; the same answer for any number of workers."""
        ...


def shown(params: Params) -> str:
    """Parameters, for a message."""
    return ", ".join(f"{name}={value}" for name, value in params.items())


def concatenate(parts: Sequence[Outcome]) -> Outcome:
    """Several batches as one; metrics that some batch lacks are NaN there."""
    names = dict.fromkeys(name for part in parts for name in part.metrics)
    sizes = [len(part) for part in parts]
    tracebacks: dict[int, str] = {}
    for offset, part in zip(np.cumsum([0, *sizes[:-1]]).tolist(), parts, strict=True):
        tracebacks |= {offset + position: text for position, text in part.tracebacks.items()}
    return Outcome(
        metrics={
            name: np.concatenate([part.metrics.get(name, np.full(len(part), np.nan)) for part in parts])
            for name in names
        },
        errors=[error for part in parts for error in part.errors],
        moments=np.concatenate([part.moments for part in parts]) if parts else np.empty((0, BLOCKS, 3)),
        tracebacks=tracebacks,
        cached=sum(part.cached for part in parts),
    )


def moments_of(equity: NDArray[np.float64], blocks: int = BLOCKS) -> NDArray[np.float64]:
    """The moments of one trial, (blocks, 3), of its equity, one value a measured bar plus the one before the first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = equity[1:] / equity[:-1] - 1.0
    returns = np.where(np.isfinite(returns), returns, 0.0)
    bounds = np.linspace(0, len(returns), blocks + 1).astype(int)
    parts = [returns[a:b] for a, b in itertools.pairwise(bounds)]
    return np.array([(len(part), part.sum(), float(part @ part)) for part in parts])


__all__ = [
    "BLOCKS",
    "COUNT",
    "PRUNING",
    "RETURNS",
    "SQUARES",
    "SUM",
    "Evaluator",
    "Outcome",
    "Params",
    "Span",
    "concatenate",
    "moments_of",
    "shown",
]
