"""Combinations that are run together: the lines they share as rows of one table, all others as numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled.planning import compute
from engine.compiled.program import Program
from engine.compiled.running import moments_of
from engine.sweep_bench import bench_of
from engine.sweep_layout import TABLE_BYTES, Layout, Reading
from engine.sweep_nodes import Chain


class Work(NamedTuple):
    """A block, ready for the driver; the first arrays are the kernel's arguments L, rows, F and I.

    rows: (combinations, lines), below 0 for slots of `chain`, which start at row `base`. failed: (base,) rows that
    stock could not have computed. bad: combinations that cannot be run together with others.
    """

    table: NDArray[np.float64]
    rows: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    chain: Chain
    base: int
    failed: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def work_of(program: Program, reading: Reading, layout: Layout, jobs: int) -> Work:
    """Compute what the combinations of a block share. jobs: threads."""
    bench, lines, chain = bench_of(program), reading.translated.lines, layout.chain
    base = layout.filled + len(layout.extra)
    shape = base + jobs * chain.slots, max(*program.lengths, len(bench.times))
    table: NDArray[np.float64] | None = program.kept.pop("table", None)  # another thread may sweep, too
    used = table is not None and table.shape == shape
    table = table if used and table is not None else np.empty(shape)
    failed = np.zeros(base, np.bool_)
    compute(program, layout.shared, table, failed, jobs, filled=used)
    rows = layout.rows.copy() if layout.extra else layout.rows
    for at, k in enumerate(layout.extra, layout.filled):
        values = bench.times
        if reading.lines[k] is not None:
            values = table[int(rows[0, k]), : program.lengths[lines[k].data or 0]]
            failed[at] = failed[rows[0, k]]
        table[at, : len(values)] = moments_of(values) if lines[k].time else values
        rows[:, k] = at
    bad = layout.alone
    if failed.any():
        bad = bad | (failed[np.maximum(rows, 0)] & (rows >= 0)).any(axis=1)
    return Work(table, rows, layout.floats, layout.ints, chain, base, failed, bad)


def give_back(program: Program, table: NDArray[np.float64]) -> None:
    """Keep a table for the next sweep, unless it is large."""
    if table.nbytes <= TABLE_BYTES // 4:
        program.kept["table"] = table
