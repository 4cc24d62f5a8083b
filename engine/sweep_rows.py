"""Rows of indicators that several combinations share, from a cache that all sweeps of the process share.

Ten strategies swept over one market compute an average of ten bars once. Rows are kept by the bars they come from,
byte for byte, so that one more bar, or another price, makes every row new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from core.threads import in_threads
from engine.compiled.program import UNSET
from engine.sweep_nodes import WINDOWS, Part, code_of, part_of, run_part
from indicators.cache import IndicatorKey, SharedIndicatorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.compiled.planning import Batch

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


class Shared(NamedTuple):
    """What fills the rows that combinations share.

    parts: its calls, one part after the other. keyed: batches that get keys. kept: rows that are looked up and kept.
    """

    batches: Sequence[Batch]
    parts: Sequence[Part]
    keyed: Sequence[Batch]
    kept: Sequence[int]


def shared_of(batches: Sequence[Batch], lengths: Sequence[int]) -> Shared:
    """lengths: bars of each data."""
    kept = [row for batch in batches if _is_kept(batch) for row in batch.outputs[:, 0].tolist()]
    return Shared(batches, _parts(batches, lengths), _worth_a_key(batches), kept)


def fill_rows(
    shared: Shared,
    market: bytes,
    inputs: int,
    table: NDArray[np.float64],
    lengths: Sequence[int],
    failed: NDArray[np.bool_],
    jobs: int,
) -> None:
    """`engine.compiled.planning.run_task` for each call, or its row from `ROWS`; what is new is kept there.

    inputs: rows that are columns of datas. jobs: threads.
    """
    keys: dict[int, Hashable] = {row: row for row in range(inputs)}
    for batch in shared.keyed:
        _add_keys(batch, market, lengths[batch.node.data], keys)
    kept = [row for row in shared.kept if row in keys]
    held = ROWS.find([keys[row] for row in kept])
    parts = shared.parts
    if held:
        parts = _parts([_missing(batch, keys, held, table) for batch in shared.batches], lengths)
    for part in parts:
        calls = len(part.calls) + len(part.alone)
        wanted = min(jobs, calls) if calls * max(lengths) > SMALL else 1

        def work(job: int, part: Part = part, wanted: int = wanted) -> None:
            run_part(part.cut(job, wanted) if wanted > 1 else part, table, lengths, failed)

        in_threads(wanted, work)
    new = [row for row in kept if keys[row] not in held and not failed[row]]
    ROWS.keep_all([(keys[row], table[row].copy()) for row in new])


def _parts(batches: Sequence[Batch], lengths: Sequence[int]) -> list[Part]:
    return [part_of(level, lengths) for level in _levels([batch for batch in batches if len(batch)])]


def _is_kept(batch: Batch) -> bool:
    """Whether its rows are worth looking up: what takes one step a bar is computed as fast as it is copied."""
    code = code_of(batch.node)
    return code is None or code.code in WINDOWS


def _worth_a_key(batches: Sequence[Batch]) -> list[Batch]:
    """Batches that are kept, and those they are computed from, in order."""
    found, lines = [], set[int]()
    for batch in reversed(batches):
        if _is_kept(batch) or not lines.isdisjoint(batch.node.outputs):
            found.append(batch)
            lines.update(batch.node.sources)
    return found[::-1]


def _add_keys(batch: Batch, market: bytes, length: int, keys: dict[int, Hashable]) -> None:
    """The key of each row that is kept: no several lines at once, none written over others, none built on such."""
    if batch.node.before != (UNSET,):
        return
    rows = zip(batch.outputs[:, 0].tolist(), batch.sources.tolist(), batch.numbers, strict=True)
    for row, sources, numbers in rows:
        inputs = tuple([keys.get(source) for source in sources])
        if None not in inputs:
            keys[row] = IndicatorKey(market, length, batch.kind, inputs, numbers)


def _missing(
    batch: Batch,
    keys: Mapping[int, Hashable],
    held: Mapping[Hashable, NDArray[np.float64]],
    table: NDArray[np.float64],
) -> Batch:
    """The calls whose rows are not held; the others' rows are filled."""
    missing = []
    for call, row in enumerate(batch.outputs[:, 0].tolist()):
        values = held.get(keys.get(row))
        if values is None:
            missing.append(call)
        else:
            table[row, : len(values)] = values
    return batch if len(missing) == len(batch) else batch.taken(missing)


def _levels(batches: Sequence[Batch]) -> list[list[Batch]]:
    """Batches that need none of each other's rows, one list after the other; rows are numbered as they are planned."""
    levels: list[list[Batch]] = []
    first = 0
    for batch in batches:
        newest = max(batch.sources.max(initial=UNSET), batch.before.max(initial=UNSET))
        if not levels or newest >= first:
            levels.append([])
            first = int(batch.outputs[0, 0])
        levels[-1].append(batch)
    return levels


__all__ = ["CAPACITY", "ROWS", "Shared", "digest_of", "fill_rows", "shared_of"]
