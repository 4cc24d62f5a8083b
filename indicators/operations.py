"""Operators and logic between lines and numbers, bar by bar, as Python computes them on floats.

`operate`, `own` and `logic` take arrays and numbers in the form a line expression has and choose the kernel;
the loops run without the interpreter lock, over
slices from 0 on, since an index that may be negative keeps the compiler from using vector instructions. All return a status: 0 when done, 1 when Python would raise
(division by zero, a negative base with a fractional power, an overflowing power).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from indicators.sums import _PARTIALS, DONE, RAISES, exact_sum

(
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    FLOOR_DIVIDE,
    POWER,
    LESS,
    GREATER,
    LESS_EQUAL,
    GREATER_EQUAL,
    EQUAL,
    NOT_EQUAL,
) = range(12)
NEGATE, ABSOLUTE = range(2)
AND, OR, MAX, MIN, SUM, ANY, ALL, COMPARE, COMPARE_CHOOSE, IF, DIVIDE_BY_ZERO, ZERO_BY_ZERO = range(12)


@njit(cache=True, nogil=True, error_model="numpy")
def _floor_divide(a, b):  # type: ignore[no-untyped-def]
    """Python's a // b for b != 0 (floatobject.c, _float_div_mod)."""
    remainder = np.fmod(a, b)
    quotient = (a - remainder) / b
    if remainder != 0.0 and (b < 0.0) != (remainder < 0.0):
        quotient -= 1.0
    if quotient == 0.0:
        return math.copysign(0.0, a / b)
    floor = np.floor(quotient)
    if quotient - floor > 0.5:
        floor += 1.0
    return floor


@njit(cache=True, nogil=True, error_model="numpy")
def _any_zero(values):  # type: ignore[no-untyped-def]
    zeros = 0
    for i in range(len(values)):
        zeros += values[i] == 0.0
    return zeros > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _power(a, b):  # type: ignore[no-untyped-def]
    """Python's a ** b as (value, status)."""
    if math.isfinite(a) and math.isfinite(b):
        if a == 0.0 and b < 0.0:
            return 0.0, RAISES
        if a < 0.0 and b != np.floor(b):
            return 0.0, RAISES
        value = math.pow(a, b)
        return value, DONE if math.isfinite(value) else RAISES
    return math.pow(a, b), DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _power_loop(dst, a, b, start, end):  # type: ignore[no-untyped-def]
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    bars = len(dst)
    for i in range(bars):
        dst[i], status = _power(a[i], b[i])
        if status != DONE:
            return RAISES
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _lines(dst, a, b, start, end, operator):  # type: ignore[no-untyped-def]
    """dst[i] = a[i] <operator> b[i]."""
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    bars = len(dst)
    if operator == ADD:
        for i in range(bars):
            dst[i] = a[i] + b[i]
    elif operator == SUBTRACT:
        for i in range(bars):
            dst[i] = a[i] - b[i]
    elif operator == MULTIPLY:
        for i in range(bars):
            dst[i] = a[i] * b[i]
    elif operator == DIVIDE:
        if _any_zero(b):
            return RAISES
        for i in range(bars):
            dst[i] = a[i] / b[i]
    elif operator == FLOOR_DIVIDE:
        for i in range(bars):
            if b[i] == 0.0:
                return RAISES
            dst[i] = _floor_divide(a[i], b[i])
    elif operator == POWER:
        return _power_loop(dst, a, b, start, end)
    elif operator == LESS:
        for i in range(bars):
            dst[i] = a[i] < b[i]
    elif operator == GREATER:
        for i in range(bars):
            dst[i] = a[i] > b[i]
    elif operator == LESS_EQUAL:
        for i in range(bars):
            dst[i] = a[i] <= b[i]
    elif operator == GREATER_EQUAL:
        for i in range(bars):
            dst[i] = a[i] >= b[i]
    elif operator == EQUAL:
        for i in range(bars):
            dst[i] = a[i] == b[i]
    else:
        for i in range(bars):
            dst[i] = a[i] != b[i]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _line_number(dst, a, b, start, end, operator):  # type: ignore[no-untyped-def]
    """dst[i] = a[i] <operator> b with a number b."""
    dst, a = dst[start:end], a[start:end]
    bars = len(dst)
    if operator == ADD:
        for i in range(bars):
            dst[i] = a[i] + b
    elif operator == SUBTRACT:
        for i in range(bars):
            dst[i] = a[i] - b
    elif operator == MULTIPLY:
        for i in range(bars):
            dst[i] = a[i] * b
    elif operator == DIVIDE:
        if b == 0.0 and bars > 0:
            return RAISES
        for i in range(bars):
            dst[i] = a[i] / b
    elif operator == FLOOR_DIVIDE:
        if b == 0.0 and bars > 0:
            return RAISES
        for i in range(bars):
            dst[i] = _floor_divide(a[i], b)
    elif operator == POWER:
        for i in range(bars):
            dst[i], status = _power(a[i], b)
            if status != DONE:
                return RAISES
    elif operator == LESS:
        for i in range(bars):
            dst[i] = a[i] < b
    elif operator == GREATER:
        for i in range(bars):
            dst[i] = a[i] > b
    elif operator == LESS_EQUAL:
        for i in range(bars):
            dst[i] = a[i] <= b
    elif operator == GREATER_EQUAL:
        for i in range(bars):
            dst[i] = a[i] >= b
    elif operator == EQUAL:
        for i in range(bars):
            dst[i] = a[i] == b
    else:
        for i in range(bars):
            dst[i] = a[i] != b
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _number_line(dst, a, b, start, end, operator):  # type: ignore[no-untyped-def]
    """dst[i] = a <operator> b[i] with a number a, for the operators whose sides cannot be swapped."""
    dst, b = dst[start:end], b[start:end]
    bars = len(dst)
    if operator == SUBTRACT:
        for i in range(bars):
            dst[i] = a - b[i]
    elif operator == DIVIDE:
        if _any_zero(b):
            return RAISES
        for i in range(bars):
            dst[i] = a / b[i]
    elif operator == FLOOR_DIVIDE:
        for i in range(bars):
            if b[i] == 0.0:
                return RAISES
            dst[i] = _floor_divide(a, b[i])
    else:
        for i in range(bars):
            dst[i], status = _power(a, b[i])
            if status != DONE:
                return RAISES
    return DONE


