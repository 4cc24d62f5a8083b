"""Which indicators need more bars than they declare: their values where the data begins later.

An indicator that carries its own past value on (an EMA, an RSI) has its first value after its period, and a value
that no longer depends on where the data began only much later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from engine.lookahead_cuts import moments, orders_differ, roots_of
from engine.lookahead_watch import Job, Watched, watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

STARTS = (0.1, 0.25, 0.5)
"""Parts of the run after which the later data begin."""
UNSETTLED_SHARE = 0.05
"""An indicator that still differs within this last part of the run never settles."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """An indicator whose values depend on where the data begins.

    declared: bars until its first value. needed: bars until it stays within the tolerance of what it is with all bars
    before, whichever start; None where it never does. off: by how much it differs on its first value, as a fraction of
    its size there or of its usual size, whichever is larger. because: the parts of it that do it, or "".
    """

    indicator: str
    declared: int
    needed: int | None
    off: float
    because: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """One run on data that begin later. dropped: bars left out. first_order: the first bar decided otherwise, or None."""

    dropped: int
    time: pd.Timestamp
    compared: int
    orders_differ: int = 0
    first_order: pd.Timestamp | None = None


@dataclass(frozen=True, slots=True)
class WarmUps:
    """indicators: those that need more bars than they declare. starts: the runs. notes: what was not compared."""

    indicators: tuple[WarmUp, ...] = ()
    starts: tuple[Started, ...] = ()
    notes: tuple[str, ...] = ()


def begin_later(frames: Mapping[str, pd.DataFrame], time: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """The bars from `time` on."""
    later = {}
    for name, frame in frames.items():
        index = pd.DatetimeIndex(frame.index)
        aware = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
        later[name] = frame[aware.round("ms") >= time]
    return later


def warm_ups(
    job: Job,
    frames: Mapping[str, pd.DataFrame],
    whole: Watched,
    *,
    tolerance: float,
    starts: Sequence[float] = STARTS,
) -> WarmUps:
    """Run on data that begin later, and compare indicators; where those differ, orders as well.

    Orders are compared with a run on all the bars whose `next` begins on the same bar, so that both start flat and
    only what lies before differs.
    """
    times = moments(whole)
    runs: list[tuple[int, Watched]] = []
    done: list[Started] = []
    notes = []
    for share in starts:
        dropped = int(len(times) * share)
        later = begin_later(frames, times[dropped])
        if not dropped or not all(map(len, later.values())):
            continue
        run = watch(job, later)
        if run.first >= len(run.times) or [one.name for one in run.indicators] != [
            one.name for one in whole.indicators
        ]:
            notes.append(f"warm-up: not compared from {times[dropped]:%Y-%m-%d} on: {_why(run)}")
            continue
        runs.append((dropped, run))
        done.append(_started(job, frames, later, run, times[dropped], dropped, tolerance))
    found = _indicators(whole, [run for _, run in runs], tolerance)
    return WarmUps(found, tuple(done), tuple(notes))


def _why(run: Watched) -> str:
    if run.error is not None:
        return f"the strategy fails there: {run.error.message}"
    return (
        "too few bars are left"
        if run.first >= len(run.times)
        else "the strategy makes other indicators there"
    )


def _started(
    job: Job,
    frames: Mapping[str, pd.DataFrame],
    later: Mapping[str, pd.DataFrame],
    run: Watched,
    time: pd.Timestamp,
    dropped: int,
    tolerance: float,
) -> Started:
    """Orders of the run, against those of a run on all bars that may decide from the same bar on."""
    held_back = {name: len(frame) - len(later[name]) for name, frame in frames.items()}
    warm = watch(job, frames, later=held_back)
    shift = len(warm.times) - len(run.times)
    if warm.first != run.first + shift:
        return Started(dropped, time, 0)
    bars = sorted({bar for bar, _ in run.decisions} | {bar - shift for bar, _ in warm.decisions})
    apart = [
        bar
        for bar in bars
        if bar >= 0 and orders_differ(warm.decided(bar + shift), run.decided(bar), tolerance)
    ]
    first = moments(run)[apart[0]] if apart and apart[0] < len(run.times) else None
    return Started(dropped, time, len(run.times) - run.first, len(apart), first)


def _indicators(whole: Watched, runs: Sequence[Watched], tolerance: float) -> tuple[WarmUp, ...]:
    apart: dict[int, list[tuple[int, int, int, float]]] = {}
    for place in range(len(whole.indicators)):
        measured = [_apart(whole.values[place], run.values[place], tolerance) for run in runs]
        if any(last >= 0 for _, last, _, _ in measured):
            apart[place] = measured
    roots = set(roots_of(whole, apart)) if apart else set()
    fed = {part for place in apart for part in whole.indicators[place].inputs}
    found = []
    for place, measured in apart.items():
        indicator = whole.indicators[place]
        if not indicator.top or (not indicator.attribute and place in fed):
            continue
        because = sorted({whole.indicators[part].kind for part in _parts(whole, place) & roots - {place}})
        settled = [last + 2 for _, last, length, _ in measured if last < length * (1 - UNSETTLED_SHARE)]
        never = measured[0][1] >= measured[0][2] * (1 - UNSETTLED_SHARE)
        found.append(
            WarmUp(
                indicator.name,
                max(first for first, *_ in measured) + 1,
                None if never or not settled else max(settled),
                max(off for *_, off in measured),
                ", ".join(because),
            )
        )
    return tuple(found)


def _parts(watched: Watched, place: int) -> set[int]:
    """All that feeds an indicator, directly or not."""
    parts: set[int] = set()
    waiting = [place]
    while waiting:
        new = set(watched.indicators[waiting.pop()].inputs) - parts
        parts |= new
        waiting += new
    return parts


def _apart(
    whole: NDArray[np.float64], late: NDArray[np.float64], tolerance: float
) -> tuple[int, int, int, float]:
    """First bar with a value, last bar out of tolerance (-1: none), bars, and how far off at most the first values are."""
    length = late.shape[1]
    same = whole[:, whole.shape[1] - length :]
    known = np.isfinite(late) & np.isfinite(same)
    size = np.where(known, np.abs(same), 0.0)
    usual = size.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    scale = np.maximum(size, usual)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(known & (late != same), np.abs(late - same) / scale, 0.0)
    started = np.logical_or.accumulate(np.isfinite(late), axis=1)
    off[started & (np.isfinite(late) != np.isfinite(same))] = np.inf
    beyond = np.flatnonzero((off > tolerance).any(axis=0))
    has_value = known.any(axis=0)
    first = int(has_value.argmax()) if has_value.any() else 0
    last = int(beyond[-1]) if beyond.size else -1
    return first, last, length, float(off[:, first].max(initial=0.0))
