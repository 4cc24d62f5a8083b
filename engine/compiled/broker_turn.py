"""A step of the broker: what kernels call, by the address of `Book.desk`.

`engine.compiled.broker` is how they call it.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

from engine.compiled import broker_money, broker_orders
from engine.compiled.broker_match import match, trail
from engine.compiled.broker_memory import (
    account_at,
    desk_at,
    entry,
    float_at,
    inner,
    note_at,
    order_at,
    position_at,
    queue_at,
    scheme_at,
    store_float,
    trade_at,
)
from engine.compiled.broker_money import charge_interest, clock_of, settle, trial, value_bars
from engine.compiled.broker_orders import (
    END,
    accept,
    bars_of,
    cancel_others,
    cancel_pending,
    count_pending,
    dissolve,
    end,
    keep,
    now_of,
    release,
    send,
)
from engine.compiled.broker_trades import follow
from engine.compiled.records import (
    CLOSE,
    CLOSE_ORDER,
    COMPLETED,
    CREATED,
    EXPIRED,
    HAS_LIMIT,
    HAS_PRICE,
    HAS_TRAIL_AMOUNT,
    HAS_TRAIL_PERCENT,
    MARGIN,
    MARKET,
    MOST_UNITS,
    NO_COC,
    NONE_HELD,
    NOT_EXACT,
    PARTIAL,
    REJECTED,
    STOP_TRAIL,
    STOP_TRAIL_LIMIT,
)


@entry
def _reset(address: int, cash: float) -> None:
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    account.cash = account.value = cash
    account.orders = account.fills = account.notes = account.trades = account.refs = 0
    account.pending = account.touched = account.overflow = account.error = 0
    account.held = NONE_HELD
    desk.interest = 0
    for k in range(desk.datas):
        if scheme_at(desk.schemes, k).interest != 0.0:
            desk.interest = 1
        position = position_at(desk.positions, k)
        position.size = position.price = position.credit = position.credit_time = 0.0
        position.adjust_base = math.nan
        position.touched = position.checked = 0
        trade_at(desk.open_trades, k).ref = 0
    desk.pending_from = desk.pending_to = desk.sent_to = desk.waiting_to = desk.delivered = 0


@inner
def session_end(address: int, data: int, now: float) -> float:
    """Day number at which the session of a time ends; past the end, that of the day after.

    The sum is rounded once, as `date2num` has it.
    """
    sessions = desk_at(address, 0).sessions
    day, of_day = clock_of(now)
    if float_at(sessions, 3 * data) < of_day:
        day += 1.0
    fraction, rest = float_at(sessions, 3 * data + 1), float_at(sessions, 3 * data + 2)
    total = day + fraction
    return total + ((fraction - (total - day)) + rest)


@inner
def set_prices(address: int, handle: int, price: float, limit: float, given: int) -> None:
    """Reference price, limit and first trigger of an order just made, out of what the strategy gave."""
    order = order_at(desk_at(address, 0).orders, handle)
    has_limit = given & HAS_LIMIT != 0 and limit != 0.0
    if given & HAS_PRICE == 0 or price == 0.0:
        price = limit if has_limit else order.close
    order.price = price
    order.limit = limit if has_limit else price
    order.limit_offset = 0.0
    if order.kind == STOP_TRAIL or order.kind == STOP_TRAIL_LIMIT:
        order.limit_offset = order.price - order.limit
        order.price = math.inf if order.buy != 0 else -math.inf
        trail(address, handle, price)
    order.first_price = order.price
    order.first_limit = order.limit if has_limit else math.nan


@inner
def enlist(address: int, handle: int, oco: int) -> int:
    """Enter an OCO group (or lead an own one) and a bracket: handle of its head, -1 when the parent is gone."""
    orders = desk_at(address, 0).orders
    order = order_at(orders, handle)
    order.round = order.members = order.family = 0
    order.sibling = order.first = order.last = END
    order.oco = handle if oco < 0 else order_at(orders, oco).oco
    leader = order_at(orders, order.oco)
    leader.members += 1
    order.joined = leader.round
    head_handle = handle if order.parent < 0 else order.parent
    head = order_at(orders, head_handle)
    if order.parent >= 0 and head.family == 0:
        return END
    head.family = 1
    if head.first < 0:
        head.first = handle
    else:
        order_at(orders, head.last).sibling = handle
    head.last = handle
    return head_handle


@entry
def _submit(
    address: int,
    t: int,
    data: int,
    size: float,
    kind: int,
    price: float,
    limit: float,
    trail_amount: float,
    trail_percent: float,
    given: int,
    valid: float,
    oco: int,
    parent: int,
    transmit: int,
    info: int,
) -> int:
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    handle = account.orders
    if handle >= desk.orders_room:
        account.overflow = 1
        return END
    account.orders = handle + 1
    order = order_at(desk.orders, handle)
    order.data = data
    order.kind = kind
    order.status = CREATED
    order.buy = 1 if size > 0.0 else 0
    order.info = info
    order.parent = parent
    order.transmit = transmit
    order.active = 1 if parent < 0 else 0
    order.triggered = 0
    order.created_step = t
    order.size = size
    order.close = float_at(bars_of(address, data), CLOSE * desk.bars_room)
    order.created = now_of(address, data)
    order.valid = valid
    order.session_end = session_end(address, data, order.created) if kind == CLOSE_ORDER else math.nan
    order.noted = 0
    order.noted_close = math.nan
    order.coc = 0 if given & NO_COC != 0 else 1
    if abs(size) > MOST_UNITS:
        account.error = NOT_EXACT
    order.remaining = size
    order.filled = order.average = order.value = order.commission = order.pnl = 0.0
    order.executed = math.nan
    order.trail_amount = trail_amount if given & HAS_TRAIL_AMOUNT != 0 else 0.0
    order.trail_percent = trail_percent if given & HAS_TRAIL_PERCENT != 0 else 0.0
    set_prices(address, handle, price, limit, given)
    head = enlist(address, handle, oco)
    if head < 0:
        end(address, handle, REJECTED)
    elif transmit != 0:
        send(address, order_at(desk.orders, head).first)
    return handle


@entry
def _cancel(address: int, handle: int) -> None:
    if handle >= 0 and cancel_pending(address, handle):
        dissolve(address, handle)
        count_pending(address)


@inner
def check_sent(address: int) -> None:
    """Accept what was sent, as far as cash goes; what once went below zero stays below for the rest."""
    desk = desk_at(address, 0)
    cash = account_at(desk.account, 0).cash
    for k in range(desk.datas):
        position_at(desk.positions, k).checked = 0
    for k in range(desk.sent_to):
        handle = queue_at(desk.queues, k).sent
        parent = order_at(desk.orders, handle).parent
        if parent >= 0 and order_at(desk.orders, parent).family == 0:
            end(address, handle, REJECTED)
            continue
        cash = trial(address, handle, cash)
        if cash >= 0.0:
            accept(address, handle)
            continue
        end(address, handle, MARGIN)
        cancel_others(address, handle)
        dissolve(address, handle)
    desk.sent_to = 0


@inner
def match_pending(address: int, step: int) -> None:
    """One pass over the pending orders: expire, keep for later, or try."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    keep(address, END)
    while account.overflow == 0 and account.error == 0:
        handle = queue_at(desk.queues, desk.pending_from).pending
        desk.pending_from += 1
        if handle == END:
            break
        order = order_at(desk.orders, handle)
        if order.kind != MARKET and order.valid != 0.0 and now_of(address, order.data) > order.valid:
            end(address, handle, EXPIRED)
            cancel_others(address, handle)
            dissolve(address, handle)
            continue
        if order.active != 0:
            match(address, handle, step)
            if order.status == COMPLETED:
                release(address, handle)
            if order.status > PARTIAL:
                continue
        keep(address, handle)
    kept = desk.pending_to - desk.pending_from
    for k in range(kept):
        queue_at(desk.queues, k).pending = queue_at(desk.queues, desk.pending_from + k).pending
    desk.pending_from = 0
    desk.pending_to = kept


