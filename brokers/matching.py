"""When and at what price an order fills: Backtrader's broker rules as pure functions over floats.

The arithmetic keeps the reference's order of operations, so that results are equal to the last bit.

1. A market order fills at the open of the first bar stamped after the bar it was made on.
2. A close order fills at the close of the bar stamped exactly at the end of its session; when no bar is, at the
   close of the session's last bar, which is known to be the last only when the next bar arrives.
3. A limit fills at the open when the open is as good or better, else at the limit when the bar reaches it.
4. A stop fills at the open when the open is already beyond the trigger, else at the trigger when it is reached.
5. A stop limit becomes a limit once its trigger is reached. On the bar that triggers it, it fills as a limit after
   a gap; within the bar it fills only where open and close show that the price passed the limit after the trigger.
6. A trailing stop is tried as a stop first; what is left of it then moves its trigger by the bar's close, only in
   the direction that protects more. A trailing stop limit stops moving once it was triggered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from brokers.costs import Commission
from core.types import Bar, OrderType

STOP_LIMITS = frozenset({OrderType.STOP_LIMIT, OrderType.STOP_TRAIL_LIMIT})
TRAILS = frozenset({OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT})
STOPS = frozenset({OrderType.STOP}) | STOP_LIMITS | TRAILS


class Resting(Protocol):
    """What matching needs to know of an order.

    price: the limit of a limit order, the trigger of the stop kinds. limit: the limit of the stop limit kinds.
    noted_close: the close of the latest bar a close order has seen without filling.
    """

    @property
    def type(self) -> OrderType: ...  # noqa: D102
    @property
    def buy(self) -> bool: ...  # noqa: D102
    @property
    def price(self) -> float: ...  # noqa: D102
    @property
    def limit(self) -> float: ...  # noqa: D102
    @property
    def triggered(self) -> bool: ...  # noqa: D102
    @property
    def created(self) -> datetime: ...  # noqa: D102
    @property
    def session_end(self) -> datetime | None: ...  # noqa: D102
    @property
    def noted_close(self) -> float | None: ...  # noqa: D102


class Match(NamedTuple):
    """What a bar or a quote does to an order; the default is nothing.

    price: fill the rest of the order here. previous_bar: the fill belongs to the bar before this one.
    triggered: the trigger was reached now. noted_close: remember this close. trail_by: if something is left of the
    order, let its trigger follow this price.
    """

    price: float | None = None
    previous_bar: bool = False
    triggered: bool = False
    noted_close: float | None = None
    trail_by: float | None = None


NOTHING = Match()


def match_bar(order: Resting, bar: Bar) -> Match:
    """What `bar` does to `order`, by the rules at the head of this module."""
    kind = order.type
    if kind is OrderType.MARKET:
        return Match(bar.open) if bar.time > order.created else NOTHING
    if kind is OrderType.CLOSE:
        return _match_close(order, bar)
    if kind is OrderType.LIMIT:
        return _filled(limit_price(order.buy, order.price, bar))
    if kind in STOP_LIMITS:
        if order.triggered:
            return _filled(limit_price(order.buy, order.limit, bar))
        triggered, price = stop_limit_price(order.buy, order.price, order.limit, bar)
        trail_by = bar.close if kind is OrderType.STOP_TRAIL_LIMIT else None
        return Match(price, triggered=triggered, trail_by=trail_by)
    price = stop_price(order.buy, order.price, bar)
    return Match(price, trail_by=bar.close) if kind is OrderType.STOP_TRAIL else _filled(price)


def match_quote(order: Resting, bid: float, ask: float, time: datetime) -> Match:
    """What a quote does to `order`: a buy meets the ask, a sell the bid; a side without a price (0) meets nothing.

    Market: at the quote. Close: at the first quote at or after the end of the session. Limit: at the quote, once
    it is at the limit or better. Stop: at the quote, once it is at the trigger or beyond; a stop limit is a limit
    from that quote on. Trails follow the quote they would fill at. Quoted sizes do not limit a fill.
    """
    quote = ask if order.buy else bid
    if not quote > 0:
        return NOTHING
    kind = order.type
    if kind is OrderType.MARKET:
        return Match(quote)
    if kind is OrderType.CLOSE:
        return Match(quote) if order.session_end is None or time >= order.session_end else NOTHING
    if kind is OrderType.LIMIT:
        return Match(quote) if _at_or_better(order.buy, quote, order.price) else NOTHING
    trail_by = quote if kind in TRAILS and not order.triggered else None
    reached = order.triggered or (quote >= order.price if order.buy else quote <= order.price)
    if kind not in STOP_LIMITS:
        return Match(quote if reached else None, trail_by=trail_by)
    fills = reached and _at_or_better(order.buy, quote, order.limit)
    return Match(quote if fills else None, triggered=reached and not order.triggered, trail_by=trail_by)


def limit_price(buy: bool, limit: float, bar: Bar) -> float | None:
    """Price at which a limit order fills on `bar`, or None."""
    if buy:
        return bar.open if limit >= bar.open else limit if limit >= bar.low else None
    return bar.open if limit <= bar.open else limit if limit <= bar.high else None


def stop_price(buy: bool, trigger: float, bar: Bar) -> float | None:
    """Price at which a stop order fills on `bar`, or None."""
    if buy:
        return bar.open if bar.open >= trigger else trigger if bar.high >= trigger else None
    return bar.open if bar.open <= trigger else trigger if bar.low <= trigger else None


def stop_limit_price(buy: bool, trigger: float, limit: float, bar: Bar) -> tuple[bool, float | None]:
    """Whether `bar` triggers a stop limit order, and the price at which it fills on that same bar, or None."""
    if buy:
        if bar.open >= trigger:
            return True, limit_price(buy, limit, bar)
        if bar.high < trigger:
            return False, None
        if limit >= trigger:
            return True, trigger
        return True, limit if bar.open > bar.close and limit >= bar.close else None
    if bar.open <= trigger:
        return True, limit_price(buy, limit, bar)
    if bar.low > trigger:
        return False, None
    if limit <= trigger:
        return True, trigger
    return True, limit if bar.open <= bar.close and limit <= bar.close else None


def trail_trigger(
    buy: bool, trigger: float, by: float, amount: float | None, fraction: float | None
) -> float:
    """The trigger after the market reached `by`; it only moves towards the market, never away.

    amount: distance in quote currency; fraction: distance as a fraction of `by`, used when there is no amount.
    """
    distance = amount or (by * fraction if fraction else 0.0)
    return min(trigger, by + distance) if buy else max(trigger, by - distance)


def first_trigger(buy: bool, reference: float, amount: float | None, fraction: float | None) -> float:
    """The trigger of a trailing order when it is made."""
    return trail_trigger(buy, math.inf if buy else -math.inf, reference, amount, fraction)


def created_prices(price: float | None, limit: float | None, close: float) -> tuple[float, float]:
    """Price and limit an order is made with: what is missing or zero is taken from the other, then the close."""
    first = price or limit or close
    return first, limit or first


class Holding(NamedTuple):
    """A position in floats: signed size and average entry price, both 0 when flat."""

    size: float = 0.0
    price: float = 0.0


FLAT = Holding()


def change_position(held: Holding, size: float, price: float) -> tuple[Holding, float, float]:
    """The position after trading signed `size` at `price`, and how much of the size opened and closed.

    Adding averages the entry price, reducing keeps it, reversing starts at `price`.
    """
    total = held.size + size
    if not total:
        return FLAT, 0.0, size
    if not held.size:
        return Holding(total, price), size, 0.0
    if (held.size > 0) == (size > 0) and size:
        return Holding(total, (held.price * held.size + size * price) / total), size, 0.0
    if (held.size > 0) == (total > 0):
        return Holding(total, held.price), 0.0, size
    return Holding(total, price), total, -held.size


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execution did. size: signed, possibly less than wanted; short: cash did not suffice to open."""

    cash: float
    holding: Holding
    size: float
    commission: float
    short: bool