_SWAPPED = {
    ADD: ADD,
    MULTIPLY: MULTIPLY,
    LESS: GREATER,
    GREATER: LESS,
    LESS_EQUAL: GREATER_EQUAL,
    GREATER_EQUAL: LESS_EQUAL,
    EQUAL: EQUAL,
    NOT_EQUAL: NOT_EQUAL,
}


def operate(dst: Any, *given: Any) -> int:
    """An operator between two lines or a line and a number: `LinesOperation`.

    operate(dst, a, b, start, end, operator): a <operator> b.
    operate(dst, line, start, end, operator, number, reversed): line <operator> number, or number <operator> line.
    """
    if isinstance(given[1], np.ndarray):
        return int(_lines(dst, *given))
    line, start, end, operator, number, swapped = given
    if not swapped:
        return int(_line_number(dst, line, float(number), start, end, operator))
    if operator in _SWAPPED:
        return int(_line_number(dst, line, float(number), start, end, _SWAPPED[operator]))
    return int(_number_line(dst, float(number), line, start, end, operator))


@njit(cache=True, nogil=True, error_model="numpy")
def own(dst, src, start, end, operator):  # type: ignore[no-untyped-def]
    """-src or abs(src): `LineOwnOperation`."""
    dst, src = dst[start:end], src[start:end]
    bars = len(dst)
    if operator == NEGATE:
        for i in range(bars):
            dst[i] = -src[i]
    else:
        for i in range(bars):
            dst[i] = abs(src[i])
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(dst, a, b, start, end, operator):  # type: ignore[no-untyped-def]
    """One step of a reduction from the left; dst may be a."""
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    bars = len(dst)
    if operator == AND:
        for i in range(bars):
            dst[i] = a[i] != 0.0 and b[i] != 0.0
    elif operator == OR:
        for i in range(bars):
            dst[i] = a[i] != 0.0 or b[i] != 0.0
    elif operator == MAX:
        for i in range(bars):
            dst[i] = b[i] if b[i] > a[i] else a[i]
    else:
        for i in range(bars):
            dst[i] = b[i] if b[i] < a[i] else a[i]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(dst, a, b, x, y, z, start, end):  # type: ignore[no-untyped-def]
    """`CmpEx`: x where a < b, z where a > b, else y (NaN too)."""
    dst, a, b, x, y, z = dst[start:end], a[start:end], b[start:end], x[start:end], y[start:end], z[start:end]
    bars = len(dst)
    for i in range(bars):
        dst[i] = x[i] if a[i] < b[i] else (z[i] if a[i] > b[i] else y[i])
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(dst, a, b, start, end):  # type: ignore[no-untyped-def]
    """-1, 0 or 1; 0 against NaN: `Cmp`."""
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    bars = len(dst)
    for i in range(bars):
        dst[i] = (1.0 if a[i] > b[i] else 0.0) - (1.0 if a[i] < b[i] else 0.0)
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _if(dst, condition, a, b, start, end):  # type: ignore[no-untyped-def]
    """`If`: a where the condition is not zero (NaN is not), else b."""
    dst, condition, a, b = dst[start:end], condition[start:end], a[start:end], b[start:end]
    bars = len(dst)
    for i in range(bars):
        dst[i] = a[i] if condition[i] != 0.0 else b[i]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _safe_divide(dst, a, b, start, end, single, dual):  # type: ignore[no-untyped-def]
    """`DivByZero`, `DivZeroByZero`: a / b; over zero `dual` where a is zero too, else `single`."""
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    bars = len(dst)
    for i in range(bars):
        if b[i] == 0.0:
            dst[i] = dual if a[i] == 0.0 else single
        else:
            dst[i] = a[i] / b[i]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _truth(dst, a, start, end):  # type: ignore[no-untyped-def]
    dst, a = dst[start:end], a[start:end]
    bars = len(dst)
    for i in range(bars):
        dst[i] = a[i] != 0.0
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_rows(dst, rows, start, end):  # type: ignore[no-untyped-def]
    """math.fsum across rows: (k, end - start)."""
    partials = np.empty(_PARTIALS)
    column = np.empty(len(rows))
    for i in range(start, end):
        for k in range(len(rows)):
            column[k] = rows[k, i - start]
        dst[i], status = exact_sum(column, 0, len(rows), partials)
        if status != DONE:
            return RAISES
    return DONE


