"""What kernels read of the broker's queues."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

Records = Any  # an array of `records.Book`


@nb.njit(cache=True, nogil=True, error_model="numpy")
def open_orders(queues: Records, desk: Records) -> Any:
    """`broker.get_orders_open()`: handles of the orders that are accepted and wait, oldest first."""
    first, last = desk[0].pending_from, desk[0].pending_to
    found = np.empty(last - first, np.int64)
    for place in range(first, last):
        found[place - first] = queues[place].pending
    return found


__all__ = ["open_orders"]
