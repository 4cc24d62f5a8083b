"""Data that carry the future in themselves: bars of a higher timeframe, stamped with the time at which they begin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np
import pandas as pd

from engine.cerebro import LENGTHS
from engine.lookahead_cuts import DATA, Finding

MOST, HALF, FEWEST = 0.9, 0.5, 3


def unfinished_bars(
    frames: Mapping[str, pd.DataFrame], timeframes: Mapping[str, tuple[int, int]]
) -> Iterator[Finding]:
    """A finding for each data whose closes are those that a finer data has only later, before the next such bar."""
    lengths = {name: LENGTHS.get(unit, 0.0) * times for name, (unit, times) in timeframes.items()}
    for fine, coarse in permutations(frames, 2):
        if lengths[coarse] <= lengths[fine]:
            continue
        early, bars = _begin_stamped(frames[fine], frames[coarse])
        if bars:
            yield Finding(
                DATA,
                coarse,
                frames[coarse].index[0],
                f"its bars carry the time at which they begin: {early} of {bars} closes are those that {fine} has "
                "only at the end of that time",
                "on every run",
                "give each bar the time of its end, or leave this data out and use --resample",
            )


def _begin_stamped(fine: pd.DataFrame, coarse: pd.DataFrame) -> tuple[int, int]:
    """How many coarse closes are the finer data's last before the next coarse bar, of how many; (0, 0) if few are."""
    closes = fine["close"].to_numpy(dtype=np.float64)
    own = coarse["close"].to_numpy(dtype=np.float64)[:-1]
    until_now = fine.index.searchsorted(coarse.index, side="right")[:-1]
    before_next = fine.index.searchsorted(coarse.index, side="left")[1:]
    known = (until_now > 0) & (before_next > until_now)
    if known.sum() < FEWEST:
        return 0, 0
    own, now, then = own[known], closes[until_now[known] - 1], closes[before_next[known] - 1]
    early, timely = np.isclose(own, then), np.isclose(own, now)
    if early.mean() < MOST or timely.mean() > HALF:
        return 0, 0
    return int(early.sum()), len(own)
