"""Sums of floats rounded once, as `math.fsum` rounds them, over windows that slide.

Backtrader averages with `math.fsum`. A running float sum differs from it in the last bit, and the last bit
decides a crossover at a tie. Within a range whose values share a grid of powers of two, an integer sum in
64 or 128 bits is exact and moves on by one value a bar; elsewhere each window is summed by Shewchuk's
algorithm (Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997), as CPython does.

Status of a kernel: 0 when done, 1 when CPython would raise on the same values (then `dst` is partly written).
"""

import math

import numpy as np
from numba import njit

DONE = 0
RAISES = 1

BLOCK = 4096
"""Bars that share one choice of grid: one outlier costs its own block only."""

_PARTIALS = 4096  # Shewchuk keeps at most one partial per 52 bits of the exponent's range; this is ample


@njit(cache=True, nogil=True, error_model="numpy")
def exact_sum(values, first, last, partials):  # type: ignore[no-untyped-def]
    """`math.fsum(values[first:last])` as (sum, status); `partials` is scratch of `_PARTIALS` floats."""
    count = 0
    special = 0.0
    infinities = 0.0
    for k in range(first, last):
        given = values[k]
        x = given
        kept = 0
        for j in range(count):
            y = partials[j]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[kept] = low
                kept += 1
            x = high
        count = kept
        if x != 0.0:
            if not math.isfinite(x):
                if math.isfinite(given):
                    return 0.0, RAISES
                if math.isinf(given):
                    infinities += given
                special += given
                count = 0
            else:
                partials[count] = x
                count += 1
    if special != 0.0:
        return special, RAISES if math.isnan(infinities) else DONE
    return _round_partials(partials, count), DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _round_partials(partials, count):  # type: ignore[no-untyped-def]
    """The non-overlapping partials, smallest first, as one float rounded half to even."""
    if count == 0:
        return 0.0
    count -= 1
    high = partials[count]
    low = 0.0
    while count > 0:
        x = high
        count -= 1
        y = partials[count]
        high = x + y
        low = y - (high - x)
        if low != 0.0:
            break
    if count > 0 and ((low < 0.0 and partials[count - 1] < 0.0) or (low > 0.0 and partials[count - 1] > 0.0)):
        y = low * 2.0
        x = high + y
        if y == x - high:
            high = x
    return high


@njit(cache=True, nogil=True, error_model="numpy")
def _grid(bits, first, last):  # type: ignore[no-untyped-def]
    """(lowest set bit, bit above the highest) as powers of two over finite, non-zero values; (0, 0) for none.

    bits: int64 views of the floats.
    """
    lowest = 5000
    highest = -5000
    for k in range(first, last):
        b = bits[k]
        biased = (b >> 52) & 0x7FF
        mantissa = b & 0xFFFFFFFFFFFFF
        if biased == 0x7FF or (biased == 0 and mantissa == 0):
            continue
        if biased != 0:
            mantissa |= 0x10000000000000
        else:
            biased = 1
        exponent = biased - 1075
        highest = max(highest, exponent + 53)
        if exponent < lowest:
            zeros = 0
            while (mantissa & 0xFF) == 0:
                mantissa >>= 8
                zeros += 8
            while (mantissa & 1) == 0:
                mantissa >>= 1
                zeros += 1
            lowest = min(lowest, exponent + zeros)
    if highest == -5000:
        return 0, 0
    return lowest, highest


@njit(cache=True, nogil=True, error_model="numpy")
def _exponents(bits, first, last):  # type: ignore[no-untyped-def]
    """(smallest, largest) biased exponent of values that are not zero; largest is 0x7FF with NaN or infinities."""
    smallest = np.int64(0x800)
    largest = np.int64(0)
    bits = bits[first:last]
    for k in range(len(bits)):
        magnitude = bits[k] & 0x7FFFFFFFFFFFFFFF
        biased = magnitude >> 52
        largest = max(largest, biased)
        smallest = min(smallest, biased if magnitude != 0 else np.int64(0x800))
    return smallest, largest


@njit(cache=True, nogil=True, error_model="numpy")
def _slide64(dst, src, start, end, period, divisor, scale, unit):  # type: ignore[no-untyped-def]
    """Window sums as 64-bit integers of `unit`; all values finite."""
    total = np.int64(0)
    for k in range(start - period + 1, start):
        total += np.int64(src[k] * scale)
    entering = src[start:end]
    leaving = src[start - period + 1 : end - period + 1]
    dst = dst[start:end]
    for i in range(len(dst)):
        total += np.int64(entering[i] * scale)
        dst[i] = (np.float64(total) * unit) / divisor
        total -= np.int64(leaving[i] * scale)


