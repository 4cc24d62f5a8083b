"""Would entries at random moments, held as long, have earned as much? A permutation test of a rule's entries.

Aronson (2006), "Evidence-Based Technical Analysis", chapter 5, shuffles the positions of a rule over the returns of a
market; here the stretches that were held stay whole. The observed arrangement is counted in, so that no probability
is zero: Phipson and Smyth (2010), "Permutation P-values Should Never Be Zero", Statistical Applications in Genetics
and Molecular Biology 9(1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS = 5_000
LEAST = 10
"""Entries below which nothing is said."""
CHUNK = 1_000_000
"""Cells of the tables that are held at one time."""
ROUNDING = 1e-12
"""Two sums of the same numbers in another order differ by less than this part of their size."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was held of one symbol, and its prices.

    weights: (bars, 2), the position as a signed part of the account, from each bar's open to its close, and from its
    close to the next open; known at the open and at the close. opens, closes: (bars,).
    """

    weights: Floats
    opens: Floats
    closes: Floats


@dataclass(frozen=True, slots=True)
class EntryTest:
    """What entries earned against entries at random moments.

    probability: share of the random arrangements that earn at least as much, the real one counted in; NaN with fewer
    than `LEAST` entries. entries: stretches that were held, of all symbols. earned: by them, a part of the account,
    before costs and not compounded; random: the same, on average of the random arrangements; NaN with the
    probability. draws: how many there were.
    """

    probability: float
    entries: int
    earned: float
    random: float
    draws: int


@dataclass(frozen=True, slots=True)
class _Stretches:
    """One symbol's stretches in the market, k of them, and its returns, summed up over the bars twice.

    starts, lengths: (k,) bars. pieces: (p, 3) of equal weights: number of the stretch, first bar in it, the bar after
    the last. weights: (p, 2). sums: (2, 2 * bars + 1). bars: of the market.
    """

    starts: Integers
    lengths: Integers
    pieces: Integers
    weights: Floats
    sums: Floats
    bars: int

    @property
    def gaps(self) -> Integers:
        """(k + 1,) bars out of the market before each stretch and after the last."""
        ends = np.concatenate([[0], self.starts + self.lengths])
        return np.asarray(np.concatenate([self.starts, [self.bars]]) - ends, dtype=np.int64)

    def earned(self, starts: Integers) -> Floats:
        """What the stretches earn when they begin there, (draws, k) to (draws,); past the end they begin again."""
        number, first, last = self.pieces.T
        begin = starts[:, number]
        moves = self.sums[:, begin + last] - self.sums[:, begin + first]
        earned: Floats = np.einsum("hdp,ph->d", moves, self.weights)
        return earned


def entry_test(held: Sequence[Held], *, draws: int = DRAWS, seed: int = 0) -> EntryTest:
    """Compare what was held with the same stretches at random moments.

    One symbol: the stretches in the market and the gaps between them, the first and the last included, each come in a
    random order, so that sizes, sides, lengths and the number of entries stay. Several symbols: all that was held is
    moved along together by a random number of bars, the end following on the beginning, each symbol on its own bars;
    shuffled one by one, symbols that rise and are bought together would look as if they were not. There are no more
    such arrangements than bars: with at most `draws` bars each is looked at once.

    A change of side begins a stretch. What is always held, on one side, has no entries to move: 1.
    """
    parts = [part for part in map(_stretches, held) if len(part.starts)]
    entries = sum(len(part.starts) for part in parts)
    if not parts:
        return EntryTest(math.nan, 0, math.nan, math.nan, 0)
    always = all(len(part.starts) == 1 and part.lengths[0] == part.bars for part in parts)
    if entries < LEAST and not always:
        return EntryTest(math.nan, entries, math.nan, math.nan, 0)
    real = float(sum(part.earned(part.starts[None, :])[0] for part in parts))
    if always:
        return EntryTest(1.0, entries, real, real, 0)
    rng = np.random.default_rng(seed)
    found = np.concatenate(
        list(_shuffled(parts[0], draws, rng) if len(parts) == 1 else _moved(parts, draws, rng))
    )
    scale = sum(float(np.abs(part.weights).max() * np.abs(np.diff(part.sums)).sum()) for part in parts)
    as_good = int((found >= real - ROUNDING * scale).sum())
    return EntryTest((1 + as_good) / (1 + len(found)), entries, real, float(found.mean()), len(found))


def _shuffled(part: _Stretches, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """What stretches and gaps in random orders earn, some draws at a time."""
    count = len(part.starts)
    # A generator for each, so that the size of the blocks changes nothing.
    orders, spaces = rng.spawn(2)
    size = max(1, CHUNK // len(part.pieces))
    for first in range(0, draws, size):
        some = min(size, draws - first)
        order = orders.permuted(np.tile(np.arange(count), (some, 1)), axis=1)
        gaps = spaces.permuted(np.tile(part.gaps, (some, 1)), axis=1)
        lengths = part.lengths[order]
        places = np.cumsum(gaps[:, :-1] + lengths, axis=1) - lengths
        starts = np.empty_like(places)
        np.put_along_axis(starts, order, places, axis=1)
        yield part.earned(starts)


def _moved(parts: Sequence[_Stretches], draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """What all stretches earn, moved along together, some draws at a time."""
    longest = max(part.bars for part in parts)
    steps = np.arange(1, longest)
    if len(steps) > draws:
        steps = rng.choice(steps, draws, replace=False)
    size = max(1, CHUNK // max(len(part.pieces) for part in parts))
    for first in range(0, len(steps), size):
        some = steps[first : first + size, None]
        yield np.sum(
            [part.earned((part.starts + some * part.bars // longest) % part.bars) for part in parts], axis=0
        )


def _stretches(held: Held) -> _Stretches:
    weights = np.nan_to_num(held.weights)
    bars = len(weights)
    overnight = np.where(weights[:, 1] != 0, weights[:, 1], weights[:, 0])
    side = np.sign(overnight)
    changes = np.concatenate([[True], side[1:] != side[:-1]]) if bars else np.empty(0, np.bool_)
    borders = np.append(np.flatnonzero(changes), bars)
    inside = side[borders[:-1]] != 0
    starts, lengths = borders[:-1][inside], np.diff(borders)[inside]
    new = changes.copy()
    new[1:] |= (weights[1:] != weights[:-1]).any(axis=1)
    first = np.flatnonzero(new)
    last = np.append(first[1:], bars)
    kept = side[first] != 0
    first, last = first[kept], last[kept]
    number = np.searchsorted(starts, first, side="right") - 1
    pieces = np.stack([number, first - starts[number], last - starts[number]], axis=1)
    return _Stretches(starts, lengths, pieces, weights[first], _sums(held), bars)


def _sums(held: Held) -> Floats:
    """Returns within the bars, and from each to the next, summed up over the bars and over them again."""
    opens, closes = held.opens, held.closes
    with np.errstate(divide="ignore", invalid="ignore"):
        within = closes / opens - 1.0
        between = np.append(opens[1:] / closes[:-1] - 1.0, 0.0)
    returns = np.nan_to_num(np.stack([within, between]), posinf=0.0, neginf=0.0)
    return np.concatenate([np.zeros((2, 1)), np.cumsum(np.tile(returns, 2), axis=1)], axis=1)


__all__ = ["DRAWS", "LEAST", "EntryTest", "Held", "entry_test"]
