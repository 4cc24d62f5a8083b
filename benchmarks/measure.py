"""Time several ways to do the same work, in turns, so that a drifting machine treats them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import UserError

SAME = 1e-9
"""Relative difference of final values up to which they count as equal: sums taken in another order."""
ENOUGH_SECONDS = 2.0
"""A contender is not repeated beyond this."""
QUICK_SECONDS, MOST = 0.5, 30
"""What is quick is repeated until it took so long in all, or so often: a few milliseconds once say little."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. value: final equity, or None where there is none to compare.

    group: what was done; rows of a group did the same work, its baseline among them. ratio: how many times faster
    than the baseline; NaN for a row without one. best: seconds of the quickest run. note: what a reader has to know. theirs: another program's.
    """

    group: str
    what: str
    seconds: float
    ratio: float
    value: float | None = None
    difference: str = ""
    note: str = ""
    theirs: bool = False
    best: float = math.nan

    @property
    def key(self) -> str:
        """The name a ratio is stored under."""
        return f"{self.group}: {self.what}"


def measure(
    group: str,
    baseline: str,
    runs: Mapping[str, Callable[[], float | None]],
    *,
    repeat: int,
    warm: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """Median seconds of each run, and how it compares with the baseline.

    runs: each does the work and returns the final equity. warm: prepares the contender of that name (compiles it).
    How often each is repeated says `wants_more`. What `warm` refuses is not run, and its row says why.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    values: dict[str, float | None] = {}
    failed: dict[str, str] = {}
    for name in runs:
        try:
            warm(name)
        except UserError as error:
            failed[name] = f"failed: {error}"
    while waiting := [name for name in runs if name not in failed and wants_more(taken[name], repeat)]:
        for name in waiting:
            run = runs[name]
            started = time.perf_counter()
            values[name] = run()
            taken[name].append(time.perf_counter() - started)
    median = {name: statistics.median(seconds) if seconds else math.nan for name, seconds in taken.items()}
    return [
        Row(
            group,
            name,
            median[name],
            median[baseline] / median[name],
            values.get(name),
            difference(values.get(name), values[baseline]),
            failed.get(name, ""),
            best=min(taken[name], default=math.nan),
        )
        for name in runs
    ]


def wants_more(taken: Sequence[float], repeat: int) -> bool:
    """Whether a contender that took so many seconds is run again: `repeat` times, more often when it is quick."""
    spent = sum(taken)
    return (len(taken) < repeat and spent <= ENOUGH_SECONDS) or (spent < QUICK_SECONDS and len(taken) < MOST)


def difference(value: float | None, reference: float | None) -> str:
    """ "same", or how far a final equity is from the baseline's; empty where there is none."""
    if value is None or reference is None:
        return ""
    if abs(value - reference) <= SAME * abs(reference):
        return "same"
    return f"{(value - reference) / reference:+.4%}"
