"""Stock Backtrader's indicator graph, evaluated by kernels: the same line arrays, bit for bit.

`evaluate` stands in for `Strategy._once`. It walks the live objects in stock's order and moves the same
pointers; a node that `engine.primitives` knows is computed by its kernel, every other node by its own `once`.
A kernel that meets values on which stock raises leaves the node to stock, which raises the same exception.
"""

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator
from backtrader.lineseries import LineSeries

from engine.primitives import PRIMITIVES, Primitive, primitive_of

__all__ = ["PRIMITIVES", "OnceReport", "Primitive", "evaluate", "primitive_of"]

_EXACT_INTEGER = 2**53
_PLAIN = (float, bool, str, tuple)


@dataclass(frozen=True, slots=True)
class OnceReport:
    """Class names of the nodes a kernel computed and of those stock's own `once` computed, in order."""

    fast: list[str] = field(default_factory=list)
    stock: list[str] = field(default_factory=list)


def evaluate(strategy: Any) -> OnceReport:
    """Fill every line of the strategy's indicators as `strategy._once()` would.

    strategy: a started `bt.Strategy` whose datas are loaded, before its first bar. Raises what stock raises.
    """
    report = OnceReport()
    if type(strategy)._once is not LineIterator._once:
        strategy._once()
        report.stock.append(type(strategy).__name__)
        return report
    _iterator(strategy, _Nans(), report)
    return report


class _Nans:
    """Blocks of NaN to lengthen line arrays with, one for each length."""

    def __init__(self) -> None:
        self._blocks: dict[int, array[float]] = {}

    def __call__(self, size: int) -> "array[float]":
        block = self._blocks.get(size)
        if block is None:
            block = self._blocks[size] = array("d", [float("nan")]) * size
        return block


def _lengthen(line: Any, size: int, nans: _Nans) -> None:
    """`LineBuffer.forward(size=size)`."""
    if line.mode != LineBuffer.UnBounded or type(line).forward is not LineBuffer.forward:
        line.forward(size=size)
        return
    line._idx += size
    line.lencount += size
    line.array.extend(nans(size))


def _lengthen_all(o: Any, size: int, nans: _Nans) -> None:
    """`LineSeries.forward(size=size)`."""
    if type(o).forward is not LineSeries.forward:
        o.forward(size=size)
        return
    for line in o.lines.lines:
        _lengthen(line, size, nans)


def _home(o: Any) -> None:
    """`LineSeries.home()` or `LineBuffer.home()`."""
    if type(o).home is LineSeries.home:
        for line in o.lines.lines:
            line._idx = -1
            line.lencount = 0
    else:
        o.home()


def _iterator(o: Any, nans: _Nans, report: OnceReport) -> None:
    """`LineIterator._once()`."""
    _lengthen_all(o, o._clock.buflen(), nans)
    children = o._lineiterators[LineIterator.IndType]
    observers = o._lineiterators[LineIterator.ObsType]
    for child in children:
        _node(child, nans, report)
    for observer in observers:
        _lengthen_all(observer, o.buflen(), nans)
    for data in o.datas:
        _home(data)
    for child in children:
        _home(child)
    for observer in observers:
        _home(observer)
    _home(o)
    _compute(o, report)
    for line in o.lines.lines:
        if line.bindings:
            line.oncebinding()


def _action(o: Any, nans: _Nans, report: OnceReport) -> None:
    """`LineActions._once()`."""
    _lengthen(o, o._clock.buflen(), nans)
    o.home()
    _compute(o, report)
    if o.bindings:
        o.oncebinding()


def _node(o: Any, nans: _Nans, report: OnceReport) -> None:
    once = type(o)._once
    if once is LineIterator._once:
        _iterator(o, nans, report)
    elif once is LineActions._once:
        _action(o, nans, report)
    else:
        o._once()
        report.stock.append(type(o).__name__)


def _idle(o: Any) -> bool:
    """Whether the node computes nothing itself: a composition, whose lines others fill."""
    cls = type(o)
    return (
        cls.once is LineIterator.once
        and cls.oncestart is LineIterator.oncestart
        and cls.preonce is LineIterator.preonce
        and "once" not in o.__dict__
    )


def _compute(o: Any, report: OnceReport) -> None:
    if isinstance(o, LineIterator) and _idle(o):
        return
    primitive = primitive_of(o)
    if primitive is not None and _run(primitive, o):
        report.fast.append(type(o).__name__)
        return
    report.stock.append(type(o).__name__)
    period = o._minperiod
    o.preonce(0, period - 1)
    o.oncestart(period - 1, period)
    o.once(period, o.buflen())


def _plain(value: Any) -> bool:
    """Whether arithmetic of floats with `value` is float arithmetic: numpy's and other numbers have rules of their own."""
    kind = type(value)
    return kind in _PLAIN or (kind is int and -_EXACT_INTEGER <= value <= _EXACT_INTEGER)


def _run(primitive: Primitive, o: Any) -> bool:
    """Run the kernel over [minimum period - 1, end); False leaves the node as stock finds it."""
    scalars = primitive.scalars(o)
    if not all(map(_plain, scalars)):
        return False
    start, end = o._minperiod - 1, o.buflen()
    if not 0 <= primitive.reach(*scalars) <= start or end <= start:
        return False
    outputs = [line.array for line in primitive.outputs(o)]
    arrays = outputs + [line.array for line in primitive.sources(o)]
    if any(type(values) is not array or len(values) < end for values in arrays):
        return False
    if primitive.kernel(*map(np.frombuffer, arrays), start, end, *scalars) != 0:
        return False
    if primitive.advances:
        _advance(o, end)
    return True


def _advance(o: Any, bars: int) -> None:
    """Leave the pointers where `Indicator.once_via_next` leaves them after `bars` bars."""
    for part in (*o.datas, *o._lineiterators[LineIterator.IndType], o):
        part.advance(size=bars)
