"""The ring: what it holds after every wrap, and that nothing is allocated for it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from feeds.ring import RingBuffer

FINITE = st.floats(allow_nan=False, width=64)


@given(st.integers(1, 9), st.lists(st.tuples(FINITE, FINITE), max_size=40), st.integers(-2, 12))
def test_it_is_the_end_of_the_list(capacity: int, rows: list[tuple[float, float]], count: int) -> None:
    """D12"""
    ring = RingBuffer(capacity, ("close", "volume"))
    for number, row in enumerate(rows, start=1):
        ring.append(row)
        kept = rows[:number][-capacity:]
        view = ring.last(count)
        wanted = kept[len(kept) - min(max(count, 0), len(kept)) :]
        assert list(view["close"]) == [close for close, _ in wanted]
        assert list(view["volume"]) == [volume for _, volume in wanted]
        assert (len(ring), ring.appended) == (len(kept), number)
    assert len(ring.last()["close"]) == len(ring)


def test_a_view_is_contiguous_and_cannot_be_written() -> None:
    ring = RingBuffer(3, ("close",))
    for value in range(5):
        ring.append((value,))
    view = ring.last()["close"]
    assert view.flags.c_contiguous
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 7
    ring.append((5,))
    assert list(ring.last()["close"]) == [3, 4, 5]


@pytest.mark.parametrize("capacity", [1_000, 1_000_000])
def test_appending_allocates_nothing(capacity: int) -> None:
    """D12: no row is ever moved, whatever the capacity."""
    ring = RingBuffer(capacity, ("open", "close"))
    rows = ring._rows
    tracemalloc.start()
    try:
        ring.append((1.0, 2.0))
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3_000):
            ring.append((1.0, 2.0))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1_000
    assert ring._rows is rows
    assert np.isfinite(ring.last(500)["close"]).all()


class Counted(np.ndarray):
    """Counts the numbers written into it."""

    written = 0

    def __setitem__(self, key: object, value: object) -> None:
        self.written += np.asarray(self)[key].size  # type: ignore[index]
        super().__setitem__(key, value)  # type: ignore[call-overload]


@pytest.mark.parametrize("capacity", [1, 1_000, 1_000_000])
def test_appending_writes_the_row_twice_and_nothing_else(capacity: int) -> None:
    """D12: as many numbers for any capacity, also where it wraps."""
    ring = RingBuffer(capacity, ("open", "close"))
    ring._rows = counted = ring._rows.view(Counted)
    for number in range(1, 2_500):
        ring.append((1.0, 2.0))
        assert counted.written == 4 * number


@pytest.mark.parametrize(("capacity", "columns"), [(0, ("close",)), (3, ()), (3, ("close", "close"))])
def test_a_ring_without_sense_is_refused(capacity: int, columns: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        RingBuffer(capacity, columns)


def test_a_row_of_another_length_is_refused() -> None:
    ring = RingBuffer(3, ("open", "close"))
    with pytest.raises(ValueError, match="broadcast"):
        ring.append((1.0, 2.0, 3.0))
    assert len(ring) == 0
