"""What becomes of orders besides being filled: notifications, pending queue, OCO groups, brackets, cancelling.

One for one `BackBroker.notify`, `cancel`, `_ococheck`, `_take_children`, `_bracketize` and `submit_accept`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.compiled.records import (
    ACCEPTED,
    BRACKET_LOST,
    CANCELED,
    COUNTS,
    FAMILY,
    FIRST,
    JOINED,
    LAST,
    MEMBERS,
    PENDING,
    PENDING_FROM,
    PENDING_TO,
    ROUND,
    SENT,
    SENT_TO,
    SIBLING,
    SUBMITTED,
    TIME,
    TOUCHED,
    WAITING,
    WAITING_TO,
    Book,
)

END = -1
"""In the pending queue: where the pass under way ends."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def bar_of(book: Book, data: int) -> int:
    """Index of the data's current bar; before its first bar Backtrader reads its last one."""
    index = book.at[data]
    if index < 0:
        index += book.lengths[data]
    return index


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def touch(book: Book, data: int) -> None:
    """Keep a position for this data from now on, as `broker.positions[data]` does; their order decides sums."""
    position = book.positions[data]
    if position.touched == 0:
        position.touched = 1
        account = book.account[0]
        book.queues[TOUCHED, account.touched] = data
        account.touched += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def note(
    account: NDArray[np.void], orders: NDArray[np.void], notes: NDArray[np.void], handle: int, fills: int
) -> None:
    """A notification of the order as it is; `fills` of its executions, the newest ones, are news."""
    count = account[0].notes
    if count >= len(notes):
        account[0].overflow = 1
        return
    account[0].notes = count + 1
    order = orders[handle]
    entry = notes[count]
    entry.order = handle
    entry.status = order.status
    entry.fill_to = account[0].fills
    entry.fill_from = account[0].fills - fills
    entry.remaining = order.remaining
    entry.filled = order.filled
    entry.average = order.average
    entry.value = order.value
    entry.commission = order.commission
    entry.pnl = order.pnl
    entry.executed = order.executed


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def end(book: Book, handle: int, status: int) -> None:
    """The order ends unfilled: cancelled, expired, out of margin or rejected."""
    order = book.orders[handle]
    order.status = status
    order.executed = book.bars[order.data, TIME, bar_of(book, order.data)]
    note(book.account, book.orders, book.notes, handle, 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def push(account: NDArray[np.void], queues: NDArray[np.int64], row: int, counter: int, handle: int) -> None:
    """Append to a queue."""
    to = queues[COUNTS, counter]
    if to >= queues.shape[1]:
        account[0].overflow = 1
        return
    queues[row, to] = handle
    queues[COUNTS, counter] = to + 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def drop(queues: NDArray[np.int64], place: int) -> None:
    """Take one entry out of the pending queue."""
    last = queues[COUNTS, PENDING_TO] - 1
    for k in range(place, last):
        queues[PENDING, k] = queues[PENDING, k + 1]
    queues[COUNTS, PENDING_TO] = last


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def count_pending(book: Book) -> None:
    """Bring `account.pending` up to date."""
    counts = book.queues[COUNTS]
    book.account[0].pending = counts[PENDING_TO] - counts[PENDING_FROM] + counts[SENT_TO] + counts[WAITING_TO]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def accept(book: Book, handle: int) -> None:
    """The order is in the market."""
    order = book.orders[handle]
    order.noted = 0
    order.status = ACCEPTED
    push(book.account, book.queues, PENDING, PENDING_TO, handle)
    note(book.account, book.orders, book.notes, handle, 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def join(book: Book, handle: int, oco: int) -> None:
    """Enter the OCO group of another order, or lead an own one (`oco` < 0)."""
    queues = book.queues
    if oco < 0:
        leader = handle
        queues[ROUND, leader] = 0
        queues[MEMBERS, leader] = 0
    else:
        leader = book.orders[oco].oco
    book.orders[handle].oco = leader
    queues[JOINED, handle] = queues[ROUND, leader]
    queues[MEMBERS, leader] += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def cancel_others(book: Book, handle: int) -> None:
    """One order of an OCO group is done: dissolve the group, cancel those of it that are pending, newest first.

    Orders that name a member later begin a new round: only they are cancelled the next time.
    """
    queues = book.queues
    leader = book.orders[handle].oco
    if queues[MEMBERS, leader] == 0:
        return
    queues[MEMBERS, leader] = 0
    ended = queues[ROUND, leader]
    queues[ROUND, leader] = ended + 1
    place = queues[COUNTS, PENDING_TO] - 1
    while place >= queues[COUNTS, PENDING_FROM]:
        other = queues[PENDING, place]
        if other != END and book.orders[other].oco == leader and queues[JOINED, other] == ended:
            drop(queues, place)
            end(book, other, CANCELED)
        place -= 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def cancel_pending(book: Book, handle: int) -> bool:
    """Cancel the order if it is pending, and with it its OCO group."""
    queues = book.queues
    for place in range(queues[COUNTS, PENDING_FROM], queues[COUNTS, PENDING_TO]):
        if queues[PENDING, place] == handle:
            drop(queues, place)
            end(book, handle, CANCELED)
            cancel_others(book, handle)
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def head_of(book: Book, handle: int) -> int:
    """The parent of a bracket, which leads it; a single order leads itself."""
    parent = book.orders[handle].parent
    return handle if parent < 0 else parent


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def dissolve(book: Book, handle: int) -> None:
    """The bracket is over: cancel what is left of it."""
    queues = book.queues
    head = head_of(book, handle)
    if queues[FAMILY, head] != 0:
        queues[FAMILY, head] = 0
        member = queues[FIRST, head]
        while member >= 0:
            queues[FIRST, head] = queues[SIBLING, member]
            cancel_pending(book, member)
            member = queues[FIRST, head]
    queues[FIRST, head] = -1
    queues[LAST, head] = -1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def release(book: Book, handle: int) -> None:
    """An order is filled: a parent sets its children free from the next step on, a child ends the bracket."""
    queues = book.queues
    if book.orders[handle].parent >= 0:
        dissolve(book, handle)
        return
    child = queues[FIRST, handle] if queues[FAMILY, handle] != 0 else -1
    if child < 0:
        book.account[0].error = BRACKET_LOST
        return
    child = queues[SIBLING, child]
    queues[FIRST, handle] = child
    if child < 0:
        queues[LAST, handle] = -1
    while child >= 0:
        push(book.account, queues, WAITING, WAITING_TO, child)
        child = queues[SIBLING, child]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def enlist(book: Book, handle: int) -> int:
    """Enter the bracket: its head. -1: the parent is gone."""
    queues = book.queues
    queues[SIBLING, handle] = -1
    queues[FAMILY, handle] = 0
    queues[FIRST, handle] = -1
    queues[LAST, handle] = -1
    head = head_of(book, handle)
    if head != handle and queues[FAMILY, head] == 0:
        return -1
    queues[FAMILY, head] = 1
    if queues[FIRST, head] < 0:
        queues[FIRST, head] = handle
    else:
        queues[SIBLING, queues[LAST, head]] = handle
    queues[LAST, head] = handle
    return head


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def send(book: Book, head: int) -> None:
    """Transmit every order of the bracket, those sent before once more."""
    queues = book.queues
    member = queues[FIRST, head]
    while member >= 0:
        if book.rules[0].checksubmit != 0:
            book.orders[member].status = SUBMITTED
            push(book.account, queues, SENT, SENT_TO, member)
            note(book.account, book.orders, book.notes, member, 0)
        else:
            accept(book, member)
        member = queues[SIBLING, member]
