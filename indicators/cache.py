"""A shared cache of indicator arrays: several strategies over one market compute each indicator once.

A key names what was computed, never who asked: `indicator_key(market, bars, "atr", inputs, (14,))`. `market` is
the identity or hash of a data set, `bars` its length: one more bar makes every key new, and
`SharedIndicatorCache.appended` drops what the shorter market left behind.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CacheCounters", "IndicatorKey", "SharedIndicatorCache", "indicator_key"]

Values = NDArray[np.float64]


class IndicatorKey(NamedTuple):
    """One indicator's values: over which market and how many of its bars, by what, from what."""

    market: Hashable
    bars: int
    primitive: Hashable
    inputs: tuple[Hashable, ...]
    scalars: tuple[Hashable, ...]


def _typed(value: Any) -> Hashable:
    """A scalar that differs from an equal one of another type, and -0.0 from 0.0."""
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


def indicator_key(
    market: Hashable,
    bars: int,
    primitive: Hashable,
    inputs: tuple[Hashable, ...] = (),
    scalars: tuple[Any, ...] = (),
) -> IndicatorKey:
    """A key whose scalars count as equal only when a kernel would see the same bits.

    inputs: column names, or the keys of other indicators.
    """
    return IndicatorKey(market, bars, primitive, inputs, tuple(_typed(value) for value in scalars))


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """What a cache has done since it was made.

    hits: served from memory, those waited for included. misses: not there. computed: computations that ended
    well. evicted: dropped for want of room. invalidated: dropped because their market changed.
    """

    hits: int = 0
    misses: int = 0
    computed: int = 0
    evicted: int = 0
    invalidated: int = 0


class _Pending:
    """A computation under way, for other threads to wait on."""

    def __init__(self) -> None:
        self.done = threading.Event()


class SharedIndicatorCache:
    """Least recently used arrays up to `capacity` bytes; any thread may use it.

    Two threads that ask for one key at once compute it once: the second waits. Arrays come back read-only.
    """

    def __init__(self, capacity: int = 256 * 2**20) -> None:
        if capacity <= 0:
            raise ValueError(f"a cache needs room for at least one byte, not {capacity}")
        self.capacity = capacity
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Values] = OrderedDict()
        self._pending: dict[Hashable, _Pending] = {}
        self._bytes = 0
        self._counts = dict.fromkeys(("hits", "misses", "computed", "evicted", "invalidated"), 0)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def bytes(self) -> int:
        """Bytes of the arrays held."""
        return self._bytes

    @property
    def counters(self) -> CacheCounters:
        """A consistent reading of the counters."""
        with self._lock:
            return CacheCounters(**self._counts)

    def get(self, key: Hashable, compute: Callable[[], Values]) -> Values:
        """The array of `key`, from `compute()` when it is not held. What `compute` raises passes through.

        An array larger than the whole cache is returned and not kept.
        """
        while True:
            with self._lock:
                held = self._values.get(key)
                if held is not None:
                    self._values.move_to_end(key)
                    self._counts["hits"] += 1
                    return held
                pending = self._pending.get(key)
                if pending is None:
                    mine = self._pending[key] = _Pending()
                    self._counts["misses"] += 1
                    break
            pending.done.wait()
        try:
            return self._keep(key, compute(), mine)
        finally:
            with self._lock:
                if self._pending.get(key) is mine:
                    del self._pending[key]
            mine.done.set()

    def find(self, keys: Iterable[Hashable]) -> dict[Hashable, Values]:
        """The arrays held of these keys: all that `get` would not compute, looked up at once."""
        found: dict[Hashable, Values] = {}
        with self._lock:
            for key in keys:
                held = self._values.get(key)
                if held is None:
                    self._counts["misses"] += 1
                    continue
                self._values.move_to_end(key)
                self._counts["hits"] += 1
                found[key] = held
        return found

    def keep(self, key: Hashable, values: Values) -> None:
        """Hold what a caller computed after `find`; it must not write to `values` any more."""
        self.keep_all([(key, values)])

    def keep_all(self, found: Iterable[tuple[Hashable, Values]]) -> None:
        """`keep` for each."""
        with self._lock:
            for key, values in found:
                self._counts["computed"] += 1
                self._hold(key, values)

    def appended(self, market: Hashable, bars: int) -> int:
        """Tell that `market` now has `bars` bars; returns how many arrays of other lengths were dropped."""
        return self._drop(lambda key: key.market == market and key.bars != bars)

    def invalidate(self, market: Hashable) -> int:
        """Drop every array of `market`, whatever its length; returns how many."""
        return self._drop(lambda key: key.market == market)

    def clear(self) -> None:
        """Drop everything; the counters stay."""
        with self._lock:
            self._values.clear()
            self._pending.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, values: Values, mine: _Pending) -> Values:
        with self._lock:
            self._counts["computed"] += 1
            if self._pending.get(key) is mine:
                return self._hold(key, values)
        return _read_only(values)

    def _hold(self, key: Hashable, values: Values) -> Values:
        values = _read_only(values)
        if values.nbytes > self.capacity:
            return values
        before = self._values.pop(key, None)
        self._bytes += values.nbytes - (0 if before is None else before.nbytes)
        self._values[key] = values
        while self._bytes > self.capacity:
            _, oldest = self._values.popitem(last=False)
            self._bytes -= oldest.nbytes
            self._counts["evicted"] += 1
        return values

    def _drop(self, stale: Callable[[IndicatorKey], bool]) -> int:
        with self._lock:
            gone = [key for key in self._values if isinstance(key, IndicatorKey) and stale(key)]
            for key in gone:
                self._bytes -= self._values.pop(key).nbytes
            for key in [key for key in self._pending if isinstance(key, IndicatorKey) and stale(key)]:
                del self._pending[key]  # its thread gets its array, nobody after it
            self._counts["invalidated"] += len(gone)
            return len(gone)


def _read_only(values: Values) -> Values:
    values = values.view()
    values.flags.writeable = False
    return values
