"""Indicator primitives against the Python they stand for: `math.fsum`, `max`, `//`, `**`, ... to the last bit."""

import math
import operator
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indicators import kernels, operations
from indicators.sums import BLOCK

FLOATS = st.floats(width=64)
PRICES = st.floats(1.0, 1e5).map(lambda x: round(x, 2))
SUBNORMALS = st.floats(-1e-307, 1e-307)
CANCELLING = st.sampled_from(
    [1e16, -1e16, 1.0, -1.0, 1e-16, 2.0**53, -(2.0**53), 0.1, -0.1, 1e100, -1e100, 0.0, -0.0]
)
LARGE = st.sampled_from([1.7e308, -1.7e308, 1e308, -1e308, 1e292, 1.0])
SPECIAL = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -2.5])
NARROW = st.floats(-1e-3, 1e3)
SERIES = st.one_of(
    *(
        st.lists(values, min_size=1, max_size=40)
        for values in (FLOATS, PRICES, SUBNORMALS, CANCELLING, LARGE)
    ),
    *(st.lists(values, min_size=1, max_size=40) for values in (SPECIAL, NARROW)),
)


def _bits(x):
    return "nan" if math.isnan(x) else float(x).hex()


def _python(function):
    """(value's bits, None) or (None, exception type)."""
    try:
        return _bits(function()), None
    except (OverflowError, ValueError, ZeroDivisionError, StopIteration, TypeError, IndexError) as error:
        return None, type(error)


def _assert_windows(kernel, function, values, period, *scalars):
    """The kernel's every window equals Python's, or its status says that Python raises somewhere."""
    period = min(period, len(values))
    src = np.array(values, dtype=np.float64)
    dst = np.full(len(src), -99.5)
    status = kernel(dst, src, period - 1, len(src), period, *scalars)
    expected = [
        _python(lambda i=i: function(values[i - period + 1 : i + 1])) for i in range(period - 1, len(values))
    ]
    raises = any(error is not None for _, error in expected)
    assert status == (kernels.RAISES if raises else kernels.DONE)
    assert (dst[: period - 1] == -99.5).all()
    if not raises:
        assert [_bits(x) for x in dst[period - 1 :]] == [bits for bits, _ in expected]


@given(SERIES)
@example([math.inf, -math.inf])
@example([1e308, 1e308, -1e308])
@example([1e-16, 1.0, 1e16])
@example([-0.0])
@example([5e-324] * 3)
@settings(max_examples=400, deadline=None)
def test_fsum(values):
    total, status = kernels.fsum(np.array(values))
    expected, error = _python(lambda: math.fsum(values))
    assert status == (kernels.DONE if error is None else kernels.RAISES)
    if error is None:
        assert _bits(total) == expected


@given(SERIES, st.integers(1, 12))
@example([1e308, 1e308, -1e308, 1.0], 3)
@example([2.0**62, 1.0, 0.5, -(2.0**62), 2.0**-60], 3)
@example([1.0, 2.0**-53, 2.0**-106, 1.0, 2.0**-53], 3)
@example([1.0, 2.0**-53, -(2.0**-106), 1.0, 2.0**-53], 3)
@example([5e-324, 1e-310, -5e-324, 0.0, -0.0], 2)
@example([math.nan, 1.0, math.inf, 2.0, 3.0, -math.inf, 4.0, 5.0], 2)
@example([math.inf, -math.inf, 1.0], 2)
@settings(max_examples=600, deadline=None)
def test_average_and_sum(values, period):
    period = min(period, len(values))
    _assert_windows(kernels.average, lambda window: math.fsum(window) / period, values, period)
    _assert_windows(kernels.rolling_sum, math.fsum, values, period)


@pytest.mark.parametrize(
    "name",
    ["prices", "derived", "outliers", "wide", "zeros", "integers", "nan holes", "halfway", "subnormal"],
)
def test_average_over_blocks(name):
    """Series long enough for several blocks, each kind taking another way to the sum."""
    rng = np.random.default_rng(11)
    bars = 2 * BLOCK + 137
    walk = 100 + rng.standard_normal(bars).cumsum() * 0.1
    values = {
        "prices": walk.round(2),
        "derived": walk / 3.0,
        "outliers": np.where(np.arange(bars) == BLOCK + 5, 1e200, walk.round(2)),
        "wide": walk * 10.0 ** rng.integers(-250, 250, bars),
        "zeros": np.maximum(rng.standard_normal(bars), 0.0) * 1e-9,
        "integers": rng.integers(0, 10**9, bars).astype(float),
        "nan holes": np.where(rng.random(bars) < 0.01, np.nan, walk),
        "halfway": rng.choice([1.0, 2.0**-53, -(2.0**-53), 2.0**-105, 0.0], bars),
        "subnormal": rng.integers(-50, 50, bars) * 5e-324,
    }[name]
    for period in (1, 7, 50):
        _assert_windows(kernels.average, lambda w, p=period: math.fsum(w) / p, values.tolist(), period)


