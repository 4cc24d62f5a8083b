"""The indicators of a strategy as a program over its parameters, read off one instance made with traced numbers.

A program is a list of nodes, each a kernel that fills lines from other lines and numbers. For any combinations of
parameters that take the same way through `__init__` (`engine.compiled.traced`), `engine.compiled.planning` says which
lines there are to compute, each of them once: ten times twenty crossovers of two averages need thirty averages.

program = build(Momentum, {"fast": 10, "slow": 30}, {"GOOG": frame}, stock_broker(100_000, 0.001))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from backtrader.linebuffer import LineBuffer
from numpy.typing import NDArray

from engine.compiled.evaluation import Evaluation, holds
from engine.compiled.formulas import Column, Expression, Flags
from engine.compiled.traced import Trace, expression
from engine.refusal import Refused
from engine.setup import Setup

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

UNSET = -1
"""The line of a node's output before it runs: not a number throughout."""


@dataclass(frozen=True, slots=True)
class Node:
    """One kernel call: `kernel(*outputs, *sources, start, end, *scalars)`.

    sources, outputs: numbers of lines. before: for each output the line it is a copy of before, or `UNSET`.
    start, scalars: expressions over parameters; a scalar may be another constant, such as a tuple of weights. reach:
    bars before `start` that the kernel reads, given the scalars. data: the data whose length is `end`. parameters: all that its
    outputs depend on.
    """

    name: str
    kernel: Callable[..., Any]
    sources: tuple[int, ...]
    outputs: tuple[int, ...]
    before: tuple[int, ...]
    reach: Callable[..., int]
    scalars: tuple[Any, ...]
    start: Expression
    data: int
    parameters: frozenset[str]


@dataclass(slots=True)
class Program:
    """The nodes of a strategy in order, for every combination of parameters that its trace holds for.

    setup: the traced strategy and its datas; its numbers may be `Traced`. inputs: the columns of the datas, by number
    of line. lengths: bars of each data. parameters: of every line those it depends on. kept: what a sweep wants to find
    again the next time.
    """

    setup: Setup
    trace: Trace
    nodes: list[Node]
    inputs: dict[int, Floats]
    lengths: tuple[int, ...]
    parameters: list[frozenset[str]]
    lines: dict[int, int] = field(repr=False)
    kept: dict[Any, Any] = field(repr=False, default_factory=dict)
    _keep: list[Any] = field(repr=False, default_factory=list)

    @property
    def minimum_periods(self) -> tuple[Expression, ...]:
        """Of each data, the bars before `next` is called."""
        return tuple(expression(period) for period in self.setup.strategy._minperiods)

    def line(self, buffer: Any) -> int:
        """The number of one of the strategy's lines; Refused when it is not computed by this program."""
        if not isinstance(buffer, LineBuffer):
            buffer = buffer.lines[0]
        number = self.lines.get(id(buffer))
        if number is None:
            raise Refused("reads a line that is not computed before the run")
        return number

    def holds(self, evaluation: Evaluation) -> Flags:
        """The combinations for which it holds, (rows,)."""
        return holds(self.trace, evaluation)

    def needed(self, lines: Iterable[int]) -> list[Node]:
        """The nodes that these lines come from, in order."""
        wanted, found = set(lines), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                wanted.update(node.sources, (line for line in node.before if line != UNSET))
                found.append(node)
        return found[::-1]


def values_of(values: Sequence[Any], evaluation: Evaluation, dtype: type) -> tuple[NDArray[Any], Flags]:
    """Numbers of a traced strategy for all combinations, (combinations, numbers), and where all are known."""
    table: NDArray[Any] = np.empty((evaluation.rows, len(values)), dtype)
    known: Flags = np.ones(evaluation.rows, np.bool_)
    for column, value in enumerate(values):
        made = value if isinstance(value, Expression) else expression(value)
        table[:, column], sure = evaluation.values(made)
        known &= sure
    return table, known


def columns_of(combinations: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Column]:
    """The parameters as columns; all values of a name must be of one kind."""
    return {name: np.array([each[name] for each in combinations]) for name in names}


__all__ = ["Node", "Program", "columns_of", "values_of"]
