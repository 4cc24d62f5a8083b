"""What numpy computes over whole arrays, for kernels: in its own order, to the last bit."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from engine.compiled.ufuncs import ufunc_at, ufunc_of

Floats = Any  # a float64 array, or one of whole numbers
Flags = Any  # int64

compiled = nb.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def extreme_of(values: Floats, sign: int, error: Flags) -> float:
    """numpy.max (sign 1) or numpy.min (sign -1): not a number as soon as one is; an error of nothing."""
    if len(values) == 0:
        error[0] = 1
        return np.nan
    found = values[0]
    for x in values:
        if x != x:
            return x  # type: ignore[no-any-return]
        if sign * x > sign * found:
            found = x
    return found  # type: ignore[no-any-return]


@compiled
def extreme_place(values: Floats, sign: int, error: Flags) -> int:
    """numpy.argmax (sign 1) or numpy.argmin (sign -1): the first one's index."""
    if len(values) == 0:
        error[0] = 1
        return 0
    place = 0
    for k in range(len(values)):
        if values[k] != values[k]:
            return k
        if sign * values[k] > sign * values[place]:
            place = k
    return place


@compiled
def middle_of(values: Floats) -> float:
    """numpy.median: the mean of the two in the middle where their number is even."""
    n = len(values)
    if n == 0:
        return np.nan
    ordered = np.sort(values)
    if ordered[n - 1] != ordered[n - 1]:
        return np.nan
    if n % 2:
        return float(ordered[n // 2])
    return (ordered[n // 2 - 1] + ordered[n // 2]) / 2.0  # type: ignore[no-any-return]


@compiled
def larger_of(a: float, b: float) -> float:
    """numpy.maximum of two numbers: not a number when one is none."""
    if a != a or b != b:
        return a + b
    return a if a >= b else b


@compiled
def smaller_of(a: float, b: float) -> float:
    """numpy.minimum of two numbers: not a number when one is none."""
    if a != a or b != b:
        return a + b
    return a if a <= b else b


@compiled
def sign_of(value: float) -> float:
    """numpy.sign."""
    if value > 0.0:
        return 1.0
    return -1.0 if value < 0.0 else value * 0.0 if value != value else 0.0


__all__ = [
    "extreme_of",
    "extreme_place",
    "larger_of",
    "middle_of",
    "sign_of",
    "smaller_of",
    "ufunc_at",
    "ufunc_of",
]
