"""Sums, extremes and orders of many values for kernels to call, as Python and numpy compute them."""

from __future__ import annotations

import math

import numpy as np

from engine.compiled.runtime import Flags, Floats, compiled


@compiled
def total(values: Floats, start: float) -> float:
    """sum(values, start), each added as `+` does."""
    for x in values:
        start = start + x
    return start


@compiled
def rounding(a: float, b: float, found: float) -> float:
    """What `found`, a + b rounded, lacks."""
    return (a - found) + b if abs(a) >= abs(b) else (b - found) + a


@compiled
def settled(found: float, lost: float) -> float:
    """A sum and what roundings took from it, as CPython puts them together."""
    return found + lost if lost != 0.0 and math.isfinite(lost) else found


@compiled
def compensated(values: Floats, start: float) -> float:
    """sum(values, start) of floats, as Python does since 3.12 (Neumaier 1974)."""
    lost = 0.0
    for x in values:
        found = start + x
        lost += rounding(start, x, found)
        start = found
    return settled(start, lost)


@compiled
def largest(values: Floats, error: Flags) -> float:
    """max(values)."""
    if len(values) == 0:
        error[0] = 1
        return np.nan
    found = values[0]
    for x in values:
        if x > found:
            found = x
    return found  # type: ignore[no-any-return]


@compiled
def smallest(values: Floats, error: Flags) -> float:
    """min(values)."""
    if len(values) == 0:
        error[0] = 1
        return np.nan
    found = values[0]
    for x in values:
        if x < found:
            found = x
    return found  # type: ignore[no-any-return]


BLOCK = 128


@compiled
def _block(values: Floats) -> float:
    """numpy.sum of at most `BLOCK` values: eight running sums."""
    n = len(values)
    if n < 8:
        s = 0.0
        for x in values:
            s += x
        return s
    sums = values[:8].copy()
    whole = n - (n % 8)
    for i in range(8, whole, 8):
        for k in range(8):
            sums[k] += values[i + k]
    s = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for i in range(whole, n):
        s += values[i]
    return s  # type: ignore[no-any-return]


@compiled
def pairwise(values: Floats) -> float:
    """numpy.sum: pairwise summation in the order numpy takes, its recursion as a stack of parts still to be summed."""
    if len(values) <= BLOCK:
        return _block(values)
    starts = np.zeros(128, np.int64)
    sizes = np.zeros(128, np.int64)
    states = np.zeros(128, np.int64)
    lefts = np.zeros(128)
    sizes[0] = len(values)
    depth = 0
    found = 0.0
    while depth >= 0:
        start, size = starts[depth], sizes[depth]
        half = size // 2
        half -= half % 8
        if size <= BLOCK:
            found = _block(values[start : start + size])
            depth -= 1
        elif states[depth] == 0:
            states[depth] = 1
            depth += 1
            starts[depth], sizes[depth], states[depth] = start, half, 0
        elif states[depth] == 1:
            lefts[depth] = found
            states[depth] = 2
            depth += 1
            starts[depth], sizes[depth], states[depth] = start + half, size - half, 0
        else:
            found = lefts[depth] + found
            depth -= 1
    return found


@compiled
def mean(values: Floats) -> float:
    """numpy.mean; NaN of nothing."""
    if len(values) == 0:
        return np.nan
    return pairwise(values) / len(values)


@compiled
def deviation(values: Floats, ddof: int) -> float:
    """numpy.std."""
    n = len(values)
    if n == 0:
        return np.nan
    middle = pairwise(values) / n
    squares = np.empty(n)
    for i in range(n):
        squares[i] = (values[i] - middle) * (values[i] - middle)
    return math.sqrt(pairwise(squares) / max(n - ddof, 0))


@compiled
def variance(values: Floats, ddof: int) -> float:
    """numpy.var."""
    n = len(values)
    if n == 0:
        return np.nan
    middle = pairwise(values) / n
    squares = np.empty(n)
    for i in range(n):
        squares[i] = (values[i] - middle) * (values[i] - middle)
    return pairwise(squares) / max(n - ddof, 0)


@compiled
def ranked(keys: Floats, backwards: bool, error: Flags) -> Flags:
    """The order a stable sort by these keys gives, as indices."""
    n = len(keys)
    found = np.arange(n)
    for i in range(n):
        if keys[i] != keys[i]:
            error[0] = 1
    for i in range(1, n):
        k = found[i]
        j = i - 1
        while j >= 0 and (keys[found[j]] < keys[k] if backwards else keys[k] < keys[found[j]]):
            found[j + 1] = found[j]
            j -= 1
        found[j + 1] = k
    return found
