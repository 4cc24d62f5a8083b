"""From a strategy made with traced parameters to its program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer

from engine.compiled.formulas import Expression, traceable
from engine.compiled.program import UNSET, Node, Program
from engine.compiled.traced import Trace, Traced, expression, trace_parameters, tracing
from engine.primitive import Primitive
from engine.primitives import primitive_of
from engine.refusal import Refused
from engine.setup import Setup, prepare

if TYPE_CHECKING:
    import pandas as pd


def build(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Any = None,
    cheat_on_open: bool = False,
    traced: Iterable[str] | None = None,
) -> Program:
    """The program of a strategy at these parameters and wherever its trace holds.

    traced: names of the parameters to trace (those that can be, when None); what cannot be traced together with the
    strategy's own code (it hands a number to code that takes nothing but true ones) is taken as it is. Raises Refused
    for an indicator without a kernel, and what `engine.setup.prepare` raises.
    """
    if resample:
        raise Refused("has bars resampled in the run")
    names = [name for name in (params if traced is None else traced) if traceable(params.get(name))]
    for attempt in (names, *([other for other in names if other != name] for name in names), []):
        trace, numbers = trace_parameters(params, attempt)
        try:
            with tracing():
                setup = prepare(
                    cls, numbers, frames, broker, sizer=sizer, cheat_on_open=cheat_on_open, recorder=False
                )
        except Exception:
            if not attempt:
                raise
            continue
        return _Reader(setup, trace).program()
    raise AssertionError("the last attempt traces nothing")


class _Reader:
    """Follows stock's `_once` through a strategy, noting what each object would write instead of writing it."""

    def __init__(self, setup: Setup, trace: Trace) -> None:
        self._setup, self._trace = setup, trace
        self._nodes: list[Node] = []
        self._parameters: list[frozenset[str]] = []
        self._now: dict[int, int] = {}  # id of a line buffer: number of what it holds now
        self._data: dict[int, int] = {}  # id of a line buffer: the data whose length it has
        self._ready: set[int] = set()  # ids of the lines that stock would have made room in
        self._done: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._keep: list[Any] = []

    def program(self) -> Program:
        setup = self._setup
        inputs = {}
        for number, data in enumerate(setup.datas):
            for line in data.lines:
                inputs[len(self._parameters)] = np.array(line.array, dtype=np.float64)
                self._register(line, number, self._line(frozenset()))
            self._data[id(data)] = number
        for indicator in _indicators(setup.strategy):
            self._once(indicator)
        lengths = tuple(len(data.lines[0].array) for data in setup.datas)
        return Program(
            setup,
            self._trace,
            self._nodes,
            inputs,
            lengths,
            self._parameters,
            dict(self._now),
            {},
            self._keep,
        )

    def _line(self, parameters: frozenset[str]) -> int:
        self._parameters.append(parameters)
        return len(self._parameters) - 1

    def _register(self, line: LineBuffer, data: int, number: int) -> None:
        self._keep.append(line)  # an id is good for as long as the object lives
        self._now[id(line)], self._data[id(line)] = number, data
        self._ready.add(id(line))

    def _once(self, item: Any) -> None:
        data = self._clock(item)
        if not isinstance(item, LineActions):
            for line in item.lines:
                self._keep.append(line)
                self._ready.add(id(line))
                self._data[id(line)] = data
            for indicator in _indicators(item):
                self._once(indicator)
        else:
            self._ready.add(id(item))
            self._data[id(item)] = data
        self._call(item, data)
        for line in [item] if isinstance(item, LineActions) else item.lines:
            self._bind(line)

    def _bind(self, line: LineBuffer) -> None:
        for target in line.bindings:
            if id(target) not in self._ready or self._data[id(target)] != self._data[id(line)]:
                raise Refused("binds a line to one of another length")
            if id(line) in self._now:
                self._now[id(target)] = self._now[id(line)]
            self._keep.append(target)

    def _clock(self, item: Any) -> int:
        """Number of the data whose length the lines of an indicator get."""
        clock = item._clock
        seen = 0
        while id(clock) not in self._data:
            following = clock.lines[0] if isinstance(clock, bt.LineSeries) else getattr(clock, "_clock", None)
            following = self._setup.datas[0] if clock is self._setup.strategy else following
            seen += 1
            if following is None or following is clock or seen > 100:
                raise Refused(f"{type(item).__name__} has a clock that is not one of the datas")
            clock = following
        return self._data[id(clock)]

    def _call(self, item: Any, data: int) -> None:
        """Note the kernel call of an object, unless its lines are only bound to others."""
        primitive = _primitive(item)
        if primitive is None:
            if only_binds(type(item)):
                return
            raise Refused(f"the indicator {type(item).__name__} has no kernel")
        sources = tuple(self._source(buffer, item) for buffer in primitive.sources(item))
        scalars = tuple(_scalar(value, item) for value in primitive.scalars(item))
        start = expression(item._minperiod - 1)
        buffers = tuple(primitive.outputs(item))
        before = tuple(self._now.get(id(buffer), UNSET) for buffer in buffers)
        key = (primitive.kernel, sources, scalars, start, before, data)
        outputs = self._done.get(key)
        if outputs is None:
            depends = frozenset().union(
                *(self._parameters[line] for line in (*sources, *before) if line != UNSET),
                *(each.parameters() for each in (start, *scalars) if isinstance(each, Expression)),
            )
            outputs = tuple(self._line(depends) for _ in buffers)
            self._done[key] = outputs
            self._nodes.append(
                Node(
                    type(item).__name__,
                    primitive.kernel,
                    sources,
                    outputs,
                    before,
                    primitive.reach,
                    scalars,
                    start,
                    data,
                    depends,
                )
            )
        for buffer, output in zip(buffers, outputs, strict=True):
            self._register(buffer, data, output)

    def _source(self, buffer: LineBuffer, item: Any) -> int:
        number = self._now.get(id(buffer))
        if number is None:
            raise Refused(f"the indicator {type(item).__name__} reads a line that is computed after it")
        return number


def _indicators(item: Any) -> list[Any]:
    return list(item._lineiterators[bt.LineIterator.IndType])


def _primitive(item: Any) -> Primitive | None:
    """Its primitive, found with the numbers of this trace in place: what fits depends on their kinds alone."""
    traced = [
        (names, name, value)
        for names in (vars(item), vars(item.p))
        for name, value in list(names.items())
        if type(value) is Traced
    ]
    for names, name, value in traced:
        names[name] = value.value
    try:
        return primitive_of(item)
    finally:
        for names, name, value in traced:
            names[name] = value


def _scalar(value: Any, item: Any) -> Any:
    if type(value) is Traced:
        return value.expression
    if isinstance(value, (bool, int, float, str)) or (
        isinstance(value, tuple) and all(type(each) in (int, float) for each in value)
    ):
        return value
    raise Refused(f"the indicator {type(item).__name__} has a parameter that is no plain number")


def only_binds(kind: type) -> bool:
    """Whether objects of this class compute nothing themselves: their lines are made of others'."""
    plain_class = bt.Indicator
    return issubclass(kind, plain_class) and all(
        getattr(kind, name) is getattr(plain_class, name)
        for name in ("next", "once", "prenext", "nextstart", "preonce", "oncestart", "_once")
    )
