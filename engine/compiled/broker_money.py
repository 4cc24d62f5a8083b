"""Cash, positions, commissions, interest and value, one for one `BackBroker._execute` and `_get_value`.

Every expression keeps the order of operations of the stock broker, so that results are equal to the last bit.
`address` is that of the book's desk throughout.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

from engine.compiled.broker_memory import (
    account_at,
    desk_at,
    fill_at,
    float_at,
    inner,
    int_at,
    order_at,
    position_at,
    rules_at,
    scheme_at,
    store_float,
)
from engine.compiled.broker_orders import bars_of, cancel_others, dissolve, end, note, now_of, touch
from engine.compiled.records import (
    CLOSE,
    COMPLETED,
    MARGIN,
    MARKET,
    MOST_UNITS,
    NONE_HELD,
    NOT_EXACT,
    PARTIAL,
    SEVERAL_HELD,
)

MICROSECONDS_A_SECOND = 1e6
MICROSECONDS_A_DAY = 86400e6


@inner
def clock_of(time: float) -> tuple[float, float]:
    """Day and microsecond of the day of a day number, as `num2date` rounds them (no time zone)."""
    day = math.floor(time)
    hours = 24.0 * (time - day)
    hour = math.floor(hours)
    minutes = 60.0 * (hours - hour)
    minute = math.floor(minutes)
    seconds = 60.0 * (minutes - minute)
    second = math.floor(seconds)
    microsecond = float(math.floor(MICROSECONDS_A_SECOND * (seconds - second)))
    if microsecond < 10.0:
        microsecond = 0.0
    elif microsecond > 999990.0:
        microsecond = MICROSECONDS_A_SECOND
    of_day = ((hour * 60.0 + minute) * 60.0 + second) * MICROSECONDS_A_SECOND + microsecond
    if of_day >= MICROSECONDS_A_DAY:
        return day + 1.0, 0.0
    return day + 0.0, of_day


@inner
def moved(size: float, price: float, change: float, at: float) -> tuple[float, float, float, float]:
    """A position after `change` units at a price: size, price, opened, closed (`Position.update`)."""
    new = size + change
    if new == 0.0:
        return new, 0.0, 0.0, change
    if size == 0.0:
        return new, at, change, 0.0
    if (change > 0.0) if size > 0.0 else (change < 0.0):
        return new, (price * size + change * at) / new, change, 0.0
    if (new > 0.0) if size > 0.0 else (new < 0.0):
        return new, price, 0.0, change
    return new, at, new, -size


@inner
def value_of(address: int, data: int, size: float, price: float, signed: int) -> float:
    """Value of a size at a price, for futures their margin. signed: a short stock is worth less than nothing."""
    scheme = scheme_at(desk_at(address, 0).schemes, data)
    if scheme.stocklike != 0:
        return size * price if signed != 0 else abs(size) * price
    if scheme.automargin == 0.0:
        return abs(size) * scheme.margin
    return abs(size) * (price * (scheme.mult if scheme.automargin < 0.0 else scheme.automargin))


@inner
def commission_of(address: int, data: int, size: float, price: float) -> float:
    """Commission of an operation."""
    scheme = scheme_at(desk_at(address, 0).schemes, data)
    cost = abs(size) * scheme.commission
    return cost * price if scheme.percent != 0 else cost


@inner
def trial(address: int, handle: int, cash: float) -> float:
    """Cash after a trial execution at the price the order was made with."""
    desk = desk_at(address, 0)
    order = order_at(desk.orders, handle)
    data = order.data
    rules = rules_at(desk.rules, 0)
    leverage = scheme_at(desk.schemes, data).leverage
    touch(address, data)
    position = position_at(desk.positions, data)
    if position.checked == 0:
        position.checked = 1
        position.check_size = position.size
        position.check_price = position.price
    price = order.price
    if rules.coo != 0 and order.kind == MARKET:
        price = float_at(bars_of(address, data), 0)
    size, average, opened, closed = moved(position.check_size, position.check_price, order.remaining, price)
    position.check_size = size
    position.check_price = average
    if closed != 0.0:
        value = value_of(address, data, -closed, price, rules.shortcash)
        cash += value / leverage if value > 0.0 else value
        cash -= commission_of(address, data, closed, price)
    if opened != 0.0:
        value = value_of(address, data, opened, price, rules.shortcash)
        cash -= value / leverage if value > 0.0 else value
        cash -= commission_of(address, data, opened, price)
    return cash


@inner
def close_part(address: int, data: int, closed: float, price: float, pnl: float) -> tuple[float, float]:
    """Take the cash of what closes: its value at the price it was opened at, and the commission."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    scheme = scheme_at(desk.schemes, data)
    position = position_at(desk.positions, data)
    cash = account.cash
    value = value_of(address, data, -closed, position.price, rules_at(desk.rules, 0).shortcash)
    back = value / scheme.leverage if value > 0.0 else value
    cash += back + pnl * scheme.stocklike
    commission = commission_of(address, data, closed, price)
    cash -= commission
    if scheme.stocklike == 0:
        cash += -closed * (price - position.adjust_base) * scheme.mult
    account.cash = cash
    return value, commission


