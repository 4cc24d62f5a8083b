"""The primitives stock indicators are made of: kernel(dst..., src..., start, end, *scalars) -> status.

Arrays are float64 of one clock's length; a kernel writes dst[start:end] bit for bit as stock Backtrader's
`preonce`, `oncestart` and `once` do together. Status 0: done; 1: stock raises on these values.
No kernel knows Backtrader, all release the interpreter lock, and any thread may call them.
"""

from indicators.operations import logic, operate, own
from indicators.sums import DONE, RAISES, fsum, window_sums
from indicators.windows import (
    accumulate,
    average,
    delay,
    error_correcting,
    exponential,
    exponential_dynamic,
    extreme,
    extreme_age,
    forward,
    laguerre,
    non_zero_difference,
    parabolic_sar,
    percent_rank,
    rolling_sum,
    truth_count,
    weighted,
)

__all__ = [
    "DONE",
    "RAISES",
    "accumulate",
    "average",
    "delay",
    "error_correcting",
    "exponential",
    "exponential_dynamic",
    "extreme",
    "extreme_age",
    "forward",
    "fsum",
    "laguerre",
    "logic",
    "non_zero_difference",
    "operate",
    "own",
    "parabolic_sar",
    "percent_rank",
    "rolling_sum",
    "truth_count",
    "weighted",
    "window_sums",
]