def _reduce(dst: Any, arguments: list[Any], start: int, end: int, operator: int) -> int:
    """A reduction over any number of arguments; ANY and ALL give truth values even of one argument."""
    step = {ANY: OR, ALL: AND}.get(operator, operator)
    if operator == SUM:
        return int(_sum_rows(dst, np.array([a[start:end] for a in arguments]), start, end))
    if len(arguments) == 1:
        if operator in (ANY, ALL):
            return int(_truth(dst, arguments[0], start, end))
        dst[start:end] = arguments[0][start:end]
        return DONE
    left = arguments[0]
    for right in arguments[1:]:
        _fold(dst, left, right, start, end, step)
        left = dst
    return DONE


_FIXED: dict[int, Any] = {IF: _if, COMPARE: _compare, COMPARE_CHOOSE: _choose}


def logic(dst: Any, *given: Any) -> int:
    """The classes of `backtrader.functions`.

    logic(dst, *lines, start, end, function, form, *numbers)
    form: one letter for each argument in order, "l" for the next line and "n" for the next number.
    function: AND ... ZERO_BY_ZERO. DIVIDE_BY_ZERO and ZERO_BY_ZERO take two lines and two numbers.
    """
    count = 0
    while isinstance(given[count], np.ndarray):
        count += 1
    lines = iter(given[:count])
    start, end, function, form = given[count : count + 4]
    numbers = iter(given[count + 4 :])
    if function in (DIVIDE_BY_ZERO, ZERO_BY_ZERO):
        divide: Any = _safe_divide
        return int(divide(dst, *lines, start, end, *map(float, numbers)))
    arguments = [next(lines) if kind == "l" else np.full(end, float(next(numbers))) for kind in form]
    if function in _FIXED:
        return int(_FIXED[function](dst, *arguments, start, end))
    return _reduce(dst, arguments, start, end, function)
