"""Which lines the combinations of a sweep share and which each has for itself: all that does not depend on the bars.

The same combinations over other bars, as many of them, have the same layout: windows, shuffled markets, a search again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled.evaluation import Evaluation
from engine.compiled.planning import Plan
from engine.compiled.program import Node, Program, values_of
from engine.refusal import Refused
from engine.sweep_bench import bench_of
from engine.sweep_nodes import Chain, chain_of, split
from engine.sweep_rows import Shared, shared_of

if TYPE_CHECKING:
    from engine.compiled.assembly import Translated

TABLE_BYTES = 256 * 2**20
"""Memory for shared lines at one time; more combinations are run in blocks."""
MOST = 4096
"""Combinations of the largest block."""
MOST_KEPT = 4
"""Layouts that a program keeps, each of one block."""


class Reading(NamedTuple):
    """What a kernel reads. lines: the program's, None for the strategy's clock."""

    translated: Translated
    lines: tuple[int | None, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The program's lines among them."""
        return tuple(line for line in self.lines if line is not None)

    @property
    def as_moments(self) -> tuple[int, ...]:
        """Those that are read as dates."""
        pairs = zip(self.translated.lines, self.lines, strict=True)
        return tuple(line for made, line in pairs if made.time and line is not None)


def reading_of(program: Program, translated: Translated) -> Reading:
    """Raises Refused where the kernel reads what the program does not compute, or further back than there are bars."""
    bench = bench_of(program)
    for line in translated.lines:
        length = len(bench.times) if line.data is None else program.lengths[line.data]
        late = line.data is not None and bench.index[0, line.data] < 0
        if length < translated.deepest + (2 if late else 1):
            raise Refused("looks back further than there are bars")
    lines = (None if line.data is None else program.line(line.buffer) for line in translated.lines)
    return Reading(translated, tuple(lines))


class Block(NamedTuple):
    """Some combinations, their numbers evaluated, and the nodes they share or have for themselves."""

    places: slice
    evaluation: Evaluation
    shared: list[Node]
    own: list[Node]


def blocks_of(program: Program, reading: Reading, columns: Mapping[str, Any], rows: int) -> Iterator[Block]:
    """All combinations, in blocks whose shared lines fit into memory. columns: parameters by name, (rows,)."""
    nodes = program.needed(reading.numbers)
    most = TABLE_BYTES // (8 * max(program.lengths))
    first = 0
    while first < rows:
        size = min(MOST, rows - first)
        while True:
            places = slice(first, first + size)
            evaluation = Evaluation({name: column[places] for name, column in columns.items()}, size)
            shared, own = split(nodes, evaluation, reading.as_moments)
            if size == 1 or lines_in(shared, evaluation) <= most:
                break
            size = (size + 1) // 2
        yield Block(places, evaluation, shared, own)
        first += size


def lines_in(nodes: Sequence[Node], evaluation: Evaluation) -> int:
    """How many distinct lines these nodes make."""
    return sum(len(node.outputs) * len(evaluation.distinct(node.parameters)[0]) for node in nodes)


class Layout(NamedTuple):
    """A block, planned.

    places: its combinations. shared: fills the first `filled` rows; `extra` rows follow, one for each of these lines of
    the kernel, then the slots of `chain`. rows: (combinations, lines) of the kernel, below 0 for slots.
    floats, ints: its F and I. alone: combinations that cannot be run together with others. asked, computed: lines.
    """

    places: slice
    shared: Shared
    filled: int
    extra: Sequence[int]
    chain: Chain
    rows: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    alone: NDArray[np.bool_]
    asked: int
    computed: int


def layouts_of(program: Program, reading: Reading, columns: Mapping[str, Any], rows: int) -> Iterable[Layout]:
    """All combinations, block after block; what is one block is kept. columns: parameters by name, (rows,)."""
    blocks = blocks_of(program, reading, columns, rows)
    if rows > MOST:
        return (_laid_out(program, reading, block) for block in blocks)
    kept: OrderedDict[Any, list[Layout]] = program.kept.setdefault("layouts", OrderedDict())
    key = program.lengths, tuple((name, each.dtype.char, each.tobytes()) for name, each in columns.items())
    found = kept.get(key)
    if found is None:
        found = kept[key] = [_laid_out(program, reading, block) for block in blocks]
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    return found


def _laid_out(program: Program, reading: Reading, block: Block) -> Layout:
    """Raises Refused where an indicator that follows from parameters is read as a date."""
    evaluation, lines = block.evaluation, reading.translated.lines
    plan = Plan(program, evaluation)
    plan.add(block.shared)
    chain = chain_of(program, block.own, evaluation, plan.rows, reading.numbers)
    extra = [k for k, line in enumerate(lines) if line.data is None or line.time]
    rows = np.zeros((evaluation.rows, max(1, len(lines))), np.int64)
    for k, number in enumerate(reading.lines):
        if number is not None:
            place = chain.places.get(number)
            rows[:, k] = plan.rows[number] if place is None else -1 - place
            if k in extra and (rows[:, k] != rows[0, k]).any():
                raise Refused("reads an indicator as a date")
    floats, known = values_of(reading.translated.floats, evaluation, float)
    ints, also = values_of(reading.translated.ints, evaluation, int)
    warm_up, sure = values_of(program.minimum_periods, evaluation, int)
    # Too few bars: on its own, such a combination says so.
    alone = ~(known & also & sure & plan.known & chain.known)
    alone |= (warm_up >= np.array(program.lengths)).any(axis=1)
    return Layout(
        block.places,
        shared_of(plan.batches, program.lengths),
        plan.count,
        extra,
        chain,
        rows,
        floats,
        ints,
        alone,
        plan.asked + len(block.own) * evaluation.rows,
        plan.count - len(program.inputs) + chain.lines,
    )