@njit(cache=True, nogil=True, error_model="numpy")
def _wide(bits, lowest):  # type: ignore[no-untyped-def]
    """A finite value as a signed 128-bit integer (high, low) of 2**lowest; 0 for NaN and infinities."""
    biased = (bits >> 52) & 0x7FF
    mantissa = bits & 0xFFFFFFFFFFFFF
    if biased == 0x7FF:
        return np.uint64(0), np.uint64(0)
    if biased != 0:
        mantissa |= 0x10000000000000
    else:
        biased = np.int64(1)
    shift = biased - 1075 - lowest
    high = np.uint64(0)
    low = np.uint64(0)
    if shift < 0:
        low = np.uint64(mantissa >> -shift)
    elif shift < 64:
        low = np.uint64(mantissa) << np.uint64(shift)
        if shift > 0:
            high = np.uint64(mantissa) >> np.uint64(64 - shift)
    else:
        high = np.uint64(mantissa) << np.uint64(shift - 64)
    if bits < 0:
        low = ~low + np.uint64(1)
        high = ~high + np.uint64(1 if low == np.uint64(0) else 0)
    return high, low


@njit(cache=True, nogil=True, error_model="numpy")
def _bit_length(word):  # type: ignore[no-untyped-def]
    """Bits up to the highest one set in a uint64 that is not zero."""
    length = 1
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(step) != np.uint64(0):
            word >>= np.uint64(step)
            length += step
    return length


@njit(cache=True, nogil=True, error_model="numpy")
def _narrow(high, low, unit):  # type: ignore[no-untyped-def]
    """A signed 128-bit integer of `unit` as a float, rounded half to even."""
    negative = np.int64(high) < 0
    if negative:
        low = ~low + np.uint64(1)
        high = ~high + np.uint64(1 if low == np.uint64(0) else 0)
    factor = 1.0
    if high != np.uint64(0):
        lost = _bit_length(high)
        kept = low >> np.uint64(lost) if lost < 64 else np.uint64(0)
        kept |= high << np.uint64(64 - lost) if lost < 64 else high
        dropped = low << np.uint64(64 - lost) if lost < 64 else low
        if dropped != np.uint64(0):
            kept |= np.uint64(1)
        low = kept
        factor = math.ldexp(1.0, lost)
    total = np.float64(low) * factor * unit
    return -total if negative else total


@njit(cache=True, nogil=True, error_model="numpy")
def _slide128(dst, src, bits, start, end, period, divisor, lowest):  # type: ignore[no-untyped-def]
    """Window sums as 128-bit integers of 2**lowest, with NaN and infinities counted as `math.fsum` treats them."""
    unit = math.ldexp(1.0, lowest)
    high = np.uint64(0)
    low = np.uint64(0)
    nans = 0
    ups = 0
    downs = 0
    for i in range(start - period + 1, end):
        x = src[i]
        if math.isfinite(x):
            h, s = _wide(bits[i], lowest)
            low += s
            high += h + np.uint64(1 if low < s else 0)
        elif math.isnan(x):
            nans += 1
        elif x > 0.0:
            ups += 1
        else:
            downs += 1
        if i < start:
            continue
        if ups and downs:
            return RAISES
        if nans:
            total = np.nan
        elif ups:
            total = np.inf
        elif downs:
            total = -np.inf
        elif high == np.uint64(0) and low == np.uint64(0):
            total = 0.0
        else:
            total = _narrow(high, low, unit)
        dst[i] = total / divisor
        x = src[i - period + 1]
        if math.isfinite(x):
            h, s = _wide(bits[i - period + 1], lowest)
            high -= h + np.uint64(1 if low < s else 0)
            low -= s
        elif math.isnan(x):
            nans -= 1
        elif x > 0.0:
            ups -= 1
        else:
            downs -= 1
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def window_sums(dst, src, start, end, period, divisor):  # type: ignore[no-untyped-def]
    """dst[i] = math.fsum(src[i - period + 1 : i + 1]) / divisor for start <= i < end.

    src, dst: (n,) float64 that do not overlap; period - 1 <= start. Returns the status.
    """
    bits = src.view(np.int64)
    room = 1
    while 2**room < period + 1:
        room += 1
    partials = np.empty(0)
    block = max(BLOCK, 4 * period)
    for first in range(start, end, block):
        last = min(end, first + block)
        smallest, largest = _exponents(bits, first - period + 1, last)
        finite = largest < 0x7FF
        lowest, highest = smallest - 1075, largest - 1022
        if not finite or smallest == 0 or smallest > largest or highest - lowest + room > 62:
            lowest, highest = _grid(bits, first - period + 1, last)
        width = highest - lowest + room
        if finite and width <= 62 and -1000 <= lowest <= 900:
            _slide64(
                dst, src, first, last, period, divisor, math.ldexp(1.0, -lowest), math.ldexp(1.0, lowest)
            )
        elif width <= 126 and highest < 900:
            if _slide128(dst, src, bits, first, last, period, divisor, lowest) != DONE:
                return RAISES
        else:
            if len(partials) == 0:
                partials = np.empty(_PARTIALS)
            for i in range(first, last):
                total, status = exact_sum(src, i - period + 1, i + 1, partials)
                if status != DONE:
                    return RAISES
                dst[i] = total / divisor
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def fsum(values):  # type: ignore[no-untyped-def]
    """`math.fsum` of a (n,) float64 array as (sum, status)."""
    return exact_sum(values, 0, len(values), np.empty(_PARTIALS))
