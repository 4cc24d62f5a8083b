"""Stock Backtrader's indicator graph, evaluated by kernels: the same line arrays, bit for bit.

`evaluate` stands in for `Strategy._once`. It walks the live objects in stock's order and moves the same
pointers; a node that `engine.primitives` knows is computed by its kernel, every other node by its own `once`.
A kernel that meets values on which stock raises leaves the node to stock, which raises the same exception.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator
from backtrader.lineseries import LineSeries

from engine.lean_steps import step_through
from engine.primitive import Primitive
from engine.primitives import PRIMITIVES, primitive_of
from engine.refusal import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PRIMITIVES",
    "OnceReport",
    "Primitive",
    "evaluate",
    "evaluate_by_kernels",
    "primitive_of",
    "run_kernel",
]

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
    _Walk(report).iterator(strategy)
    return report


def evaluate_by_kernels(indicator: Any) -> None:
    """Fill the lines of one indicator, and of those it is made of, as its `_once()` would, by kernels alone.

    What has fewer bars than it needs stays without values. Raises Refused for what stock would have to compute.
    """
    _KernelWalk(OnceReport())._node(indicator)


class _Walk:
    """One evaluation: the report, blocks of NaN to lengthen lines with, and which objects stand at home."""

    def __init__(self, report: OnceReport) -> None:
        self._report = report
        self._blocks: dict[int, array[float]] = {}
        self._at_home: set[int] = set()

    def iterator(self, o: Any) -> None:
        """`LineIterator._once()`."""
        self._lengthen_all(o, o._clock.buflen())
        iterators = o._lineiterators
        children = iterators[LineIterator.IndType]
        observers = iterators[LineIterator.ObsType]
        for child in children:
            self._node(child)
        for observer in observers:
            self._lengthen_all(observer, o.buflen())
        for part in (*o.datas, *children, *observers, o):
            self._home(part)
        if not _idle(o):
            self._compute(o)
        for line in o.lines.lines:
            if line.bindings:
                _bind(line)

    def _action(self, o: Any) -> None:
        """`LineActions._once()`."""
        self._lengthen(o, o._clock.buflen())
        o.home()
        self._compute(o)
        if o.bindings:
            _bind(o)

    def _node(self, o: Any) -> None:
        once = type(o)._once
        if once is LineActions._once:
            self._action(o)
        elif once is LineIterator._once:
            self.iterator(o)
        else:
            self._at_home.clear()
            o._once()
            self._report.stock.append(type(o).__name__)

    def _lengthen(self, line: Any, size: int) -> None:
        """`LineBuffer.forward(size=size)`."""
        if line.mode != LineBuffer.UnBounded or type(line).forward is not LineBuffer.forward:
            line.forward(size=size)
            return
        line._idx += size
        line.lencount += size
        block = self._blocks.get(size)
        if block is None:
            block = self._blocks[size] = array("d", [float("nan")]) * size
        line.array.extend(block)

    def _lengthen_all(self, o: Any, size: int) -> None:
        """`LineSeries.forward(size=size)`."""
        self._at_home.discard(id(o))
        if type(o).forward is not LineSeries.forward:
            o.forward(size=size)
            return
        for line in o.lines.lines:
            self._lengthen(line, size)

    def _home(self, o: Any) -> None:
        """`LineSeries.home()` or `LineBuffer.home()`, once until something moves."""
        if id(o) in self._at_home:
            return
        self._at_home.add(id(o))
        if type(o).home is LineSeries.home:
            for line in o.lines.lines:
                line._idx = -1
                line.lencount = 0
        else:
            o.home()

    def _compute(self, o: Any) -> None:
        primitive = primitive_of(o)
        if primitive is not None and _run(primitive, o):
            if primitive.advances:
                self._at_home.clear()
                _advance(o, o.buflen())
            self._report.fast.append(type(o).__name__)
            return
        self._at_home.clear()
        self._report.stock.append(type(o).__name__)
        if step_through(o):
            return
        period = o._minperiod
        o.preonce(0, period - 1)
        o.oncestart(period - 1, period)
        o.once(period, o.buflen())


class _KernelWalk(_Walk):
    def _compute(self, o: Any) -> None:
        primitive = primitive_of(o)
        if o.buflen() >= o._minperiod and (primitive is None or not _run(primitive, o)):
            raise Refused(f"the indicator {type(o).__name__} is not computed by a kernel")


def _idle(o: Any) -> bool:
    """Whether the node computes nothing itself: a composition, whose lines others fill."""
    cls = type(o)
    return (
        cls.once is LineIterator.once
        and cls.oncestart is LineIterator.oncestart
        and cls.preonce is LineIterator.preonce
        and "once" not in o.__dict__
    )


def _bind(line: Any) -> None:
    """`LineBuffer.oncebinding()`."""
    bars = line.buflen()
    for binding in line.bindings:
        values = binding.array
        if type(values) is array and len(values) == bars > 0:
            np.copyto(np.frombuffer(values), np.frombuffer(line.array, count=bars))
        else:
            values[0:bars] = line.array[0:bars]


def _plain(value: Any) -> bool:
    """Whether float arithmetic with `value` is arithmetic of floats; numpy's and other numbers have their own rules."""
    kind = type(value)
    return kind in _PLAIN or (kind is int and -_EXACT_INTEGER <= value <= _EXACT_INTEGER)


def _run(primitive: Primitive, o: Any) -> bool:
    """Run the kernel over [minimum period - 1, end); False leaves the node as stock finds it."""
    start, end = o._minperiod - 1, o.buflen()
    views = []
    for line in (*primitive.outputs(o), *primitive.sources(o)):
        values = line.array
        if type(values) is not array or len(values) < end:
            return False
        views.append(np.frombuffer(values))
    return run_kernel(primitive, primitive.scalars(o), views, start, end)


def run_kernel(
    primitive: Primitive, scalars: tuple[Any, ...], lines: list[NDArray[np.float64]], start: int, end: int
) -> bool:
    """Run a kernel over [start, end) of outputs and sources; False where its answer may not be stock's."""
    if end <= start or not 0 <= primitive.reach(*scalars) <= start:
        return False
    for value in scalars:
        if not _plain(value):
            return False
    return primitive.kernel(*lines, start, end, *scalars) == 0


def _advance(o: Any, bars: int) -> None:
    """Leave the pointers where `Indicator.once_via_next` leaves them after `bars` bars."""
    for part in (*o.datas, *o._lineiterators[LineIterator.IndType], o):
        part.advance(size=bars)
