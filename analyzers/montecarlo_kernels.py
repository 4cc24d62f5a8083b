"""The inner loops of `analyzers.montecarlo`: paths are drawn and measured one after the other, in machine code.

A path draws places among the n returns that were given, as many as there are. It never holds returns of its own:
how often each place was drawn says everything that does not depend on the order (mean, deviation, tail), with nothing
to sort, and one walk over the drawn places says the rest.

Random numbers are SplitMix64 (Steele, Lea and Flood, 2014), counted from a state that follows from the seed and the
number of the path alone: which thread draws a path, and when, changes nothing. 32 bits choose a place, so that no
place is likelier than another by more than n / 2**32 of its chance.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from analyzers.returns import ROUNDING

Floats = NDArray[np.float64]
Places = NDArray[np.int32]

IID, STATIONARY, SHUFFLE = 0, 1, 2
TOTAL, CAGR, DRAWDOWN, SHARPE, VAR, CVAR, UNDER_WATER, LOWEST = range(8)
FIGURES = 8
TAIL = 0.05
LOST = -1e9
"""Logarithm of what is left of a lost account: no growth brings it back, and no arithmetic on it is undefined."""
NOISE = 1e-13
"""A variance below this part of the mean square is the rounding of equal returns."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


@numba.njit(cache=True, nogil=True)
def mixed(state: np.uint64) -> np.uint64:
    """SplitMix64's output for a state."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw(places: Places, method: int, chance: np.uint64, state: np.uint64) -> None:
    """Fill places, (n,): out, each in [0, n). chance: of a new block, in 2**-32; read for `STATIONARY` alone."""
    n = places.size
    size = np.uint64(n)
    if method == IID:
        # Two places from each number; what is left of an odd count takes one of its own.
        for pair in range(n // 2):
            number = mixed(state + np.uint64(pair) * GOLDEN)
            places[2 * pair] = np.int32(((number >> HALF) * size) >> HALF)
            places[2 * pair + 1] = np.int32(((number & LOW) * size) >> HALF)
        if n % 2:
            number = mixed(state + np.uint64(n // 2) * GOLDEN)
            places[n - 1] = np.int32(((number >> HALF) * size) >> HALF)
    elif method == STATIONARY:
        # First the beginnings of blocks, -1 between them: no step waits for the one before it.
        for step in range(n):
            number = mixed(state + np.uint64(step) * GOLDEN)
            fresh = np.int32(((number >> HALF) * size) >> HALF)
            places[step] = fresh if (number & LOW) < chance or step == 0 else np.int32(-1)
        place = np.int32(-1)
        for step in range(n):
            place += np.int32(1)
            if place == n:
                place = np.int32(0)
            if places[step] >= 0:
                place = places[step]
            places[step] = place
    else:
        # Fisher and Yates, from the order as it was: a path does not depend on the one before it.
        for step in range(n):
            places[step] = step
        for step in range(n - 1, 0, -1):
            number = mixed(state + np.uint64(step) * GOLDEN) >> HALF
            other = (number * np.uint64(step + 1)) >> HALF
            places[step], places[other] = places[other], places[step]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def walk(
    places: Places, logs: Floats, counts: Places, times: NDArray[np.int64], seen: Floats
) -> tuple[float, float, float, int]:
    """Go over the drawn places: log growth at the end, its lowest, its largest fall, and steps below the highest.

    logs: (n,) log growth of each place. counts: out, how often each was drawn. times: rising, the last of them n; seen:
    out, log growth after so many steps.
    """
    growth = highest = lowest = fall = 0.0
    below, begin = 0, 0
    for number in range(times.size):
        for step in range(begin, times[number]):
            place = places[step]
            counts[place] += 1
            growth += logs[place]
            highest = max(highest, growth)
            lowest = min(lowest, growth)
            fall = max(fall, highest - growth)
            below += growth < highest
        begin = times[number]
        seen[number] = growth
    return growth, lowest, fall, below


@numba.njit(cache=True, nogil=True, error_model="numpy")
def moments(counts: Places, values: Floats) -> tuple[float, float]:
    """Sum of the drawn values, and of their squares."""
    # Four sums at a time, for the sake of speed; their order is fixed, so that a machine's width changes nothing.
    a = b = c = d = 0.0
    e = f = g = h = 0.0
    whole = values.size - values.size % 4
    for i in range(0, whole, 4):
        w, x = counts[i] * values[i], counts[i + 1] * values[i + 1]
        y, z = counts[i + 2] * values[i + 2], counts[i + 3] * values[i + 3]
        a, b, c, d = a + w, b + x, c + y, d + z
        e, f, g, h = e + w * values[i], f + x * values[i + 1], g + y * values[i + 2], h + z * values[i + 3]
    for i in range(whole, values.size):
        w = counts[i] * values[i]
        a, e = a + w, e + w * values[i]
    return (a + b) + (c + d), (e + f) + (g + h)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def tail(counts: Places, ordered: Floats, by_rank: Places) -> tuple[float, float]:
    """Value at risk and the mean loss beyond it, as `analyzers.tails` defines them, of the drawn returns.

    ordered: (n,) returns, the lowest first. by_rank: (n,) the place of each.
    """
    spot = TAIL * (ordered.size - 1)
    last = int(spot)
    above = min(last + 1, ordered.size - 1)
    weight = spot - last
    seen, total, low, high = 0, 0.0, 0.0, 0.0
    for rank in range(ordered.size):
        count = counts[by_rank[rank]]
        if not count:
            continue
        value = ordered[rank]
        if seen <= last:
            total += min(count, last + 1 - seen) * value
            low = value
        seen += count
        if seen > above:
            high = value
            break
    found = high - (high - low) * (1.0 - weight) if weight >= 0.5 else low + (high - low) * weight
    return 0.0 - found, 0.0 - total / (last + 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def measure(
    first: int,
    last: int,
    seed: np.uint64,
    method: int,
    chance: np.uint64,
    periods: float,
    returns: Floats,
    logs: Floats,
    ordered: Floats,
    by_rank: Places,
    times: NDArray[np.int64],
    fan: Floats,
    figures: Floats,
) -> None:
    """Draw and measure the paths `first` to `last` - 1.

    returns, logs, ordered, by_rank: (n,), see above. fan: out, (k, times), log growth of the paths below k. figures: out,
    (FIGURES, paths).
    """
    n = returns.size
    places, counts, seen = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(times.size)
    mean = returns.mean()
    centred = returns - mean
    root = math.sqrt(periods)
    for path in range(first, last):
        draw(places, method, chance, mixed(seed + np.uint64(path) * GOLDEN))
        counts[:] = 0
        growth, lowest, fall, below = walk(places, logs, counts, times, seen)
        if path < len(fan):
            fan[path] = seen
        figures[TOTAL, path] = math.expm1(growth)
        figures[CAGR, path] = math.expm1(growth * periods / n)
        figures[DRAWDOWN, path] = -math.expm1(-fall)
        figures[UNDER_WATER, path] = below / n
        figures[LOWEST, path] = lowest
        total, squares = moments(counts, centred)
        variance = (squares - total * total / n) / (n - 1)
        moves = variance > max(NOISE * squares / n, ROUNDING * ROUNDING)
        figures[SHARPE, path] = (mean + total / n) / math.sqrt(variance) * root if moves else math.nan
        figures[VAR, path], figures[CVAR, path] = tail(counts, ordered, by_rank)
