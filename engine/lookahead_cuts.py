"""Runs on bars that end early or go another way, and where they part from the run on all bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from engine.lookahead_source import Suspect
from engine.lookahead_watch import Decision, Watched
from engine.recording import times_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRICES = ["open", "high", "low", "close"]
RELATIVE_TOLERANCE = 1e-9
"""Room for sums over whole arrays, which add up in another order when the array is shorter."""
CUT, CHANGED = "cut", "perturbed"
INDICATOR, DECISION, FAILURE, SETUP, DATA = "indicator", "decision", "failure", "setup", "data"
CHART = "chart"
"""A line led ahead to be drawn, on which no decision depends: said, but no look-ahead of the strategy."""
WRAPS = (
    "on a bar with fewer bars before it, a negative index is answered with the last bars: "
    "call self.addminperiod(bars) in __init__, or ask len(self.data) first"
)


@dataclass(frozen=True, slots=True)
class Variation:
    """Bars as they are up to `bar` of the run (its time: `time`), then none (`cut`) or other ones (`perturbed`)."""

    kind: str
    bar: int
    time: pd.Timestamp

    def __str__(self) -> str:
        what = "without the bars after" if self.kind == CUT else "with other bars after"
        return f"{what} {clock(self.time)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that depends on bars that had not come yet.

    kind: indicator, decision, failure, setup or data. subject: the indicator, or the order. time: of the first bar
    that differs. what: how it differs. how: the runs on which it shows, the first one in words. runs: how many.
    source: lines of the strategy that may do it. advice: what to do.
    """

    kind: str
    subject: str
    time: pd.Timestamp | None
    what: str
    how: str
    advice: str
    runs: int = 1
    source: tuple[str, ...] = ()


def clock(time: pd.Timestamp) -> str:
    """A bar's time as people write it: the date alone at midnight."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def moments(watched: Watched) -> pd.DatetimeIndex:
    """The times of a run's bars, aware and UTC."""
    return times_of(watched.times)


