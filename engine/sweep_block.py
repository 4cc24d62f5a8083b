"""Combinations that are run together: the lines they share as rows of one table, all others as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled.broker import grown
from engine.compiled.evaluation import Evaluation
from engine.compiled.planning import Plan
from engine.compiled.program import Node, Program, values_of
from engine.compiled.running import book_of, moments_of, steps_of
from engine.refusal import Refused
from engine.sweep_nodes import Chain, chain_of, split

if TYPE_CHECKING:
    from engine.compiled.assembly import Translated
    from engine.compiled.records import Book

TABLE_BYTES = 256 * 2**20
"""Memory for shared lines at one time; more combinations are run in blocks."""
MOST = 4096
"""Combinations of the largest block."""
MOST_ORDERS = 4096
"""Orders of the largest books that are kept."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all combinations run over: `index` and `times` of `running.steps_of`, and empty books; spare: used ones."""

    index: NDArray[np.int64]
    times: NDArray[np.float64]
    book: Book
    spare: list[Book] = field(default_factory=list)

    def books(self, count: int, cash: float) -> list[Book]:
        """Books to run on, which have to be reset; taken out, as another thread may sweep, too."""
        found: list[Book] = []
        while len(found) < count:
            try:
                found.append(self.spare.pop())
            except IndexError:
                found.append(grown(self.book, cash))
        return found

    def keep(self, books: Sequence[Book]) -> None:
        """Take books back for the next sweep, unless they are large."""
        if len(self.spare) < len(books) and max(len(book.orders) for book in books) <= MOST_ORDERS:
            self.spare.extend(books)


def bench_of(program: Program) -> Bench:
    """Made once for a program."""
    found: Bench | None = program.kept.get("bench")
    if found is None:
        found = program.kept["bench"] = Bench(*steps_of(program.setup), book_of(program.setup))
    return found


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


class Work(NamedTuple):
    """A block, ready for the driver; the first arrays are the kernel's arguments L, rows, F and I.

    rows: (combinations, lines), below 0 for slots of `chain`, which start at row `base`. failed: (base,) rows that
    stock could not have computed. bad: combinations that cannot be run together with others. asked, computed: lines.
    """

    table: NDArray[np.float64]
    rows: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    chain: Chain
    base: int
    failed: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    asked: int
    computed: int


def work_of(program: Program, reading: Reading, block: Block, jobs: int) -> Work:
    """Plan a block and compute what its combinations share. jobs: threads."""
    bench, evaluation, lines = bench_of(program), block.evaluation, reading.translated.lines
    plan = Plan(program, evaluation)
    plan.add(block.shared)
    chain = chain_of(program, block.own, evaluation, plan.rows, reading.numbers)
    extra = [k for k, line in enumerate(lines) if line.data is None or line.time]
    base = plan.count + len(extra)
    table = _table(program, (base + jobs * chain.slots, max(*program.lengths, len(bench.times))))
    failed = np.zeros(base, np.bool_)
    failed[: plan.count] = plan.compute(table, jobs)[1]
    rows = np.zeros((evaluation.rows, max(1, len(lines))), np.int64)
    for k, number in enumerate(reading.lines):
        if number is not None:
            place = chain.places.get(number)
            rows[:, k] = plan.rows[number] if place is None else -1 - place
    for at, k in enumerate(extra, plan.count):
        values = bench.times
        if reading.lines[k] is not None:
            if (rows[:, k] != rows[0, k]).any():
                raise Refused("reads an indicator as a date")
            values = table[int(rows[0, k]), : program.lengths[lines[k].data or 0]]
            failed[at] = failed[rows[0, k]]
        table[at, : len(values)] = moments_of(values) if lines[k].time else values
        rows[:, k] = at
    floats, known = values_of(reading.translated.floats, evaluation, float)
    ints, also = values_of(reading.translated.ints, evaluation, int)
    warm_up, sure = values_of(program.minimum_periods, evaluation, int)
    # Too few bars: on its own, such a combination says so.
    bad = ~(known & also & sure & plan.known & chain.known)
    bad |= (warm_up >= np.array(program.lengths)).any(axis=1)
    bad |= (failed[np.maximum(rows, 0)] & (rows >= 0)).any(axis=1)
    return Work(
        table,
        rows,
        floats,
        ints,
        chain,
        base,
        failed,
        bad,
        plan.asked + len(block.own) * evaluation.rows,
        plan.count - len(program.inputs) + chain.lines,
    )


def _table(program: Program, shape: tuple[int, int]) -> NDArray[np.float64]:
    """That of the sweep before, if it is of this shape; taken out, as another thread may sweep, too."""
    table: NDArray[np.float64] | None = program.kept.pop("table", None)
    return np.empty(shape) if table is None or table.shape != shape else table


def give_back(program: Program, table: NDArray[np.float64]) -> None:
    """Keep a table for the next sweep, unless it is large."""
    if table.nbytes <= TABLE_BYTES // 4:
        program.kept["table"] = table
