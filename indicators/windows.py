"""Rolling and recursive primitives over one series, each the loop stock Backtrader's `once` runs.

Every kernel writes dst[start:end], reads float64 arrays of at least `end` values and returns a status:
0 when done, 1 when stock would raise on these values (then `dst` is partly written).
`start` is the first bar with a full window: period - 1 <= start.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from indicators.sums import _PARTIALS, DONE, RAISES, exact_sum, window_sums


@njit(cache=True, nogil=True, error_model="numpy")
def average(dst, src, start, end, period):  # type: ignore[no-untyped-def]
    """math.fsum of the window divided by its length: `Average`, the core of SMA."""
    return window_sums(dst, src, start, end, period, np.float64(period))


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_sum(dst, src, start, end, period):  # type: ignore[no-untyped-def]
    """math.fsum of the window: `SumN`."""
    return window_sums(dst, src, start, end, period, 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(dst, src, start, end, period, alpha, rest):  # type: ignore[no-untyped-def]
    """`ExponentialSmoothing`: the average of the first window, then previous * rest + src * alpha."""
    if window_sums(dst, src, start, start + 1, period, np.float64(period)) != DONE:
        return RAISES
    previous = dst[start]
    dst, src = dst[start + 1 : end], src[start + 1 : end]
    for i in range(len(dst)):
        previous = previous * rest + src[i] * alpha
        dst[i] = previous
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def exponential_dynamic(dst, src, alpha, rest, start, end, period):  # type: ignore[no-untyped-def]
    """`ExponentialSmoothingDynamic`: as `exponential` with an alpha and 1 - alpha of its own for every bar."""
    if window_sums(dst, src, start, start + 1, period, np.float64(period)) != DONE:
        return RAISES
    previous = dst[start]
    for i in range(start + 1, end):
        previous = previous * rest[i] + src[i] * alpha[i]
        dst[i] = previous
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(dst, src, start, end, period, coefficient, weights):  # type: ignore[no-untyped-def]
    length = min(period, len(weights))
    products = np.empty(length)
    partials = np.empty(_PARTIALS)
    for i in range(start, end):
        first = i - period + 1
        for k in range(length):
            products[k] = src[first + k] * weights[k]
        total, status = exact_sum(products, 0, length, partials)
        if status != DONE:
            return RAISES
        dst[i] = coefficient * total
    return DONE


@functools.lru_cache(maxsize=1024)
def _float_array(numbers: tuple[float, ...]) -> Any:
    return np.array(numbers, dtype=np.float64)


def weighted(
    dst: Any, src: Any, start: int, end: int, period: int, coefficient: float, weights: Sequence[float]
) -> int:
    """`WeightedAverage`: coefficient * math.fsum of the window times `weights`, oldest first."""
    return int(_weighted(dst, src, start, end, period, float(coefficient), _float_array(tuple(weights))))


@njit(cache=True, nogil=True, error_model="numpy")
def _extreme_positions(src, start, end, period, sign, newest, out):  # type: ignore[no-untyped-def]
    """Position of the largest sign * src in each window; NaN values are passed over.

    newest: among equals take the last, else the first. out[i - start]: position, -1 for a window of NaN.
    """
    queue = np.empty(period, dtype=np.int64)
    head = 0
    size = 0
    for i in range(start - period + 1, end):
        x = src[i] * sign
        if x == x:
            while size > 0:
                back = src[queue[(head + size - 1) % period]] * sign
                if back < x or (newest and back == x):
                    size -= 1
                else:
                    break
        if size > 0 and queue[head] <= i - period:
            head = (head + 1) % period
            size -= 1
        if x == x:
            queue[(head + size) % period] = i
            size += 1
        if i >= start:
            out[i - start] = queue[head] if size > 0 else -1


@njit(cache=True, nogil=True, error_model="numpy")
def extreme(dst, src, start, end, period, sign):  # type: ignore[no-untyped-def]
    """Python's max (sign 1.0) or min (sign -1.0) of the window: `Highest`, `Lowest`.

    As in Python the first of equals wins, a NaN that comes first stays, and a later one is passed over.
    """
    positions = np.empty(max(0, end - start), dtype=np.int64)
    _extreme_positions(src, start, end, period, sign, False, positions)
    for i in range(start, end):
        oldest = src[i - period + 1]
        dst[i] = oldest if oldest != oldest else src[positions[i - start]]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def extreme_age(dst, src, start, end, period, sign, newest):  # type: ignore[no-untyped-def]
    """Bars since the window's extreme: `FindFirstIndex...` (newest of equals) and `FindLastIndex...` (oldest).

    A window that starts with NaN raises in stock.
    """
    positions = np.empty(max(0, end - start), dtype=np.int64)
    _extreme_positions(src, start, end, period, sign, newest, positions)
    for i in range(start, end):
        oldest = src[i - period + 1]
        if oldest != oldest:
            return RAISES
        dst[i] = i - positions[i - start]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def truth_count(dst, src, start, end, period, needed):  # type: ignore[no-untyped-def]
    """1.0 where at least `needed` values of the window are true (NaN is): `AnyN` with 1, `AllN` with period."""
    count = 0
    for i in range(start - period + 1, end):
        if src[i] != 0.0:
            count += 1
        if i >= start:
            dst[i] = 1.0 if count >= needed else 0.0
            if src[i - period + 1] != 0.0:
                count -= 1
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def percent_rank(dst, src, start, end, period):  # type: ignore[no-untyped-def]
    """Fraction of the window's values below its last: `PercentRank`."""
    for i in range(start, end):
        last = src[i]
        below = 0
        for k in range(i - period + 1, i + 1):
            below += src[k] < last
        dst[i] = np.float64(below) / np.float64(period)
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(dst, src, start, end, seed):  # type: ignore[no-untyped-def]
    """Running sum from `seed`, bar by bar in floats: `Accum`."""
    previous = seed
    for i in range(start, end):
        previous = previous + src[i]
        dst[i] = previous
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def non_zero_difference(dst, a, b, start, end):  # type: ignore[no-untyped-def]
    """`NonZeroDifference`: a - b, holding the last difference that was not zero."""
    dst, a, b = dst[start:end], a[start:end], b[start:end]
    zeros = 0
    for i in range(len(dst)):
        dst[i] = a[i] - b[i]
        zeros += dst[i] == 0.0
    if zeros > 0:
        for i in range(1, len(dst)):
            if dst[i] == 0.0:
                dst[i] = dst[i - 1]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _delay(dst, src, start, end, ago):  # type: ignore[no-untyped-def]
    dst, src = dst[start:end], src[start + ago : end + ago]
    for i in range(len(dst)):
        dst[i] = src[i]
    return DONE


