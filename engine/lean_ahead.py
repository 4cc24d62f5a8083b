"""Indicators computed before a run in which Backtrader would compute them bar by bar.

Bar by bar an indicator computes its newest value again on every step, also on those that bring its data nothing new.
Those whose values do not depend on how often they are computed are computed here: over one data at once, with all the
bars that will come, over several datas for every step. The rest is left to the run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator

from engine.compiled.delivery import repeatable
from engine.compiled.program_reader import only_binds
from engine.lean_lines import shared_class
from engine.lean_mixed import couple, is_coupler, values_by_step
from engine.once import evaluate_by_kernels
from engine.primitive import Primitive
from engine.primitives import primitive_of
from engine.refusal import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

OF_INSTANCES = frozenset(
    ("_next", "next", "nextstart", "prenext", "once", "oncestart", "preonce", "_clk_update")
)
"""Methods that decide what an indicator comes to; one that has any of its own, and not of its class, is left out."""
METHODS, LINE_METHODS = ("_next", "_clk_update", "_notify", "forward"), ("_next",)
"""Methods by which an indicator grows, and one that is a line."""
STRATEGY = -1
"""The number of what moves with the strategy, among the numbers of datas."""


@dataclass(slots=True)
class Ahead:
    """An indicator whose values are known.

    lines: those of the indicators it is made of included, by the number of the data they move with. terms: the numbers
    that each of these is computed with. steps: by id, the newest value of each line at every step, of an indicator
    that mixes datas; else the lines hold a value a bar.
    """

    lines: dict[int, list[LineBuffer]] = field(default_factory=dict)
    terms: list[tuple[Any, Primitive, tuple[Any, ...]]] = field(default_factory=list)
    steps: dict[int, NDArray[np.float64]] | None = None

    def all_lines(self) -> list[LineBuffer]:
        """Its lines, whatever they move with."""
        return [line for lines in self.lines.values() for line in lines]

    def unchanged(self) -> bool:
        """Whether the numbers it was computed with are still those it has."""
        return all(primitive.scalars(item) == before for item, primitive, before in self.terms)


def compute_ahead(
    strategy: bt.Strategy, datas: Mapping[int, Any], lengths: Mapping[int, NDArray[np.int64]]
) -> dict[int, Ahead]:
    """By id, the strategy's indicators that could be computed; others have no values then.

    datas: by number, those to compute indicators over, with all their bars. lengths: how many bars these have, and
    the strategy, at every step.
    """
    lines = Lines(strategy, datas, lengths)
    found: dict[int, Ahead] = {}
    for indicator in strategy.getindicators():
        for enter in (Lines.enter, Lines.enter_mixed):
            trial = lines.copy()
            with suppress(Refused):
                found[id(indicator)] = enter(trial, indicator)
                lines = trial
                break
    return found


class Lines:
    """Lines and what has lines, by id: the number of the data each moves with; and which of them have values.

    steps: the newest value at every step, of lines that do not hold one value a bar of their data.
    """

    def __init__(
        self, strategy: bt.Strategy, datas: Mapping[int, Any], lengths: Mapping[int, NDArray[np.int64]]
    ):
        self.lengths = lengths
        self.moving: dict[int, int] = {id(strategy): STRATEGY}
        self.filled: set[int] = set()
        self.steps: dict[int, NDArray[np.float64]] = {}
        for number, data in datas.items():
            self.moving.update((id(each), number) for each in (data, *data.lines.lines))
            self.filled.update(map(id, data.lines.lines))

    def copy(self) -> Lines:
        """One that can be entered into without effect on this one."""
        made = copy.copy(self)
        made.moving, made.filled, made.steps = dict(self.moving), set(self.filled), dict(self.steps)
        return made

    def enter(self, indicator: Any) -> Ahead:
        """Compute an indicator over one data at once.

        Raises Refused for one that may come to other values bar by bar.
        """
        ahead = Ahead()
        self._enter(indicator, ahead, self._at_once)
        try:
            if len(ahead.lines) > 1 or STRATEGY in ahead.lines:
                raise Refused("mixes the bars of several datas")
            evaluate_by_kernels(indicator)
        except Refused:
            for line in ahead.all_lines():
                line.reset()
            raise
        return ahead

    def enter_mixed(self, indicator: Any) -> Ahead:
        """Compute an indicator over several datas, for every step. Raises Refused where that cannot be done exactly."""
        ahead = Ahead(steps={})
        self._enter(indicator, ahead, self._by_step)
        nothing = np.full(len(self.lengths[STRATEGY]), np.nan)
        ahead.steps = {id(line): self.steps.get(id(line), nothing) for line in ahead.all_lines()}
        self.steps.update(ahead.steps)
        return ahead

    def _enter(self, item: Any, ahead: Ahead, compute: Callable[[Any, int, Ahead], None]) -> None:
        number = self._data_of(item._clock)
        if not moves_plainly(item):
            raise Refused("moves in its own way")
        lines = lines_of(item)
        ahead.lines.setdefault(number, []).extend(lines)
        self.moving.update((id(each), number) for each in (item, *lines))
        for child in item.getindicators():
            self._enter(child, ahead, compute)
        compute(item, number, ahead)
        for line in lines:
            for target in line.bindings:
                if self.moving.get(id(target)) != number:
                    raise Refused("gives its values to what moves in another way")
                self._fill([target])
                if id(line) in self.steps:
                    self.steps[id(target)] = self.steps[id(line)]

    def _at_once(self, item: Any, number: int, ahead: Ahead) -> None:
        primitive = self._primitive_of(item, ahead)
        for source in primitive.sources(item) if primitive is not None else ():
            if self._source(source) != number or id(source) in self.steps:
                raise Refused("reads what has other bars")
        if primitive is not None:
            self._fill(lines_of(item))

    def _by_step(self, item: Any, number: int, ahead: Ahead) -> None:
        if is_coupler(item):
            sources = [item.cdata] if isinstance(item, LineBuffer) else item.data.lines.lines
            lengths = [self.lengths[self._source(source)] for source in sources]
            newest = [self._newest(source) for source in sources]
            found = couple(item._minperiod, self.lengths[number], lengths[0], newest)
        else:
            primitive = self._primitive_of(item, ahead)
            if primitive is None:
                return
            sources = primitive.sources(item)
            lengths = [self.lengths[self._source(source)] for source in sources]
            newest = [self._newest(source) for source in sources]
            found = values_by_step(item, primitive, self.lengths[number], lengths, newest)
        lines = lines_of(item)
        self._fill(lines)
        self.steps.update((id(line), values) for line, values in zip(lines, found, strict=True))

    def _primitive_of(self, item: Any, ahead: Ahead) -> Primitive | None:
        """What computes an indicator, None for one that is only made of others."""
        primitive = primitive_of(item)
        if primitive is None:
            if not only_binds(type(item)):
                raise Refused("is computed by a method of its own")
            return None
        if not repeatable(item, primitive):
            raise Refused("may come to other values bar by bar")
        ahead.terms.append((item, primitive, primitive.scalars(item)))
        return primitive

    def _source(self, line: Any) -> int:
        """The number of the data that a line with values moves with."""
        if id(line) not in self.filled:
            raise Refused("reads what has no values yet")
        return self.moving[id(line)]

    def _newest(self, line: LineBuffer) -> NDArray[np.float64]:
        if id(line) in self.steps:
            return self.steps[id(line)]
        at = self.lengths[self.moving[id(line)]] - 1
        return np.where(at >= 0, np.array(line.array)[at], np.nan)

    def _fill(self, lines: list[LineBuffer]) -> None:
        if any(id(line) in self.filled for line in lines):
            raise Refused("has its values from two indicators")
        self.filled.update(map(id, lines))

    def _data_of(self, clock: Any) -> int:
        number = self.moving.get(id(clock))
        if number is None and isinstance(clock, bt.LineSeries):
            number = self.moving.get(id(clock.lines[0]))
        if number is None:
            raise Refused("moves with no single data")
        return number


def lines_of(item: Any) -> list[LineBuffer]:
    """The lines that move with an indicator."""
    return [item] if isinstance(item, LineActions) else item.lines.lines


def moves_plainly(item: Any) -> bool:
    """Whether an indicator grows by a bar whenever its clock does, by Backtrader's own methods."""
    kind = type(item)
    if not OF_INSTANCES.isdisjoint(vars(item)):
        return False
    stock, own = (LineActions, LINE_METHODS) if isinstance(item, LineActions) else (LineIterator, METHODS)
    return all(getattr(kind, name) is getattr(stock, name) for name in own) and all(
        line.mode == LineBuffer.UnBounded and shared_class(type(line)) is not None for line in lines_of(item)
    )
