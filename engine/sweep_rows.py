"""Rows of indicators that several combinations share, from a cache that all sweeps of the process share.

Ten strategies swept over one market compute an average of ten bars once. Rows are kept by the bars they come from,
byte for byte, so that one more bar, or another price, makes every row new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.compiled.program import UNSET
from engine.sweep_nodes import Part, part_of, run_part
from engine.sweep_threads import in_threads
from indicators.cache import SharedIndicatorCache, indicator_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.compiled.program import Task

CAPACITY = 64 * 2**20
"""Bytes of the rows kept; the least recently used are dropped."""
ROWS = SharedIndicatorCache(CAPACITY)
SMALL = 500_000
"""Values that are computed before another thread has started."""


def digest_of(columns: Mapping[int, NDArray[np.float64]]) -> bytes:
    """What stands for a market: a hash of all columns of its datas."""
    digest = hashlib.blake2b(digest_size=16)
    for number, values in sorted(columns.items()):
        digest.update(f"{number} {len(values)} ".encode())
        digest.update(values.tobytes())
    return digest.digest()


def fill_rows(
    tasks: Sequence[Task],
    market: bytes,
    inputs: int,
    table: NDArray[np.float64],
    lengths: Sequence[int],
    failed: NDArray[np.bool_],
    jobs: int,
) -> None:
    """`engine.compiled.program.run_task` for each, or its row from `ROWS`; what is new is kept there.

    inputs: rows that are columns of datas. jobs: threads.
    """
    keys: dict[int, Hashable] = {row: row for row in range(inputs)}
    for task in tasks:
        key = _key(task, market, lengths[task.node.data], keys)
        if key is not None:
            keys[task.outputs[0]] = key
    held = ROWS.find(key for row, key in keys.items() if row >= inputs)
    waiting = []
    for task in tasks:
        row = task.outputs[0]
        values = held.get(keys.get(row))
        if values is None:
            waiting.append(task)
        else:
            table[row, : len(values)] = values
    for level in _levels(waiting):
        wanted = min(jobs, len(level)) if len(level) * max(lengths) > SMALL else 1
        parts = [part_of(level[job::wanted], lengths) for job in range(wanted)]

        def work(job: int, parts: Sequence[Part] = parts) -> None:
            run_part(parts[job], table, lengths, failed)

        in_threads(len(parts), work)
    for task in waiting:
        row = task.outputs[0]
        if row in keys and not failed[row]:
            ROWS.keep(keys[row], table[row].copy())


def _levels(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks that need none of each other's rows, one list after the other."""
    of: dict[int, int] = {}
    levels: list[list[Task]] = []
    for task in tasks:
        level = max((of.get(row, -1) for row in (*task.sources, *task.before)), default=-1) + 1
        of.update(dict.fromkeys(task.outputs, level))
        if level == len(levels):
            levels.append([])
        levels[level].append(task)
    return levels


def _key(task: Task, market: bytes, length: int, keys: Mapping[int, Hashable]) -> Hashable | None:
    """None for what is not kept: several lines at once, lines written over others, what builds on such."""
    if task.before != (UNSET,) or any(row not in keys for row in task.sources):
        return None
    sources = tuple(keys[row] for row in task.sources)
    return indicator_key(market, length, task.node.kernel, sources, (task.start, *task.scalars))


__all__ = ["CAPACITY", "ROWS", "digest_of", "fill_rows"]
