"""Indicators that mix the bars of several datas, computed before a lean run for every step of it.

Bar by bar an indicator grows with its clock, and computes its newest value on every step from the newest values of
what it reads, whatever that moves with. A value that is computed again on later steps replaces the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from backtrader.lineiterator import MultiCoupler, SingleCoupler

from engine.once import run_kernel
from engine.primitive import Primitive
from engine.refusal import Refused
from indicators import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Lengths = NDArray[np.int64]

BY_STEP = frozenset((kernels.operate, kernels.own, kernels.logic))
"""Kernels that read nothing but the newest values."""
MOST_REPEATS = 3
"""How often a value may be computed again where all bars before it have to be computed again, too."""


def is_coupler(item: Any) -> bool:
    """Whether an indicator is Backtrader's way from one timeframe to another."""
    kind = type(item)
    single = kind is SingleCoupler
    return single or (isinstance(item, MultiCoupler) and kind.next is MultiCoupler.next)


def couple(period: int, lengths: Lengths, source_lengths: Lengths, sources: list[Floats]) -> list[Floats]:
    """`SingleCoupler.next` and `MultiCoupler.next` at every step.

    lengths, source_lengths: bars of the coupler and of what it couples, at every step. sources: its newest values.
    """
    taken = np.full(len(lengths), -1)
    seen, at = 0, -1
    for step in np.flatnonzero(lengths >= period).tolist():
        if source_lengths[step] > seen:
            seen, at = seen + 1, step
        taken[step] = at
    return [np.where(taken >= 0, source[taken], np.nan) for source in sources]


def values_by_step(
    item: Any,
    primitive: Primitive,
    lengths: Lengths,
    source_lengths: list[Lengths],
    sources: list[Floats],
) -> list[Floats]:
    """The newest value of each line of an indicator, at every step. Raises Refused where only Backtrader can tell.

    lengths, source_lengths: bars of the indicator, and of each line it reads, at every step. sources: the newest
    values of these lines.
    """
    scalars = primitive.scalars(item)
    count, period = len(primitive.outputs(item)), item._minperiod
    found = [np.full(len(lengths), np.nan) for _ in range(count)]
    begun = lengths >= period
    if not begun.any():
        return found
    if any((each[begun] < 1).any() for each in source_lengths):
        raise Refused("reads what has no bars yet")

    def run(source: list[Floats], start: int, size: int) -> list[Floats]:
        results = [np.full(size, np.nan) for _ in range(count)]
        if not run_kernel(primitive, scalars, [*results, *source], start, size):
            raise Refused("is not computed by a kernel")
        return results

    if primitive.kernel in BY_STEP:
        return run(sources, int(np.argmax(begun)), len(lengths))
    if primitive.reach(*scalars) > 0 and any((each != lengths).any() for each in source_lengths):
        raise Refused("looks back on bars of another timeframe")
    return _by_bar(run, period, lengths, sources, found)


def _by_bar(
    run: Callable[[list[Floats], int, int], list[Floats]],
    period: int,
    lengths: Lengths,
    sources: list[Floats],
    found: list[Floats],
) -> list[Floats]:
    """Values of an indicator that looks back: from the last that each bar comes to, but the newest."""
    bars = int(lengths[-1])
    last = np.searchsorted(lengths, np.arange(1, bars + 1), side="right") - 1
    finals = [source[last] for source in sources]
    for values, result in zip(found, run(finals, period - 1, bars), strict=True):
        values[lengths > 0] = result[lengths[lengths > 0] - 1]
    repeats = np.flatnonzero((np.diff(lengths) == 0) & (lengths[:-1] >= period)).tolist()
    if len(repeats) > MOST_REPEATS:
        raise Refused("computes its values again and again")
    for step in repeats:
        bar = int(lengths[step])
        then = [
            np.append(final[: bar - 1], source[step]) for final, source in zip(finals, sources, strict=True)
        ]
        for values, result in zip(found, run(then, period - 1, bar), strict=True):
            values[step] = result[-1]
    return found