def execute(
    cash: float, held: Holding, size: float, price: float, commission: Commission, *, on_credit: bool = False
) -> Execution:
    """Trade signed `size` at `price`: first what closes, then what opens, if cash stays at 0 or above.

    Selling short credits its value. When the opening part cannot be paid, only the closing part trades, unless it is
    on credit.
    """
    _, opened, closed = change_position(held, size, price)
    closed_commission = opened_commission = 0.0
    if closed:
        profit = -closed * (price - held.price) * 1.0
        cash += -closed * held.price + profit
        closed_commission = commission.amount(closed, price)
        cash -= closed_commission
    short = False
    if opened:
        opened_commission = commission.amount(opened, price)
        left = cash - opened * price - opened_commission
        if left < 0.0 and not on_credit:
            opened, opened_commission, short = 0.0, 0.0, True
        else:
            cash = left
    traded = closed + opened
    holding = change_position(held, traded, price)[0] if traded else held
    return Execution(cash, holding, traded, closed_commission + opened_commission, short)


def pretend(
    cash: float, held: Holding, size: float, price: float, commission: Commission
) -> tuple[float, Holding]:
    """Cash and position if the order traded whole at `price`: the check made before an order is accepted.

    What closes is taken to have been entered at `price`. Negative cash is returned as such.
    """
    holding, opened, closed = change_position(held, size, price)
    if closed:
        cash += -closed * price
        cash -= commission.amount(closed, price)
    if opened:
        cash -= opened * price
        cash -= commission.amount(opened, price)
    return cash, holding


def _match_close(order: Resting, bar: Bar) -> Match:
    end = order.session_end
    if bar.time <= order.created or end is None or bar.time < end:
        return Match(noted_close=bar.close)
    if order.noted_close and bar.time > end:
        return Match(order.noted_close, previous_bar=True)
    return Match(bar.close)


def _filled(price: float | None) -> Match:
    return NOTHING if price is None else Match(price)


def _at_or_better(buy: bool, quote: float, limit: float) -> bool:
    return quote <= limit if buy else quote >= limit