@given(SERIES, st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_extremes(values, period):
    _assert_windows(lambda *a: kernels.extreme(*a, 1.0), max, values, period)
    _assert_windows(lambda *a: kernels.extreme(*a, -1.0), min, values, period)
    for function, sign in ((max, 1.0), (min, -1.0)):

        def first(window, function=function):
            extreme = function(window)
            return next(i for i, v in enumerate(reversed(window)) if v == extreme)

        def last(window, function=function):
            extreme = function(window)
            return len(window) - next(i for i, v in enumerate(window) if v == extreme) - 1

        _assert_windows(lambda *a, s=sign: kernels.extreme_age(*a, s, True), first, values, period)
        _assert_windows(lambda *a, s=sign: kernels.extreme_age(*a, s, False), last, values, period)


@given(SERIES, st.integers(1, 12))
@settings(deadline=None)  # the first call compiles
def test_counts_and_ranks(values, period):
    _assert_windows(lambda *a: kernels.truth_count(*a, 1), any, values, period)
    _assert_windows(lambda *a: kernels.truth_count(*a, a[4]), all, values, period)
    rank = lambda w: math.fsum(x < w[-1] for x in w) / len(w)  # noqa: E731 - stock's own expression
    _assert_windows(kernels.percent_rank, rank, values, period)


@given(SERIES, st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(-3, 3))
@settings(deadline=None)  # the first call compiles
def test_weighted(values, weights, coefficient):
    period = min(len(weights), len(values))

    def python(window):
        return coefficient * math.fsum(map(operator.mul, window, weights))

    _assert_windows(lambda *a: kernels.weighted(*a, coefficient, weights), python, values, period)


SYMBOLS = {
    operations.ADD: operator.add,
    operations.SUBTRACT: operator.sub,
    operations.MULTIPLY: operator.mul,
    operations.DIVIDE: operator.truediv,
    operations.FLOOR_DIVIDE: operator.floordiv,
    operations.POWER: operator.pow,
    operations.LESS: operator.lt,
    operations.GREATER: operator.gt,
    operations.LESS_EQUAL: operator.le,
    operations.GREATER_EQUAL: operator.ge,
    operations.EQUAL: operator.eq,
    operations.NOT_EQUAL: operator.ne,
}
OPERANDS = st.one_of(FLOATS, PRICES, CANCELLING, SPECIAL, st.integers(-9, 9).map(float), st.floats(-20, 20))


def _operator(function, a, b):
    """As a line would take it: a complex result does not fit and raises."""
    return _python(lambda: float(function(a, b)))


@pytest.mark.parametrize("code", SYMBOLS)
@given(OPERANDS, OPERANDS)
@example(0.0, -1.0)
@example(-8.0, 0.5)
@example(1e200, 2.0)
@example(1e-200, 2.0)
@example(-7.0, 2.0)
@example(7.0, -2.0)
@example(0.0, -2.0)
@example(math.inf, 2.0)
@example(1.0, math.inf)
@example(1e308, 1e-10)
@settings(max_examples=150, deadline=None)
def test_operators(code, a, b):
    expected, error = _operator(SYMBOLS[code], a, b)
    left, right = np.array([a]), np.array([b])
    for given_arguments in (
        (left, right, 0, 1, code),
        (left, 0, 1, code, b, False),
        (right, 0, 1, code, a, True),
    ):
        dst = np.zeros(1)
        status = kernels.operate(dst, *given_arguments)
        assert status == (kernels.DONE if error is None else kernels.RAISES)
        if error is None:
            assert _bits(dst[0]) == expected


@given(st.lists(st.floats(1e-8, 1e8), min_size=50, max_size=50))
@settings(deadline=None)  # the first call compiles
def test_squares_and_roots_as_python(values):
    """`StandardDeviation` is made of these two; a correctly rounded square root would differ from `** 0.5`."""
    src = np.array(values)
    dst = np.empty(len(src))
    for power in (2, 0.5):
        assert kernels.operate(dst, src, 0, len(src), operations.POWER, power, False) == kernels.DONE
        assert dst.tolist() == [value**power for value in values]


FOLDS = {
    operations.AND: lambda xs: _reduced(lambda x, y: bool(x and y), xs),
    operations.OR: lambda xs: _reduced(lambda x, y: bool(x or y), xs),
    operations.MAX: max,
    operations.MIN: min,
    operations.SUM: math.fsum,
    operations.ANY: any,
    operations.ALL: all,
    operations.COMPARE: lambda xs: (xs[0] > xs[1]) - (xs[0] < xs[1]),
    operations.IF: lambda xs: xs[1] if xs[0] else xs[2],
    operations.COMPARE_CHOOSE: lambda xs: xs[2] if xs[0] < xs[1] else (xs[4] if xs[0] > xs[1] else xs[3]),
}
SIZES = {operations.COMPARE: 2, operations.IF: 3, operations.COMPARE_CHOOSE: 5}


def _reduced(function, values):
    total = values[0]
    for value in values[1:]:
        total = function(total, value)
    return total


@pytest.mark.parametrize("code", FOLDS)
@given(st.data())
@settings(max_examples=80, deadline=None)
def test_logic(code, data):
    size = SIZES.get(code) or data.draw(st.integers(1, 4))
    values = data.draw(st.lists(OPERANDS, min_size=size, max_size=size))
    form = "".join(data.draw(st.lists(st.sampled_from("ln"), min_size=size, max_size=size)))
    lines = [np.array([value]) for value, kind in zip(values, form, strict=True) if kind == "l"]
    numbers = [value for value, kind in zip(values, form, strict=True) if kind == "n"]
    dst = np.zeros(1)
    if not lines:
        return
    status = kernels.logic(dst, *lines, 0, 1, code, form, *numbers)
    expected, error = _python(lambda: FOLDS[code](values))
    assert status == (kernels.DONE if error is None else kernels.RAISES)
    if error is None:
        assert _bits(dst[0]) == expected


@given(OPERANDS, OPERANDS)
@example(0.0, -0.0)
@example(math.nan, 0.0)
@settings(deadline=None)  # the first call compiles
def test_divisions_by_zero(a, b):
    dst = np.zeros(1)
    arrays = (np.array([a]), np.array([b]))
    assert kernels.logic(dst, *arrays, 0, 1, operations.ZERO_BY_ZERO, "ll", 7.0, -3) == kernels.DONE
    assert _bits(dst[0]) == _bits((-3.0 if a == 0.0 else 7.0) if b == 0.0 else a / b)
    assert kernels.logic(dst, *arrays, 0, 1, operations.DIVIDE_BY_ZERO, "ll", 5, 5) == kernels.DONE
    assert _bits(dst[0]) == _bits(a / b if b else 5.0)


def test_only_the_asked_range_is_written():
    src = np.arange(10.0)
    for kernel, scalars in (
        (kernels.average, (3,)),
        (kernels.exponential, (3, 0.5, 0.5)),
        (kernels.delay, (-2,)),
    ):
        dst = np.full(10, -1.0)
        assert kernel(dst, src, 4, 8, *scalars) == kernels.DONE
        assert (dst[:4] == -1.0).all()
        assert (dst[8:] == -1.0).all()
        assert (dst[4:8] != -1.0).all()


@pytest.mark.parametrize("ago", [1, 3, 4, 5, 9, 14, 15])
def test_forward_counts_from_the_end_as_a_list_does(ago):
    expected = [-1.0] * 10

    def python():
        for i in range(4, 10):
            expected[i - ago] = float(i)
        return 0.0

    _, error = _python(python)
    dst = np.full(10, -1.0)
    status = kernels.forward(dst, np.arange(10.0), 4, 10, ago)
    assert status == (kernels.DONE if error is None else kernels.RAISES)
    if error is None:
        assert dst.tolist() == expected


def test_exponential_is_the_recursion_after_an_average():
    src = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    dst = np.zeros(5)
    kernels.exponential(dst, src, 2, 5, 3, 0.3, 0.7)
    seed = math.fsum([1.0, 2.0, 4.0]) / 3
    fourth = seed * 0.7 + 8.0 * 0.3
    assert dst.tolist() == [0.0, 0.0, seed, fourth, fourth * 0.7 + 16.0 * 0.3]


def test_kernels_run_without_backtrader():
    code = "import sys, indicators.kernels, indicators.cache; sys.exit('backtrader' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
