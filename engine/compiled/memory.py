"""The heap of a kernel: objects the run makes, as words of one array.

An object is its shape's number and two words a field; a list is its shape's number, its count, its room and the place
of its elements. Place 0 is an object of nothing but zeros, which stands in wherever Python would have raised or the heap
is full: then `error[0]` is set, and whatever is done with it until the bar ends does no harm. Nothing is ever written
there; `SCRATCH` is where such writes go. `memory` holds the next free place and the end of what may be used.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

Words = Any  # an int64 array
NEXT, LIMIT = 0, 1
FULL = 2
"""What `error[0]` is set to when the heap is full: the run is repeated with a larger one."""
SCRATCH = 4096
START = 2 * SCRATCH
"""Objects begin here."""

compiled = nb.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def new_heap(memory: Words, words: int) -> Words:
    """An empty heap with room for so many words."""
    heap = np.zeros(START + words, np.int64)
    memory[NEXT] = START
    memory[LIMIT] = START + words
    return heap


@compiled
def new_object(heap: Words, memory: Words, shape: int, fields: int, error: Words) -> int:
    """Room for an object; 0 when the heap is full."""
    at = memory[NEXT]
    size = 1 + 2 * fields
    if at + size > memory[LIMIT]:
        error[0] = FULL
        return 0
    memory[NEXT] = at + size
    heap[at] = shape
    return at  # type: ignore[no-any-return]


@compiled
def new_list(heap: Words, memory: Words, shape: int, room_for: int, error: Words) -> int:
    """An empty list; 0 when the heap is full."""
    at = memory[NEXT]
    if at + 4 + room_for > memory[LIMIT]:
        error[0] = FULL
        return 0
    memory[NEXT] = at + 4 + room_for
    heap[at] = shape
    heap[at + 1] = 0
    heap[at + 2] = room_for
    heap[at + 3] = at + 4
    return at  # type: ignore[no-any-return]


@compiled
def some(handle: int, error: Words) -> int:
    """The handle of an object to read; None is an exception in Python."""
    if handle <= 0:
        if error[0] == 0:
            error[0] = 1
        return 0
    return handle


@compiled
def target(handle: int, error: Words) -> int:
    """The handle of an object to write to."""
    if handle <= 0:
        if error[0] == 0:
            error[0] = 1
        return SCRATCH
    return handle


@compiled
def room(heap: Words, memory: Words, handle: int, error: Words) -> int:
    """Lengthen a list by one; the place of the new element."""
    if handle <= 0:
        if error[0] == 0:
            error[0] = 1
        return SCRATCH
    count = heap[handle + 1]
    if count == heap[handle + 2]:
        at = memory[NEXT]
        if at + 2 * count + 4 > memory[LIMIT]:
            error[0] = FULL
            return SCRATCH
        memory[NEXT] = at + 2 * count + 4
        first = heap[handle + 3]
        for k in range(count):
            heap[at + k] = heap[first + k]
        heap[handle + 2] = 2 * count + 4
        heap[handle + 3] = at
    heap[handle + 1] = count + 1
    return heap[handle + 3] + count  # type: ignore[no-any-return]


@compiled
def place(heap: Words, handle: int, index: int, error: Words) -> int:
    """Where an element of a list is; 0 when there is none."""
    count = heap[handle + 1]
    if index < 0:
        index += count
    if index < 0 or index >= count:
        if error[0] == 0:
            error[0] = 1
        return 0
    return heap[handle + 3] + index  # type: ignore[no-any-return]


@compiled
def slot_of(heap: Words, handle: int, index: int, error: Words) -> int:
    """`place` to write to."""
    found = place(heap, handle, index, error)
    return found if found > 0 else SCRATCH


@compiled
def gap(heap: Words, memory: Words, handle: int, index: int, error: Words) -> int:
    """Make room before an element, as `list.insert`; where the new one goes."""
    last = room(heap, memory, handle, error)
    if last == SCRATCH:
        return last
    count = heap[handle + 1] - 1
    if index < 0:
        index = max(0, index + count)
    index = min(index, count)
    first = heap[handle + 3]
    for k in range(count, index, -1):
        heap[first + k] = heap[first + k - 1]
    return first + index  # type: ignore[no-any-return]


@compiled
def removed(heap: Words, handle: int, index: int, error: Words) -> None:
    """Take an element out of a list."""
    at = place(heap, handle, index, error)
    if at > 0:
        last = heap[handle + 3] + heap[handle + 1] - 1
        for k in range(at, last):
            heap[k] = heap[k + 1]
        heap[handle + 1] -= 1


@compiled
def cleared(heap: Words, handle: int) -> None:
    """`list.clear()`."""
    if handle > 0:
        heap[handle + 1] = 0


@compiled
def part_of(heap: Words, memory: Words, shape: int, handle: int, start: int, stop: int, error: Words) -> int:
    """A new list of some elements of another; bounds as in a slice."""
    count = heap[handle + 1]
    start = max(0, start + count if start < 0 else min(start, count))
    stop = max(start, stop + count if stop < 0 else min(stop, count))
    at = new_list(heap, memory, shape, stop - start + 4, error)
    if at > 0:
        for k in range(start, stop):
            heap[at + 4 + k - start] = heap[heap[handle + 3] + k]
        heap[at + 1] = stop - start
    return at


@compiled
def _moved(heap: Words, new: Words, memory: Words, layout: Words, handle: int) -> int:
    """The handle of an object in the new heap; copies it at its first call."""
    if handle <= 0:
        return handle
    if heap[handle] < 0:
        return -heap[handle]  # type: ignore[no-any-return]
    entry = layout[heap[handle]]
    at = memory[NEXT]
    if layout[entry] == 1:
        count = heap[handle + 1]
        new[at] = heap[handle]
        new[at + 1] = count
        new[at + 2] = count
        new[at + 3] = at + 4
        first = heap[handle + 3]
        for k in range(count):
            new[at + 4 + k] = heap[first + k]
        memory[NEXT] = at + 4 + count
    else:
        size = 1 + 2 * layout[entry + 1]
        for k in range(size):
            new[at + k] = heap[handle + k]
        memory[NEXT] = at + size
    heap[handle] = -at
    return at  # type: ignore[no-any-return]


@compiled
def collected(heap: Words, memory: Words, roots: Words, layout: Words) -> Words:
    """A heap with only what `roots` reach, which become handles into it; most of it is free (Cheney 1970).

    layout: entry of each shape, where there are its kind (1: list), its fields, and 1 for each that holds handles.
    """
    new = np.empty(2 * len(heap), np.int64)
    new[:START] = 0
    memory[NEXT] = START
    for k in range(len(roots)):
        roots[k] = _moved(heap, new, memory, layout, roots[k])
    at = START
    while at < memory[NEXT]:
        entry = layout[new[at]]
        if layout[entry] == 1:
            if layout[entry + 2] == 1:
                for k in range(at + 4, at + 4 + new[at + 1]):
                    new[k] = _moved(heap, new, memory, layout, new[k])
            at += 4 + new[at + 1]
        else:
            for k in range(layout[entry + 1]):
                if layout[entry + 2 + k] == 1:
                    new[at + 1 + 2 * k] = _moved(heap, new, memory, layout, new[at + 1 + 2 * k])
            at += 1 + 2 * layout[entry + 1]
    if 8 * memory[NEXT] < len(new):
        memory[LIMIT] = len(heap)
        return new[: len(heap)].copy()
    memory[LIMIT] = len(new)
    return new
