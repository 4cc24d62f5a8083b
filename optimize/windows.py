"""Where a market is cut: what a search may see, and the bars after it on which its choice is judged.

windows(index, count=8)                        # eight, each learning from four times the bars it is judged on
windows(index, train="2y", test="6m")          # by time
windows(index, train=500, test=125, anchored=True)
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import ConfigError
from optimize.trials import Span

Length = int | str

COUNT = 8
RATIO = 4.0
LEAST = 16
"""Bars that a part must have: fewer cannot be judged."""
_LENGTH = re.compile(r"(\d+)\s*(min|h|d|w|m|y)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks", "m": "months", "y": "years"}


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a walk-forward: a search over `train`, judged on `test`, which begins after it ends."""

    number: int
    train: Span
    test: Span


def parse_length(text: Length, option: str) -> int | pd.DateOffset:
    """`500` as bars, `"2y"`, `"6m"`, `"90d"`, `"12h"` as time. Raises ConfigError."""
    if isinstance(text, int) or str(text).strip().isdigit():
        bars = int(text)
        if bars < 1:
            raise ConfigError(f"{option} is {text}", hint="give at least one bar")
        return bars
    match = _LENGTH.fullmatch(str(text).strip().lower())
    if not match or int(match[1]) < 1:
        raise ConfigError(
            f"{option} {text} is no length",
            hint="write bars, as 500, or time, as 2y, 6m, 4w, 90d, 12h, 30min",
        )
    return pd.DateOffset(**{_UNITS[match[2]]: int(match[1])})  # type: ignore[arg-type]  # of its stubs


def windows(
    index: pd.DatetimeIndex,
    *,
    train: Length | None = None,
    test: Length | None = None,
    count: int | None = None,
    anchored: bool = False,
    purge: int = 0,
    embargo: int = 0,
    ratio: float = RATIO,
) -> tuple[Window, ...]:
    """The windows of a market, oldest first; their tests follow each other without a gap and do not overlap.

    index: times of the bars, rising. train, test: lengths, in bars or time; the last test takes what is left when
    that is at least half of one. count: how many, instead of `test`; without any length, `COUNT`, and each trains on
    `ratio` times the bars of its test. anchored: training always begins at the first bar. purge, embargo: bars left
    out between the end of training and the test, for what reaches over the border.
    Raises ConfigError for what does not fit the data.
    """
    if purge < 0 or embargo < 0:
        raise ConfigError(
            f"purge {purge} and embargo {embargo} must not be below zero", hint="give a number of bars"
        )
    if test is not None and count is not None:
        raise ConfigError(
            "both a length and a number of tests are given", hint="give --test or --windows, not both"
        )
    edges = (
        _edges_by_length(index, train, test)
        if test is not None
        else _edges_by_count(index, train, count, ratio)
    )
    first_test, gap = edges[0], purge + embargo
    lengths = None if train is None else parse_length(train, "--train")
    made = []
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        last = start - gap
        first = 0 if anchored else _train_start(index, start, lengths, first_test)
        if last - first < LEAST:
            raise ConfigError(
                f"window {number + 1} has {max(0, last - first)} bars to learn from, fewer than {LEAST}",
                hint="lengthen --train, or shorten --purge and --embargo",
            )
        made.append(Window(number, Span(first, last), Span(start, stop, warmup=0)))
    return tuple(made)


def _train_start(
    index: pd.DatetimeIndex, start: int, length: int | pd.DateOffset | None, default: int
) -> int:
    if length is None:
        return start - default
    if isinstance(length, int):
        return max(0, start - length)
    return int(index.searchsorted(index[start] - length))


def _edges_by_count(
    index: pd.DatetimeIndex, train: Length | None, count: int | None, ratio: float
) -> list[int]:
    """The first bar of each test, and the end of the last."""
    wanted = COUNT if count is None else count
    if wanted < 1:
        raise ConfigError(f"--windows is {wanted}", hint="give at least 1")
    if train is None:
        if not ratio > 0:
            raise ConfigError(f"the ratio of training to test is {ratio}", hint="give a number above zero")
        first = len(index) - math.floor(len(index) / (wanted + ratio)) * wanted
    else:
        first = _after(index, 0, parse_length(train, "--train"))
    if (len(index) - first) / wanted < LEAST:
        raise ConfigError(
            f"{len(index)} bars are too few for {wanted} windows: each needs {LEAST} or more to be judged on",
            hint="give fewer --windows, a shorter --train, or more data",
        )
    edges: list[int] = np.linspace(first, len(index), wanted + 1).round().astype(int).tolist()
    return edges