@inner
def open_part(
    address: int, data: int, opened: float, price: float, cash: float
) -> tuple[float, float, float]:
    """What is left of `cash` once so much is opened, its value, and the commission."""
    desk = desk_at(address, 0)
    value = value_of(address, data, opened, price, rules_at(desk.rules, 0).shortcash)
    cash -= value / scheme_at(desk.schemes, data).leverage if value > 0.0 else value
    commission = commission_of(address, data, opened, price)
    cash -= commission
    return cash, value, commission


@inner
def refuse_the_rest(address: int, handle: int) -> None:
    """End an order for want of cash."""
    end(address, handle, MARGIN)
    cancel_others(address, handle)
    dissolve(address, handle)


@inner
def fill_order(
    address: int,
    handle: int,
    size: float,
    price: float,
    when: float,
    value: float,
    commission: float,
    pnl: float,
) -> None:
    """Add a fill to what an order has filled so far."""
    order = order_at(desk_at(address, 0).orders, handle)
    order.remaining -= size
    order.executed = when
    worth = order.filled * order.average
    part = size * price
    order.filled += size
    order.average = (worth + part) / order.filled
    order.value += value
    order.commission += commission
    order.pnl += pnl
    order.status = PARTIAL if order.remaining != 0.0 else COMPLETED


@inner
def execute(address: int, handle: int, price: float, when: float, step: int) -> None:
    """Fill what remains of an order; without the cash only what closes, and the rest ends as Margin.

    price: NaN when slippage leaves none. when: day number noted as the execution's.
    """
    if math.isnan(price):
        return
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    rules = rules_at(desk.rules, 0)
    order = order_at(desk.orders, handle)
    data = order.data
    scheme = scheme_at(desk.schemes, data)
    futures = scheme.stocklike == 0
    touch(address, data)
    position = position_at(desk.positions, data)
    entry = position.price
    new_size, new_price, opened, closed = moved(position.size, entry, order.remaining, price)
    if abs(new_size) > MOST_UNITS:
        account.error = NOT_EXACT
    pnl = (0.0 - closed) * (price - entry) * scheme.mult
    closed_value = closed_commission = opened_value = opened_commission = 0.0
    if closed != 0.0:
        closed_value, closed_commission = close_part(address, data, closed, price, pnl)
    cash = account.cash
    short_of_cash = False
    if opened != 0.0:
        cash, opened_value, opened_commission = open_part(address, data, opened, price, cash)
        if cash < 0.0:
            short_of_cash = True
            opened = opened_value = opened_commission = 0.0
        else:
            if futures and abs(new_size) > abs(opened):
                cash += (new_size - opened) * (price - position.adjust_base) * scheme.mult
            position.adjust_base = price
            account.cash = cash
    size = closed + opened
    if size != 0.0:
        position.size, position.price, _, _ = moved(position.size, entry, size, price)
        position.credit_time = now_of(address, data)
        if closed != 0.0 and rules.int2pnl != 0:
            closed_commission += position.credit
            position.credit = 0.0
        value, commission = closed_value + opened_value, closed_commission + opened_commission
        fill_order(address, handle, size, price, when, value, commission, pnl)
        if account.fills >= desk.fills_room:
            account.overflow = 1
            return
        fill = fill_at(desk.fills, account.fills)
        account.fills += 1
        fill.order, fill.data, fill.step, fill.time = handle, data, step, when
        fill.size, fill.price, fill.pnl = size, price, pnl
        fill.closed, fill.opened = closed, opened
        fill.closed_value, fill.closed_commission = closed_value, closed_commission
        fill.opened_value, fill.opened_commission = opened_value, opened_commission
        fill.position_size, fill.position_price = new_size, new_price
        note(address, handle, 1)
        cancel_others(address, handle)
    if short_of_cash:
        refuse_the_rest(address, handle)