def delay(dst: Any, *given: Any) -> int:
    """An earlier value of a line, or a number as a line: `_LineDelay`.

    delay(dst, src, start, end, ago) is dst[i] = src[i + ago] with ago <= 0.
    delay(dst, start, end, number) is a number as a line (stock's `LineNum`).
    """
    if isinstance(given[0], np.ndarray):
        return int(_delay(dst, *given))
    start, end, number = given
    dst[start:end] = number
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def forward(dst, src, start, end, ago):  # type: ignore[no-untyped-def]
    """`_LineForward`: dst[i - ago] = src[i] with ago > 0; as in stock an index below 0 counts from the end."""
    if ago - start > len(dst):
        return RAISES
    for i in range(start, min(ago, end)):
        dst[len(dst) + i - ago] = src[i]
    first = max(start, ago)
    if first < end:
        dst, src = dst[first - ago : end - ago], src[first:end]
        for i in range(len(dst)):
            dst[i] = src[i]
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def parabolic_sar(dst, high, low, close, start, end, step, limit):  # type: ignore[no-untyped-def]
    """`ParabolicSAR`: runs from the second bar on, writes from `start` (>= 1) on.

    step, limit: acceleration factor and its cap, fractions. Wilder (1978).
    """
    sar = (high[1] + low[1]) / 2.0
    long = not close[1] >= close[0]
    extreme_price = high[0] if long else low[0]
    factor = step
    for i in range(1, end):
        hi = high[i]
        lo = low[i]
        if (long and sar >= lo) or (not long and sar <= hi):
            long = not long
            sar = extreme_price
            extreme_price = hi if long else lo
            factor = step
        if i >= start:
            dst[i] = sar
        if long:
            if hi > extreme_price:
                extreme_price = hi
                raised = factor + step
                factor = limit if limit < raised else raised
        elif lo < extreme_price:
            extreme_price = lo
            raised = factor + step
            factor = limit if limit < raised else raised
        sar = sar + factor * (extreme_price - sar)
        if long:
            if sar > lo or sar > low[i - 1]:
                sar = low[i - 1] if low[i - 1] < lo else lo
        elif sar < hi or sar < high[i - 1]:
            sar = high[i - 1] if high[i - 1] > hi else hi
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def laguerre(dst, src, start, end, gamma, index):  # type: ignore[no-untyped-def]
    """Ehlers' Laguerre filter (index False, `LaguerreFilter`) or its RSI (index True, `LaguerreRSI`)."""
    l0 = l1 = l2 = l3 = 0.0
    for i in range(start, end):
        p0, p1, p2 = l0, l1, l2
        l0 = (1.0 - gamma) * src[i] + gamma * p0
        l1 = -gamma * l0 + p0 + gamma * p1
        l2 = -gamma * l1 + p1 + gamma * p2
        l3 = -gamma * l2 + p2 + gamma * l3
        if not index:
            dst[i] = (l0 + (2.0 * l1) + (2.0 * l2) + l3) / 6.0
            continue
        up = 0.0
        down = 0.0
        if l0 >= l1:
            up = l0 - l1
        else:
            down = l1 - l0
        if l1 >= l2:
            up += l1 - l2
        else:
            down += l2 - l1
        if l2 >= l3:
            up += l2 - l3
        else:
            down += l3 - l2
        whole = up + down
        dst[i] = 1.0 if whole == 0.0 else up / whole
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def error_correcting(dst, src, average_line, start, end, alpha, rest, limit):  # type: ignore[no-untyped-def]
    """`ZeroLagIndicator`: of the gains -limit/10 ... limit/10 the one whose error is least."""
    previous = math.nan
    for i in range(start, end):
        price = src[i]
        base = average_line[i]
        best = base
        least = 9223372036854775808.0  # sys.maxsize, rounded up: no float lies between
        for step in range(-limit, limit + 1):
            gain = step / 10.0
            corrected = alpha * (base + gain * (price - previous)) + rest * previous
            error = abs(price - corrected)
            if error < least:
                least = error
                best = corrected
        dst[i] = best
        previous = best
    return DONE