def _edges_by_length(index: pd.DatetimeIndex, train: Length | None, test: Length | None) -> list[int]:
    length = parse_length(test, "--test")  # type: ignore[arg-type]  # only called with one
    if train is None:
        raise ConfigError("--test needs --train", hint="say how much each window learns from")
    edges = [_after(index, 0, parse_length(train, "--train"))]
    while edges[-1] < len(index):
        edges.append(_after(index, edges[-1], length))
    left = len(index) - edges[0]
    if left < LEAST:
        raise ConfigError(
            f"--train {train} is longer than the data allow: of {len(index):,} bars {left} are left to be judged on",
            hint=f"a test needs {LEAST}: shorten --train or give more data",
        )
    if edges[1] - edges[0] < LEAST:
        raise ConfigError(
            f"--test {test}: {edges[1] - edges[0]} bars are too few to be judged on",
            hint=f"give {LEAST} or more",
        )
    last, full = edges[-1] - edges[-2], edges[1] - edges[0]
    if len(edges) > 2 and last < max(full / 2, LEAST):
        edges.pop()
    return edges


def _after(index: pd.DatetimeIndex, position: int, length: int | pd.DateOffset) -> int:
    """The position so much later, at most the end."""
    if isinstance(length, int):
        return min(position + length, len(index))
    return int(index.searchsorted(index[position] + length))


# -- combinatorial purged cross-validation


@dataclass(frozen=True, slots=True)
class Split:
    """One choice of groups to be judged on. tests: their numbers. train: (bars,) bool, what may be learned from."""

    tests: tuple[int, ...]
    train: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Combinations:
    """Every choice of some groups of bars. bounds: (groups + 1,) positions. paths: of each, the split of each group."""

    bounds: tuple[int, ...]
    splits: tuple[Split, ...]
    paths: tuple[tuple[int, ...], ...]


def combinations(
    bars: int, *, groups: int = 6, tests: int = 2, purge: int = 0, embargo: int = 0
) -> Combinations:
    """Combinatorial purged cross-validation: each group is judged in several splits, which make whole paths.

    groups: consecutive parts. tests: parts judged together in a split. purge: bars left out of training before and
    after each tested part. embargo: more of them after it. Raises ConfigError for what does not fit.
    López de Prado (2018), "Advances in Financial Machine Learning", chapter 12.
    """
    if not 1 <= tests < groups:
        raise ConfigError(f"{tests} of {groups} groups cannot be tested", hint="test at least 1, and not all")
    if bars // groups < LEAST:
        raise ConfigError(
            f"{bars} bars are too few for {groups} groups", hint=f"each needs {LEAST} bars: give fewer groups"
        )
    bounds = np.linspace(0, bars, groups + 1).round().astype(int).tolist()
    splits, used = [], [0] * groups
    paths: list[list[int]] = [[-1] * groups for _ in range(math.comb(groups, tests) * tests // groups)]
    for number, chosen in enumerate(itertools.combinations(range(groups), tests)):
        train = np.ones(bars, np.bool_)
        for group in chosen:
            train[max(0, bounds[group] - purge) : bounds[group + 1] + purge + embargo] = False
            paths[used[group]][group] = number
            used[group] += 1
        if train.sum() < LEAST:
            raise ConfigError("nothing is left to learn from", hint="shorten --purge and --embargo")
        splits.append(Split(chosen, train))
    return Combinations(tuple(bounds), tuple(splits), tuple(map(tuple, paths)))


__all__ = [
    "COUNT",
    "LEAST",
    "RATIO",
    "Combinations",
    "Split",
    "Window",
    "combinations",
    "parse_length",
    "windows",
]
