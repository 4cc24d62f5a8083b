"""Resampled bars: delivered as stock would before the kernel runs, indicators evaluated over them at once.

Backtrader builds the bars of a higher timeframe, and moves indicators, while the run goes on. Which bars come when
follows from the frames alone, so stock's own resamplers deliver all of them first; the kernel then keeps a bar for
each data. Bar by bar an indicator computes its newest value again on every step, also on those that bring its data
nothing new: `check_indicators` lets only those pass that come to what computing all at once comes to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer, _LineForward

from engine.compiled.program_reader import only_binds
from engine.lean_delivery import deliver_as_stock, deliver_periods, follows, plain_times
from engine.primitive import Primitive
from engine.primitives import PRIMITIVES, primitive_of
from engine.refusal import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.setup import Setup

_TALIB = getattr(bt.talib, "_TALibIndicator", None)  # absent where TA-Lib is not installed
_REPEATABLE = frozenset(
    kernel.kernel
    for kind, kernel in PRIMITIVES.items()
    if not kernel.advances and kind not in (_LineForward, _TALIB)
)


def repeatable(item: Any, primitive: Primitive) -> bool:
    """Whether an item gives the same values bar by bar as at once, however often a bar is computed."""
    # CmpEx chooses among three lines at once, and says -1, 0 or 1 bar by bar.
    return primitive.kernel in _REPEATABLE and not isinstance(item, bt.functions.CmpEx)


def deliver(setup: Setup) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Let every bar come: the current bar of every data at every step (steps, datas), and the day number of each step.

    The datas then hold all their bars and stand at home.
    """
    datas = sorted(setup.datas, key=lambda data: (data._timeframe, data._compression))
    base, *others = datas
    if all(follows(base, other) for other in others) and plain_times(base):
        steps = deliver_periods(base, others)
    else:
        steps = deliver_as_stock(setup.cerebro, datas)
    index = np.array([[data.lines[0]._idx for data in setup.datas] for _ in steps], dtype=np.int64)
    index = index.reshape(-1, len(setup.datas))
    for number, data in enumerate(setup.datas):
        if len(data.lines[0].array) != (index[-1, number] + 1 if len(index) else 0):
            raise Refused(f"{data._name} holds bars that were never delivered")
        data.home()
    return index, _times_of(setup, index)


def _times_of(setup: Setup, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """The strategy's own times: the latest of the bars its datas are at."""
    found = np.full(len(index), -np.inf)
    for number, data in enumerate(setup.datas):
        begun = index[:, number] >= 0
        times = np.frombuffer(data.lines.datetime.array, dtype=np.float64)
        found[begun] = np.maximum(found[begun], times[index[begun, number]])
    return found


def is_resampled(data: Any) -> bool:
    """Whether a data is made of the bars of another while the run goes on."""
    return bool(getattr(data, "resampling", 0) or getattr(data, "replaying", 0))


def check_indicators(setup: Setup) -> None:
    """Refuse indicators whose values bar by bar may differ from those computed at once."""
    if not any(map(is_resampled, setup.datas)):
        raise Refused("has an indicator that Backtrader computes bar by bar alone")
    clocks = {id(line): data for data in setup.datas for line in data.lines}
    filled = set(clocks)
    clocks |= {id(data): data for data in setup.datas}
    for indicator in setup.strategy._lineiterators[bt.LineIterator.IndType]:
        _check(indicator, clocks, filled)


def _check(item: Any, clocks: dict[int, Any], filled: set[int]) -> None:
    """One indicator and all it is made of; enters its lines with the data they move with, and those that have values."""
    name = type(item).__name__
    data = clocks.get(id(item._clock))
    if data is None and isinstance(item._clock, bt.LineSeries):
        data = clocks.get(id(item._clock.lines[0]))
    if data is None:
        raise Refused(f"the indicator {name} moves with no single data")
    lines = [item] if isinstance(item, LineActions) else list(item.lines)
    clocks.update((id(line), data) for line in (item, *lines))
    if not isinstance(item, LineActions):
        for child in item._lineiterators[bt.LineIterator.IndType]:
            _check(child, clocks, filled)
    primitive = primitive_of(item)
    if primitive is None:
        if not only_binds(type(item)):
            raise Refused(f"the indicator {name} is computed bar by bar")
    else:
        _check_sources(item, primitive, data, clocks, filled)
        filled.update(map(id, lines))
    if any(clocks.get(id(target), data) is not data for line in lines for target in line.bindings):
        raise Refused(f"the indicator {name} binds lines of two timeframes")
    filled.update(id(target) for line in lines for target in line.bindings)


def _check_sources(
    item: Any, primitive: Primitive, data: Any, clocks: dict[int, Any], filled: set[int]
) -> None:
    name = type(item).__name__
    if not repeatable(item, primitive):
        raise Refused(f"the indicator {name} may come to other values bar by bar")
    for source in primitive.sources(item):
        if not isinstance(source, LineBuffer) or clocks.get(id(source)) is not data:
            raise Refused(f"the indicator {name} mixes bars of two datas")
        if id(source) not in filled:
            raise Refused(f"the indicator {name} reads a line that has no values yet")
