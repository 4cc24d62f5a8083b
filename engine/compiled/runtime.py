"""Small functions every kernel may call: Python's own arithmetic, where a machine's differs.

None of them raises. What would be an exception in Python sets `error[0]`; the kernel stops at the end of the bar,
its results are thrown away, and the run is repeated where the exception appears as it should.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

Floats = Any  # a float64 array, or one of whole numbers where a list holds those
Flags = Any  # int64

FAULT = 1
"""What `error[0]` is set to."""
EXACT_INTEGERS = 9007199254740992.0

compiled = nb.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def fault(error: Flags) -> bool:
    """An exception in Python."""
    error[0] = 1
    return False


@compiled
def checked(value: float, wrong: bool, error: Flags) -> float:
    """`value`, where `wrong` says that Python would have raised."""
    if wrong:
        error[0] = 1
    return value


@compiled
def divide(a: float, b: float, error: Flags) -> float:
    """The quotient a / b."""
    if b == 0:
        error[0] = 1
        return np.nan
    return a / b


@compiled
def floor_divide(a: float, b: float, error: Flags) -> float:
    """The whole quotient a // b."""
    if b == 0:
        error[0] = 1
        return a
    return a // b


@compiled
def modulo(a: float, b: float, error: Flags) -> float:
    """The remainder a % b."""
    if b == 0:
        error[0] = 1
        return a
    return a % b


@compiled
def product(a: int, b: int, error: Flags) -> int:
    """The product of two whole numbers; beyond what a machine's whole numbers hold it is an error."""
    if abs(float(a) * float(b)) > EXACT_INTEGERS:
        error[0] = 1
        return 0
    return a * b


@compiled
def power(a: float, b: float, error: Flags) -> float:
    """The power a ** b over floats; a complex or infinite answer is an error, as a float it is none."""
    if (a < 0.0 and b != math.floor(b)) or (a == 0.0 and b < 0.0):
        error[0] = 1
        return np.nan
    found = math.pow(a, b)
    if math.isinf(found) and not math.isinf(a) and not math.isinf(b):
        error[0] = 1
    return found


@compiled
def integer_power(a: int, b: int, error: Flags) -> int:
    """The power a ** b over whole numbers, b known not to be negative; beyond 63 bits it is an error."""
    if b < 0 or abs(math.pow(float(a), float(b))) > EXACT_INTEGERS:
        error[0] = 1
        return 0
    found = 1
    for _ in range(b):
        found *= a
    return found


@compiled
def whole(value: float, error: Flags) -> int:
    """int(value)."""
    if not math.isfinite(value) or abs(value) > EXACT_INTEGERS:
        error[0] = 1
        return 0
    return np.int64(value)  # type: ignore[return-value]


@compiled
def floor(value: float, error: Flags) -> int:
    """math.floor(value)."""
    return whole(math.floor(value), error)


@compiled
def ceil(value: float, error: Flags) -> int:
    """math.ceil(value)."""
    return whole(math.ceil(value), error)


@compiled
def nearest(value: float, error: Flags) -> int:
    """round(value): half to even."""
    return whole(np.rint(value), error)


@compiled
def _product(a: float, b: float) -> tuple[float, float]:
    """The product a * b as an exact sum of two floats (Dekker 1971)."""
    p = a * b
    split = 134217729.0
    t = split * a
    ah = t - (t - a)
    al = a - ah
    t = split * b
    bh = t - (t - b)
    bl = b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


@compiled
def rounded(value: float, digits: int, error: Flags) -> float:
    """round(value, digits), correctly rounded as CPython's."""
    if not math.isfinite(value) or value == 0.0 or digits > 17:
        return value
    if digits < 0 or abs(value) > 1e15:
        error[0] = 1
        return value
    scale = 10.0**digits
    high, low = _product(value, scale)
    if abs(high) > EXACT_INTEGERS / 2:
        return value
    base = float(math.floor(high))
    part = (high - base) - 0.5
    up = part > 0 or (part == 0 and low > 0)
    if part == 0 and low == 0:
        up = base % 2 != 0
    elif part == -0.5 and low < 0:
        base -= 1.0
        up = True
    return math.copysign((base + 1.0 if up else base) / scale, value)


@compiled
def larger(a: float, b: float) -> float:
    """max(a, b): the first unless the second is larger."""
    return b if b > a else a


@compiled
def smaller(a: float, b: float) -> float:
    """min(a, b): the first unless the second is smaller."""
    return b if b < a else a


@compiled
def square_root(value: float, error: Flags) -> float:
    """math.sqrt(value)."""
    if value < 0.0:
        error[0] = 1
        return np.nan
    return math.sqrt(value)


@compiled
def logarithm(value: float, error: Flags) -> float:
    """math.log(value)."""
    if value <= 0.0:
        error[0] = 1
        return np.nan
    return math.log(value)


@compiled
def exponential(value: float, error: Flags) -> float:
    """math.exp(value)."""
    found = math.exp(value)
    if math.isinf(found) and not math.isinf(value):
        error[0] = 1
    return found


@compiled
def at(values: Floats, index: int, error: Flags) -> float:
    """One value of a line as `array.array` gives it: a negative index counts from the end."""
    n = len(values)
    if index < 0:
        index += n
    if index < 0 or index >= n:
        error[0] = 1
        return np.nan
    return values[index]  # type: ignore[no-any-return]


@compiled
def item(values: Floats, count: int, index: int, error: Flags) -> float:
    """values[:count][index]."""
    if index < 0:
        index += count
    if index < 0 or index >= count:
        error[0] = 1
        index = 0
    return values[index]  # type: ignore[no-any-return]


@compiled
def put(values: Floats, count: int, index: int, value: float, error: Flags) -> None:
    """values[:count][index] = value."""
    if index < 0:
        index += count
    if index < 0 or index >= count:
        error[0] = 1
    else:
        values[index] = value


@compiled
def appended(values: Floats, count: int, value: float) -> Floats:
    """The array with `value` at `count`, a longer one when it was full."""
    if count == len(values):
        longer = np.empty(2 * count + 8, values.dtype)
        longer[:count] = values
        values = longer
    values[count] = value
    return values


@compiled
def drop(values: Floats, count: int, index: int, error: Flags) -> int:
    """Take values[:count][index] out; what is behind it moves up. Returns the new count."""
    if index < 0:
        index += count
    if index < 0 or index >= count:
        error[0] = 1
        return count
    for k in range(index, count - 1):
        values[k] = values[k + 1]
    return count - 1


@compiled
def find(values: Floats, count: int, value: float) -> int:
    """Index of the first `value`, -1 when it is not there."""
    for k in range(count):
        if values[k] == value:
            return k
    return -1


@compiled
def insert_first(values: Floats, count: int, value: float) -> Floats:
    """The array with `value` before everything else."""
    values = appended(values, count, value)
    for k in range(count, 0, -1):
        values[k] = values[k - 1]
    values[0] = value
    return values


@compiled
def seen(values: Floats, index: int, ago: int, error: Flags) -> float:
    """One value of a line that grows in the run: what is not there yet, or was never, is left to another engine."""
    if ago > 0 or index + ago < 0 or index >= len(values):
        error[0] = 1
        return np.nan
    return values[index + ago]  # type: ignore[no-any-return]


@compiled
def place_of(bound: int, length: int) -> int:
    """A slice's bound as Python takes it: a negative one counts from the end."""
    return min(bound, length) if bound >= 0 else max(0, bound + length)


@compiled
def known_order(handle: int, error: Flags) -> int:
    """A handle that is not None."""
    if handle < 0:
        error[0] = 1
        return 0
    return handle