@inner
def take_turn(address: int, t: int) -> None:
    """`broker.next()` of one bar: activate, check, charge, match, settle."""
    desk = desk_at(address, 0)
    busy = account_at(desk.account, 0).pending != 0
    if busy:
        for k in range(desk.waiting_to):
            order_at(desk.orders, queue_at(desk.queues, k).waiting).active = 1
        desk.waiting_to = 0
        if desk.sent_to != 0:
            check_sent(address)
    if desk.interest != 0:
        charge_interest(address)
    if busy:
        if desk.pending_to != 0:
            match_pending(address, t)
        count_pending(address)
    settle(address)


@entry
def _turn(address: int, t: int) -> None:
    take_turn(address, t)


@entry
def _turn_after(address: int, t: int, valued: int, index: int, equity: int, cash: int) -> int:
    value_bars(address, valued, t, index, equity, cash)
    take_turn(address, t)
    account = account_at(desk_at(address, 0).account, 0)
    store_float(equity, t, account.value)
    store_float(cash, t, account.cash)
    return t + 1


@entry
def _value_bars(address: int, first: int, last: int, index: int, equity: int, cash: int) -> None:
    value_bars(address, first, last, index, equity, cash)


@entry
def _deliver(address: int, t: int) -> tuple[int, int, int, int]:
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    first, trades = desk.delivered, account.trades
    for n in range(first, account.notes):
        news = note_at(desk.notes, n)
        order = order_at(desk.orders, news.order)
        news.step = t
        news.price = order.price
        news.limit = order.limit
        for k in range(news.fill_from, news.fill_to):
            follow(address, k, t)
    desk.delivered = account.notes
    return first, account.notes, trades, account.trades


@entry
def _data_value(address: int, data: int) -> float:
    broker_orders.touch(address, data)
    return broker_money.position_value(address, data)


@entry
def _touch(address: int, data: int) -> None:
    broker_orders.touch(address, data)
