"""Indicators computed before a run in which Backtrader would compute them bar by bar.

Bar by bar an indicator computes its newest value again on every step, also on those that bring its data nothing new.
Those over one data whose values do not depend on how often they are computed are evaluated at once here, over all the
bars that will come; the rest is left to the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineActions, LineBuffer

from engine.compiled.delivery import REPEATABLE
from engine.compiled.program_reader import only_binds
from engine.lean_lines import shared_class
from engine.once import evaluate_by_kernels
from engine.primitive import Primitive
from engine.primitives import primitive_of
from engine.refusal import Refused

OF_INSTANCES = frozenset(
    ("_next", "next", "nextstart", "prenext", "once", "oncestart", "preonce", "_clk_update")
)
"""Methods that decide what an indicator comes to; one that has any of its own, and not of its class, is left out."""


@dataclass(slots=True)
class Ahead:
    """An indicator whose values are known.

    data: the number of the data it moves with. lines: all that move with it, those of the indicators it is made of
    included. terms: the numbers that each of these is computed with.
    """

    data: int
    lines: list[LineBuffer] = field(default_factory=list)
    terms: list[tuple[Any, Primitive, tuple[Any, ...]]] = field(default_factory=list)

    def unchanged(self) -> bool:
        """Whether the numbers it was computed with are still those it has."""
        return all(primitive.scalars(item) == before for item, primitive, before in self.terms)


def compute_ahead(strategy: bt.Strategy, datas: Mapping[int, Any]) -> dict[int, Ahead]:
    """By id, the strategy's indicators that could be computed; their lines then hold all values, others none.

    datas: by number, those to compute indicators over, with all their bars.
    """
    lines = Lines(datas)
    found: dict[int, Ahead] = {}
    for indicator in strategy.getindicators():
        trial = lines.copy()
        try:
            ahead = trial.enter(indicator)
        except Refused:
            continue
        try:
            evaluate_by_kernels(indicator)
        except Refused:
            for line in ahead.lines:
                line.reset()
            continue
        lines, found[id(indicator)] = trial, ahead
    return found


class Lines:
    """Lines and what has lines, by id: the number of the data each moves with; and which of them have values."""

    def __init__(self, datas: Mapping[int, Any]):
        self.moving: dict[int, int] = {}
        self.filled: set[int] = set()
        for number, data in datas.items():
            self.moving.update((id(each), number) for each in (data, *data.lines.lines))
            self.filled.update(map(id, data.lines.lines))

    def copy(self) -> Lines:
        """One that can be entered into without effect on this one."""
        made = Lines({})
        made.moving, made.filled = dict(self.moving), set(self.filled)
        return made

    def enter(self, indicator: Any) -> Ahead:
        """Raises Refused for an indicator that may come to other values bar by bar."""
        data = self._data_of(indicator._clock)
        ahead = Ahead(data)
        self._enter(indicator, ahead)
        return ahead

    def _enter(self, item: Any, ahead: Ahead) -> None:
        if self._data_of(item._clock) != ahead.data or not moves_plainly(item):
            raise Refused("moves in its own way")
        lines = [item] if isinstance(item, LineActions) else item.lines.lines
        ahead.lines += lines
        self.moving.update((id(each), ahead.data) for each in (item, *lines))
        if not isinstance(item, LineActions):
            for child in item.getindicators():
                self._enter(child, ahead)
        primitive = primitive_of(item)
        if primitive is not None:
            self._check(item, primitive, ahead)
            self._fill(lines)
        elif not only_binds(type(item)):
            raise Refused("is computed by a method of its own")
        for line in lines:
            for target in line.bindings:
                if self.moving.get(id(target)) != ahead.data:
                    raise Refused("gives its values to what moves in another way")
                self._fill([target])

    def _check(self, item: Any, primitive: Primitive, ahead: Ahead) -> None:
        if primitive.kernel not in REPEATABLE:
            raise Refused("may come to other values bar by bar")
        for source in primitive.sources(item):
            if self.moving.get(id(source)) != ahead.data or id(source) not in self.filled:
                raise Refused("reads what has other bars, or no values yet")
        ahead.terms.append((item, primitive, primitive.scalars(item)))

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


def moves_plainly(item: Any) -> bool:
    """Whether an indicator grows by a bar whenever its clock does, by Backtrader's own methods."""
    kind = type(item)
    if not OF_INSTANCES.isdisjoint(vars(item)):
        return False
    if isinstance(item, LineActions):
        return kind._next is LineActions._next and _is_plain(item)
    own = ("_next", "_clk_update", "_notify", "forward", "advance")
    stock = bt.Indicator
    return all(getattr(kind, name) is getattr(stock, name) for name in own) and all(
        map(_is_plain, item.lines.lines)
    )


def _is_plain(line: LineBuffer) -> bool:
    return line.mode == LineBuffer.UnBounded and shared_class(type(line)) is not None
