"""Round trips of a compiled run: from the execution that opens one until the strategy is told that it ended.

The rules are those of `engine.recording.RoundTrip` and `TradeBook`; tests compare the recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RoundTrips(NamedTuple):
    """By data, the round trip that runs; by number, those that ended, in a list by data until they are told of."""

    size: NDArray[np.float64]
    top: NDArray[np.float64]
    entry_size: NDArray[np.float64]
    entry_value: NDArray[np.float64]
    exit_size: NDArray[np.float64]
    exit_value: NDArray[np.float64]
    exit_reason: NDArray[np.int64]
    running: NDArray[np.bool_]
    first: NDArray[np.int64]  # by data: the first of the list, -1 where there is none
    last: NDArray[np.int64]
    peak: NDArray[np.float64]
    entry: NDArray[np.float64]
    leave: NDArray[np.float64]
    reason: NDArray[np.int64]
    after: NDArray[np.int64]  # the next of the same list
    ended: NDArray[np.int64]  # one element: how many there are


@njit(cache=True, nogil=True)
def no_round_trips(datas: int, executions: int) -> RoundTrips:
    """Room for as many as that many executions can end: two each."""
    most = 2 * executions
    return RoundTrips(
        np.zeros(datas),
        np.zeros(datas),
        np.zeros(datas),
        np.zeros(datas),
        np.zeros(datas),
        np.zeros(datas),
        np.zeros(datas, np.int64),
        np.zeros(datas, np.bool_),
        np.full(datas, -1, np.int64),
        np.full(datas, -1, np.int64),
        np.empty(most),
        np.empty(most),
        np.empty(most),
        np.empty(most, np.int64),
        np.full(most, -1, np.int64),
        np.zeros(1, np.int64),
    )


@njit(cache=True, nogil=True)
def add_part(trips: RoundTrips, data: int, traded: float, price: float, why: int) -> bool:
    """Add one signed part of an execution; whether it ended a round trip. why: the reason, if it is an exit."""
    if traded == 0:
        return False
    if not trips.running[data]:
        trips.running[data] = True
        trips.size[data] = trips.top[data] = 0.0
        trips.entry_size[data] = trips.entry_value[data] = 0.0
        trips.exit_size[data] = trips.exit_value[data] = 0.0
        trips.exit_reason[data] = 0
    before = trips.size[data]
    after = before + traded
    trips.size[data] = after
    worth = abs(traded) * price
    if abs(after) > abs(before):
        trips.entry_size[data] += abs(traded)
        trips.entry_value[data] += worth
        trips.top[data] = after
    else:
        trips.exit_size[data] += abs(traded)
        trips.exit_value[data] += worth
        trips.exit_reason[data] = why
    if before == 0 or after != 0:
        return False
    _end(trips, data)
    return True


@njit(cache=True, nogil=True)
def _end(trips: RoundTrips, data: int) -> None:
    """Put the one that runs at the end of its data's list."""
    number = trips.ended[0]
    trips.peak[number] = trips.top[data]
    trips.entry[number] = trips.entry_value[data] / trips.entry_size[data]
    trips.leave[number] = trips.exit_value[data] / trips.exit_size[data]
    trips.reason[number] = trips.exit_reason[data]
    if trips.first[data] < 0:
        trips.first[data] = number
    else:
        trips.after[trips.last[data]] = number
    trips.last[data] = number
    trips.ended[0] = number + 1
    trips.running[data] = False


@njit(cache=True, nogil=True)
def take(trips: RoundTrips, data: int) -> int:
    """The number of the first in a data's list, which leaves it."""
    number: int = trips.first[data]
    trips.first[data] = trips.after[number]
    return number