@inner
def charge_interest(address: int) -> None:
    """Charge each position's interest for the days since the last charge."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    credit = 0.0
    for k in range(account.touched):
        data = position_at(desk.positions, k).nth
        position = position_at(desk.positions, data)
        scheme = scheme_at(desk.schemes, data)
        if position.size == 0.0 or scheme.interest == 0.0:
            continue
        now = now_of(address, data)
        if not (position.size > 0.0 and scheme.interest_long == 0):
            days = clock_of(now)[0] - clock_of(position.credit_time)[0]
            if days > 0.0:
                due = days * (scheme.interest / 365.0) * abs(position.size) * position.price
                position.credit += due
                credit += due
        position.credit_time = now
    account.cash -= credit


@inner
def position_value(address: int, data: int) -> float:
    """Value of one position at the close; without shortcash a short stock is worth more as its price falls."""
    desk = desk_at(address, 0)
    position = position_at(desk.positions, data)
    close = float_at(bars_of(address, data), CLOSE * desk.bars_room)
    scheme = scheme_at(desk.schemes, data)
    if rules_at(desk.rules, 0).shortcash == 0 and scheme.stocklike != 0 and position.size < 0.0:
        value = position.price * position.size
        value += (position.price - close) * position.size
        return value
    return value_of(address, data, position.size, close, 1)


@inner
def settle(address: int) -> None:
    """Pay what futures gained or lost over the bar into the cash, then value the account."""
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    shortcash = rules_at(desk.rules, 0).shortcash
    total = 0.0
    held = NONE_HELD
    for k in range(account.touched):
        data = position_at(desk.positions, k).nth
        position = position_at(desk.positions, data)
        if position.size == 0.0:
            continue
        scheme = scheme_at(desk.schemes, data)
        close = float_at(bars_of(address, data), CLOSE * desk.bars_room)
        plain = scheme.stocklike != 0 and desk.interest == 0 and (position.size > 0.0 or shortcash != 0)
        held = data if held == NONE_HELD and plain else SEVERAL_HELD
        if scheme.stocklike == 0:
            account.cash += position.size * (close - position.adjust_base) * scheme.mult
        position.adjust_base = close
        value = position_value(address, data)
        if shortcash == 0:
            value = abs(value)
        if value > 0.0:
            unrealized = position.size * (close - position.price) * scheme.mult
            value -= unrealized
            total += value if scheme.leverage == 1.0 else value / scheme.leverage
            total += unrealized
        else:
            total += value
    account.value = account.cash + total
    account.held = held


@inner
def value_bars(address: int, first: int, last: int, index: int, equity: int, cash: int) -> None:
    """Value the steps from `first` to `last`, on which nothing happened: as `settle` does, one after the other.

    index, equity, cash: addresses of arrays, see `broker.advance`.
    """
    desk = desk_at(address, 0)
    account = account_at(desk.account, 0)
    money, data = account.cash, account.held
    if data == NONE_HELD:
        for t in range(first, last):
            store_float(equity, t, money + 0.0)
            store_float(cash, t, money)
        return
    position, scheme = position_at(desk.positions, data), scheme_at(desk.schemes, data)
    size, price, mult, leverage = position.size, position.price, scheme.mult, scheme.leverage
    shortcash, datas, length = rules_at(desk.rules, 0).shortcash, desk.datas, int_at(desk.lengths, data)
    closes = desk.bars + 8 * (data * 6 + CLOSE) * desk.bars_room
    for t in range(first, last):
        store_float(cash, t, money)
    if datas == 1 and leverage == 1.0 and shortcash != 0:
        # The common case as a loop without conditions, for vector instructions.
        for t in range(first, last):
            close = float_at(closes, t)
            value, unrealized = size * close, size * (close - price) * mult
            above = 0.0 + (value - unrealized) + unrealized
            store_float(equity, t, money + (above if value > 0.0 else 0.0 + value))
        return
    for t in range(first, last):
        bar = t if datas == 1 else int_at(index, t * datas + data)
        close = float_at(closes, bar if bar >= 0 else bar + length)
        value = size * close
        if shortcash == 0:
            value = abs(value)
        total = 0.0
        if value > 0.0:
            unrealized = size * (close - price) * mult
            value -= unrealized
            total += value if leverage == 1.0 else value / leverage
            total += unrealized
        else:
            total += value
        store_float(equity, t, money + total)
