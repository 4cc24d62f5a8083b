"""What becomes of orders besides being filled: notifications, pending queue, OCO groups, brackets, cancelling.

One for one `BackBroker.notify`, `cancel`, `_ococheck`, `_take_children`, `_bracketize` and `submit_accept`.
`address` is that of the book's desk throughout.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from engine.compiled.broker_memory import (
    account_at,
    desk_at,
    float_at,
    inner,
    int_at,
    note_at,
    order_at,
    position_at,
    queue_at,
    rules_at,
)
from engine.compiled.records import (
    ACCEPTED,
    BRACKET_LOST,
    CANCELED,
    SUBMITTED,
    TIME,
)

END = -1
"""In the pending queue: where the pass under way ends."""


@inner
def bars_of(address: int, data: int) -> int:
    """Address of the data's current open; before its first bar Backtrader reads its last one.

    Other rows of `bars` follow at multiples of `bars_room`.
    """
    desk = desk_at(address, 0)
    bar = int_at(desk.at, data)
    if bar < 0:
        bar += int_at(desk.lengths, data)
    return desk.bars + 8 * (data * 6 * desk.bars_room + bar)


@inner
def now_of(address: int, data: int) -> float:
    """Day number of the data's current bar."""
    return float_at(bars_of(address, data), TIME * desk_at(address, 0).bars_room)


@inner
def touch(address: int, data: int) -> None:
    """Keep a position for this data from now on, as `broker.positions[data]` does; their order decides sums."""
    desk = desk_at(address, 0)
    position = position_at(desk.positions, data)
    if position.touched == 0:
        position.touched = 1
        account = account_at(desk.account, 0)
        position_at(desk.positions, account.touched).nth = data
        account.touched += 1


@inner
def note(address: int, handle: int, fills: int) -> None:
    """A notification of the order as it is; `fills` of its executions, the newest ones, are news."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    if account.notes >= desk.notes_room:
        account.overflow = 1
        return
    order = order_at(desk.orders, handle)
    entry = note_at(desk.notes, account.notes)
    account.notes += 1
    entry.order = handle
    entry.status = order.status
    entry.fill_to = account.fills
    entry.fill_from = account.fills - fills
    entry.remaining = order.remaining
    entry.filled = order.filled
    entry.average = order.average
    entry.value = order.value
    entry.commission = order.commission
    entry.pnl = order.pnl
    entry.executed = order.executed


@inner
def end(address: int, handle: int, status: int) -> None:
    """The order ends unfilled: cancelled, expired, out of margin or rejected."""
    order = order_at(desk_at(address, 0).orders, handle)
    order.status = status
    order.executed = now_of(address, order.data)
    note(address, handle, 0)


@inner
def keep(address: int, handle: int) -> None:
    """Append to the pending queue."""
    desk = desk_at(address, 0)
    if desk.pending_to >= desk.queues_room:
        account_at(desk.account, 0).overflow = 1
        return
    queue_at(desk.queues, desk.pending_to).pending = handle
    desk.pending_to += 1


@inner
def drop(address: int, place: int) -> None:
    """Take one entry out of the pending queue."""
    desk = desk_at(address, 0)
    desk.pending_to -= 1
    for k in range(place, desk.pending_to):
        queue_at(desk.queues, k).pending = queue_at(desk.queues, k + 1).pending


@inner
def count_pending(address: int) -> None:
    """Bring `account.pending` up to date."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    account.pending = desk.pending_to - desk.pending_from + desk.sent_to + desk.waiting_to


@inner
def accept(address: int, handle: int) -> None:
    """The order is in the market."""
    order = order_at(desk_at(address, 0).orders, handle)
    order.noted = 0
    order.status = ACCEPTED
    keep(address, handle)
    note(address, handle, 0)


@inner
def cancel_others(address: int, handle: int) -> None:
    """One order of an OCO group is done: dissolve the group, cancel those of it that are pending, newest first.

    Orders that name a member later begin a new round: only they are cancelled the next time.
    """
    desk = desk_at(address, 0)
    group = order_at(desk.orders, handle).oco
    leader = order_at(desk.orders, group)
    if leader.members == 0:
        return
    leader.members = 0
    leader.round += 1
    place = desk.pending_to - 1
    while place >= desk.pending_from:
        other = queue_at(desk.queues, place).pending
        if other != END:
            order = order_at(desk.orders, other)
            if order.oco == group and order.joined == leader.round - 1:
                drop(address, place)
                end(address, other, CANCELED)
        place -= 1


@inner
def cancel_pending(address: int, handle: int) -> bool:
    """Cancel the order if it is pending, and with it its OCO group."""
    desk = desk_at(address, 0)
    for place in range(desk.pending_from, desk.pending_to):
        if queue_at(desk.queues, place).pending == handle:
            drop(address, place)
            end(address, handle, CANCELED)
            cancel_others(address, handle)
            return True
    return False


@inner
def dissolve(address: int, handle: int) -> None:
    """The bracket is over: cancel what is left of it."""
    orders = desk_at(address, 0).orders
    parent = order_at(orders, handle).parent
    head = order_at(orders, handle if parent < 0 else parent)
    member = head.first if head.family != 0 else END
    head.family = 0
    while member >= 0:
        head.first = order_at(orders, member).sibling
        cancel_pending(address, member)
        member = head.first
    head.first = END
    head.last = END


@inner
def release(address: int, handle: int) -> None:
    """An order is filled: a parent sets its children free from the next step on, a child ends the bracket."""
    desk = desk_at(address, 0)
    order = order_at(desk.orders, handle)
    if order.parent >= 0:
        dissolve(address, handle)
        return
    if order.family == 0 or order.first < 0:
        account_at(desk.account, 0).error = BRACKET_LOST
        return
    child = order_at(desk.orders, order.first).sibling
    order.first = child
    if child < 0:
        order.last = END
    while child >= 0:
        if desk.waiting_to >= desk.queues_room:
            account_at(desk.account, 0).overflow = 1
            return
        queue_at(desk.queues, desk.waiting_to).waiting = child
        desk.waiting_to += 1
        child = order_at(desk.orders, child).sibling


@inner
def send(address: int, member: int) -> None:
    """Transmit every order of a bracket from `member` on, those sent before once more."""
    desk = desk_at(address, 0)
    while member >= 0:
        order = order_at(desk.orders, member)
        if rules_at(desk.rules, 0).checksubmit == 0:
            accept(address, member)
        elif desk.sent_to >= desk.queues_room:
            account_at(desk.account, 0).overflow = 1
            return
        else:
            order.status = SUBMITTED
            queue_at(desk.queues, desk.sent_to).sent = member
            desk.sent_to += 1
            note(address, member, 0)
        member = order.sibling
    count_pending(address)
