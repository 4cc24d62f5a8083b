"""Rows of indicators that several combinations share, from a cache that all sweeps of the process share.

Ten strategies swept over one market compute an average of ten bars once. Rows are kept by the bars they come from,
byte for byte, so that one more bar, or another price, makes every row new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.compiled.program import UNSET, run_task
from indicators.cache import SharedIndicatorCache, indicator_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.compiled.program import Task

CAPACITY = 64 * 2**20
"""Bytes of the rows kept; the least recently used are dropped."""
ROWS = SharedIndicatorCache(CAPACITY)


def digest_of(columns: Mapping[int, NDArray[np.float64]]) -> bytes:
    """What stands for a market: a hash of all columns of its datas."""
    digest = hashlib.blake2b(digest_size=16)
    for number, values in sorted(columns.items()):
        digest.update(f"{number} {len(values)} ".encode())
        digest.update(values.tobytes())
    return digest.digest()


class _Failed(Exception):
    """The row could not have been computed by stock; that is never kept."""


def fill_shared(
    tasks: Sequence[Task],
    market: bytes,
    inputs: int,
    table: NDArray[np.float64],
    lengths: Sequence[int],
    failed: NDArray[np.bool_],
) -> None:
    """`engine.compiled.program.run_task` for each, or its row from `ROWS`. inputs: rows that are columns of datas."""
    keys: dict[int, Hashable] = {row: row for row in range(inputs)}
    for task in tasks:
        length = lengths[task.node.data]
        key = _key(task, market, length, keys)
        if key is None:
            run_task(task, table, length, failed)
            continue
        output = task.outputs[0]
        keys[output] = key

        def compute(task: Task = task, length: int = length, output: int = output) -> NDArray[np.float64]:
            run_task(task, table, length, failed)
            if failed[output]:
                raise _Failed
            values: NDArray[np.float64] = table[output].copy()
            return values

        try:
            table[output] = ROWS.get(key, compute)
        except _Failed:
            continue


def _key(task: Task, market: bytes, length: int, keys: Mapping[int, Hashable]) -> Hashable | None:
    """None for what is not kept: several lines at once, lines written over others, what builds on such."""
    if task.before != (UNSET,) or any(row not in keys for row in task.sources):
        return None
    sources = tuple(keys[row] for row in task.sources)
    return indicator_key(market, length, task.node.kernel, sources, (task.start, *task.scalars))


__all__ = ["CAPACITY", "ROWS", "digest_of", "fill_shared"]
