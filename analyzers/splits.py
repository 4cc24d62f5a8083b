"""The inner loop of combinatorially symmetric cross-validation: every split, every trial, in machine code."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from analyzers.overfitting import COUNT, SQUARES, SUM, TINY, Floats

TOGETHER = 4
"""Parts whose sums are known for each choice among them: a half is put together from these."""


def judged(moments: Floats, halves: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Of the best trial in one half of the parts: its relative rank in the other, and its two Sharpe ratios.

    moments: (n, parts, 3), see `analyzers.overfitting`. halves: (splits, parts), the parts of the first half. Each
    array is (2 splits,): first learned on the first halves, then on the second ones. Ties share their ranks.
    """
    sums, codes = _sums(np.ascontiguousarray(moments.transpose(1, 2, 0))), _codes(halves)
    found = np.empty((3, 2, len(halves)))
    _judge(sums, codes, found)
    rank, inside, outside = found.reshape(3, -1)
    return rank / (len(moments) + 1), inside, outside


def _sums(parts: Floats) -> Floats:
    """By group of `TOGETHER` parts and choice among them, the sums: (groups, 2 ** TOGETHER, 3, n)."""
    groups = -(-len(parts) // TOGETHER)
    found = np.zeros((groups, 2**TOGETHER, *parts.shape[1:]))
    for place, part in enumerate(parts):
        group, bit = divmod(place, TOGETHER)
        chosen = np.flatnonzero(np.arange(2**TOGETHER) >> bit & 1)
        found[group, chosen] += part
    return found


def _codes(halves: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of each split, half and group of parts the choice: (splits, 2, groups)."""
    both = np.stack([halves, ~halves], axis=1)
    groups = -(-both.shape[2] // TOGETHER)
    padded = np.zeros((*both.shape[:2], groups * TOGETHER), np.int64)
    padded[..., : both.shape[2]] = both
    weights = 2 ** np.arange(TOGETHER)
    codes: NDArray[np.int64] = padded.reshape(*both.shape[:2], groups, TOGETHER) @ weights
    return codes


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _judge(sums: Floats, codes: NDArray[np.int64], found: Floats) -> None:
    """found: out, (3, 2, splits): rank from one, Sharpe ratio in and out of sample, learned on either half."""
    n = sums.shape[3]
    total, ratios = np.empty((3, n)), np.empty((2, n))
    for split in range(len(codes)):
        for half in range(2):
            total[:] = 0.0
            for group in range(codes.shape[2]):
                chosen = sums[group, codes[split, half, group]]
                for kind in range(3):
                    for trial in range(n):
                        total[kind, trial] += chosen[kind, trial]
            for trial in range(n):
                count = total[COUNT, trial]
                mean = total[SUM, trial] / count
                variance = (total[SQUARES, trial] - total[SUM, trial] * mean) / (count - 1)
                least = TINY * max(total[SQUARES, trial] / max(count, 1.0), 1e-300)
                moves = count > 1 and variance > least
                ratios[half, trial] = mean / math.sqrt(variance) if moves else 0.0
        for half in range(2):
            inside, outside = ratios[half], ratios[1 - half]
            best = 0
            for trial in range(1, n):
                if inside[trial] > inside[best]:
                    best = trial
            mine, below, ties = outside[best], 0, 0
            for trial in range(n):
                below += outside[trial] < mine
                ties += outside[trial] == mine
            found[0, half, split] = below + (ties + 1) / 2
            found[1, half, split] = inside[best]
            found[2, half, split] = mine
