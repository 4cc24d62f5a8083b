"""What kernels compute in numpy's place: equal to numpy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compiled import ufuncs
from engine.compiled.runtime import place_of
from engine.compiled.sum_runtime import deviation, variance
from engine.compiled.vector_runtime import (
    extreme_of,
    extreme_place,
    larger_of,
    middle_of,
    sign_of,
    smaller_of,
)

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf])
ARRAYS = st.lists(NUMBERS, min_size=1, max_size=40).map(np.array)


def same(ours: float, theirs: float) -> bool:
    return bool(ours == theirs or (ours != ours and theirs != theirs))


@pytest.mark.parametrize("function", list(ufuncs.NUMBERS))
def test_the_loops_called_are_numpys(function: np.ufunc) -> None:
    """One by one, in whole arrays and in steps; hundreds of a thousand differ from the C library's here and there."""
    random = np.random.default_rng(5)
    values = np.r_[random.uniform(-5, 200, 3000), random.normal(1, 0.01, 3000), 0.0, np.nan, np.inf, -np.inf]
    with np.errstate(all="ignore"):
        wanted, number = function(values), ufuncs.NUMBERS[function]
        assert ufuncs.ufunc_of(number, values).tobytes() == wanted.tobytes()
        assert ufuncs.ufunc_of(number, values[::3]).tobytes() == function(values[::3]).tobytes()
        assert all(
            same(ufuncs.ufunc_at(number, x), y) for x, y in zip(values[::97], wanted[::97], strict=True)
        )


@settings(max_examples=150, deadline=None)
@given(ARRAYS, st.integers(0, 2))
def test_reductions(values: np.ndarray, ddof: int) -> None:
    error = np.zeros(1, np.int64)
    with np.errstate(all="ignore"):
        assert same(extreme_of(values, 1, error), values.max())
        assert same(extreme_of(values, -1, error), values.min())
        assert extreme_place(values, 1, error) == values.argmax()
        assert extreme_place(values, -1, error) == values.argmin()
        assert same(middle_of(values), np.median(values))
        if np.isfinite(values).all() and len(values) > ddof:
            assert same(deviation(values, ddof), values.std(ddof=ddof))
            assert same(variance(values, ddof), values.var(ddof=ddof))
    assert error[0] == 0


@settings(max_examples=150, deadline=None)
@given(NUMBERS, NUMBERS)
def test_pairs(a: float, b: float) -> None:
    assert same(larger_of(a, b), np.maximum(a, b))
    assert same(smaller_of(a, b), np.minimum(a, b))
    assert same(sign_of(a), np.sign(a))


def test_bounds_of_slices_wrap_as_pythons() -> None:
    values = list(range(6))
    for first in range(-9, 10):
        for last in range(-9, 10):
            start = place_of(first, 6)
            assert values[start : max(start, place_of(last, 6))] == values[first:last]


def test_an_extreme_of_nothing_is_an_error() -> None:
    for function in (extreme_of, extreme_place):
        error = np.zeros(1, np.int64)
        function(np.empty(0), 1, error)
        assert error[0] == 1
