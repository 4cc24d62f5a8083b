"""The last bars in memory that never grows: rows appended in constant time, read as one contiguous view.

ring = RingBuffer(500, ("open", "high", "low", "close", "volume"))
ring.append((1.0, 2.0, 0.5, 1.5, 100.0))
ring.last(20)["close"]     # up to 20 values, oldest first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError


class RingBuffer:
    """The last `capacity` rows of float64 columns, allocated once.

    Every row is written twice, `capacity` rows apart, so that the last n rows lie side by side wherever the ring has
    wrapped: reading copies nothing. Not for several writing threads.
    """

    def __init__(self, capacity: int, columns: Sequence[str]) -> None:
        if capacity < 1 or not columns or len(set(columns)) != len(columns):
            raise ConfigError(
                f"a ring of {capacity} rows and columns {', '.join(columns) or 'none'} cannot be made",
                hint="give at least one row, and columns of different names",
            )
        self.capacity = capacity
        self.columns = tuple(columns)
        self._rows = np.full((len(self.columns), 2 * capacity), np.nan)
        self._appended = 0

    def __len__(self) -> int:
        return min(self._appended, self.capacity)

    @property
    def appended(self) -> int:
        """How many rows there have ever been."""
        return self._appended

    def append(self, row: Sequence[float]) -> None:
        """Add a row, one value a column; the oldest goes when the ring is full."""
        place = self._appended % self.capacity
        self._rows[:, place] = self._rows[:, place + self.capacity] = row
        self._appended += 1

    def last(self, count: int | None = None) -> Mapping[str, NDArray[np.float64]]:
        """The last `count` rows (all by default, fewer when there are fewer) by column, oldest first.

        The arrays are read-only views, valid until the next append.
        """
        count = len(self) if count is None else min(max(count, 0), len(self))
        end = (self._appended - 1) % self.capacity + 1 + self.capacity
        view = self._rows[:, end - count : end]
        view.flags.writeable = False
        return dict(zip(self.columns, view, strict=True))