def choose_bars(watched: Watched, wanted: int, random: np.random.Generator) -> list[int]:
    """Bars to cut after: half of them spread over the run from its first `next` on, half where it decided something."""
    last = len(watched.times) - 2
    decided = sorted({bar for bar, _ in watched.decisions if bar <= last})
    first = min([watched.first, *decided[:1], last])
    if last < 0:
        return []
    spread = max(wanted - wanted // 2, wanted - len(decided))
    edges = np.linspace(first, last + 1, spread + 1)
    bars = {int(random.integers(int(a), max(int(a) + 1, int(b)))) for a, b in pairwise(edges)}
    free = [bar for bar in decided if bar not in bars]
    bars |= {int(bar) for bar in random.permutation(free)[: wanted - spread]}
    return sorted(bars)


def cut(frames: Mapping[str, pd.DataFrame], time: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """The bars up to and including `time`."""
    return {name: frame[_utc(frame) <= time] for name, frame in frames.items()}


def perturb(
    frames: Mapping[str, pd.DataFrame], time: pd.Timestamp, random: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """The bars up to `time` as they are; those after it mirrored about the last close, shaken, with other volumes.

    A mirrored market goes down where it went up, so that whoever knew its direction decides otherwise.
    """
    return {
        name: _perturbed(frame, int((_utc(frame) <= time).sum()), random) for name, frame in frames.items()
    }


def _utc(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """Times as the run tells them: to the millisecond, UTC."""
    index = pd.DatetimeIndex(frame.index)
    aware = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return aware.round("ms")


def _perturbed(frame: pd.DataFrame, kept: int, random: np.random.Generator) -> pd.DataFrame:
    rest = len(frame) - kept
    if not rest or not kept:
        return frame
    changed = frame.copy()
    prices = frame[PRICES].to_numpy(dtype=np.float64)
    anchor = prices[kept - 1, 3]
    shake = random.normal(0.0, 0.02, rest).cumsum()[:, None]
    if (prices > 0).all():
        mirrored = anchor * anchor / prices[kept:] * np.exp(shake)
    else:
        mirrored = 2 * anchor - prices[kept:] + shake * np.abs(prices).mean()
    for column, name in enumerate(("open", "low", "high", "close")):
        changed[name] = np.append(prices[:kept, PRICES.index(name)], mirrored[:, column])
    volume = frame["volume"].to_numpy(dtype=np.float64)
    other = np.rint(random.permutation(volume[kept:]) * random.uniform(0.5, 2.0, rest))
    changed["volume"] = np.append(volume[:kept], other)
    return changed


def differences(
    whole: Watched, other: Watched, variation: Variation, sources: Sequence[Suspect]
) -> Iterator[Finding]:
    """Where `other`, the run on the varied bars, parts from `whole` up to the bar of the variation."""
    if not other.times.size:
        return  # it failed before its first bar: nothing can be compared
    bars = min(variation.bar + 1, len(whole.times))
    if [each.name for each in whole.indicators] != [each.name for each in other.indicators]:
        yield _other_setup(whole, other, variation)
        return
    seen = min(bars, len(other.times))
    times = moments(whole)
    roots = list(_indicator_differences(whole, other, seen))
    decision = _decision_difference(whole, other, seen)
    for place, line, bar in roots:
        ours, theirs = whole.values[place][line][bar], other.values[place][line][bar]
        yield Finding(
            CHART if decision is None and whole.indicators[place].chart else INDICATOR,
            whole.indicators[place].line_name(line),
            times[bar],
            f"is {_shown(ours)} with all bars, {_shown(theirs)} {variation}",
            str(variation),
            "let it use this bar and those before it only",
        )
    first = min((bar for _, _, bar in roots), default=len(times))
    if decision is not None and decision[0] < first:
        bar, what = decision
        seen_there = [suspect for suspect in sources if suspect.on(bar)]
        wraps = bool(seen_there) and all(suspect.back for suspect in seen_there)
        yield Finding(
            DECISION,
            "what the strategy does",
            times[bar],
            f"{what} {variation}",
            str(variation),
            WRAPS if wraps else "decide on this bar and those before it only",
            source=tuple(map(str, seen_there)),
        )
    if seen < bars and other.error is not None and decision is None and not roots:
        yield _failed(other, variation, times[seen], sources)


def _failed(other: Watched, variation: Variation, time: pd.Timestamp, sources: Sequence[Suspect]) -> Finding:
    return Finding(
        FAILURE,
        "the strategy",
        time,
        f"fails {variation}, where it went on with all bars: {other.error.message if other.error else ''}",
        str(variation),
        "read no bar after the present one, whose index is 0",
        source=tuple(str(suspect) for suspect in sources if not suspect.back),
    )


def _other_setup(whole: Watched, other: Watched, variation: Variation) -> Finding:
    ours, theirs = ([each.name for each in run.indicators] for run in (whole, other))
    pairs = ((a, b) for a, b in zip(ours, theirs, strict=False) if a != b)
    mine, other_name = next(pairs, (f"{len(ours)} indicators", f"{len(theirs)}"))
    return Finding(
        SETUP,
        "the strategy's set-up",
        None,
        f"makes {mine} with all bars, {other_name} {variation}",
        str(variation),
        "choose periods from parameters, not from the bars",
    )


def _indicator_differences(whole: Watched, other: Watched, seen: int) -> Iterator[tuple[int, int, int]]:
    """Place, line and first bar of every indicator that differs while what feeds it agrees."""
    first: dict[int, tuple[int, int]] = {}
    for place, (ours, theirs) in enumerate(zip(whole.values, other.values, strict=True)):
        apart = unequal(ours[:, :seen], theirs[:, :seen], whole.values[place])
        if apart.any():
            line = int(apart.any(axis=1).argmax()) if apart.shape[0] == 1 else _earliest(apart)
            first[place] = line, int(apart[line].argmax())
    for place in roots_of(whole, first):
        yield place, *first[place]


def roots_of(watched: Watched, differing: Mapping[int, object]) -> list[int]:
    """Of the places that differ those whose inputs all agree; all of them where each feeds another."""
    roots = [
        place for place in differing if not any(put in differing for put in watched.indicators[place].inputs)
    ]
    return roots or sorted(differing)[:1]


def _earliest(apart: NDArray[np.bool_]) -> int:
    firsts = np.where(apart.any(axis=1), apart.argmax(axis=1), apart.shape[1])
    return int(firsts.argmin())


def unequal(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where two lines differ by more than rounding, (lines, bars). scale: the whole lines, for what is nearly 0."""
    finite = np.where(np.isfinite(scale), np.abs(scale), 0.0)
    floor = RELATIVE_TOLERANCE * 1e-3 * finite.max(axis=1, keepdims=True, initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(ours - theirs) <= RELATIVE_TOLERANCE * np.maximum(np.abs(ours), np.abs(theirs)) + floor
    apart: NDArray[np.bool_] = ~(near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    return apart


def _decision_difference(whole: Watched, other: Watched, seen: int) -> tuple[int, str] | None:
    """The first bar on which orders or positions differ, and how."""
    touched = sorted({bar for run in (whole, other) for bar, _ in run.decisions if bar < seen})
    for bar in touched:
        what = orders_differ(whole.decided(bar), other.decided(bar))
        if what is not None:
            return bar, what
    apart = np.flatnonzero((whole.positions[:seen] != other.positions[:seen]).any(axis=1))
    if not apart.size:
        return None
    bar = int(apart[0])
    return bar, f"a position of {whole.positions[bar]} with all bars, of {other.positions[bar]}"


def orders_differ(
    ours: Sequence[Decision], theirs: Sequence[Decision], tolerance: float = RELATIVE_TOLERANCE
) -> str | None:
    """In words, the first order that differs; None where all are the same, numbers within `tolerance`."""
    for mine, others in zip(ours, theirs, strict=False):
        if not mine.same(others, tolerance):
            return f"{mine} with all bars, {others}"
    if len(ours) > len(theirs):
        return f"{ours[len(theirs)]} with all bars, no order"
    return f"no order with all bars, {theirs[len(ours)]}" if len(theirs) > len(ours) else None


def _shown(value: float) -> str:
    return "no value" if np.isnan(value) else f"{value:.6g}"


def merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for each subject, at its earliest bar, with the number of runs on which it shows."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.subject), []).append(finding)
    return tuple(
        replace(min(group, key=lambda one: (one.time is None, one.time)), runs=len(group))
        for group in groups.values()
    )
