"""The frozen values that packages exchange.

Research works in float64 arrays; orders, fills and balances are Decimal. `to_decimal` and `float` are the
only bridges: a float becomes the shortest decimal that reads back as the same float, so nothing is lost.
All datetimes are aware and UTC. Sizes are in units of the base asset, prices in quote currency per unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from numbers import Integral


def to_decimal(value: float | int | str | Decimal) -> Decimal:
    """The shortest decimal that reads back as the same float: `float(to_decimal(x)) == x`."""
    if type(value) is float:  # what bars are made of: no need to ask further
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        return Decimal(value)
    # numpy's whole numbers are Integral but not int, and Decimal takes neither them nor its float32.
    return Decimal(int(value)) if isinstance(value, Integral) else Decimal(repr(float(value)))


DUST = Decimal("1e-12")


def is_dust(residue: Decimal, traded: Decimal) -> bool:
    """Whether what is left over is only the rounding of float sizes, measured against the units traded.

    A strategy calculates in floats: what it bought in two parts and sold in one may differ in the last bit.
    """
    return abs(residue) <= DUST * abs(traded)


class Side(StrEnum):
    """Direction of an order or a fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order wants to be executed; the names are Backtrader's `exectype`."""

    MARKET = "market"
    CLOSE = "close"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    STOP_TRAIL = "stop_trail"
    STOP_TRAIL_LIMIT = "stop_trail_limit"


class OrderStatus(StrEnum):
    """Where an order stands. INTENT is ours alone: written down, the venue not yet asked."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    MARGIN = "margin"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """True when nothing can happen to the order any more."""
        return self in TERMINAL


SPLIT = "a split has changed the size of the order"
"""The reason a simulated venue gives with fills of an order that is of other units than it was made in."""

TERMINAL = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.MARGIN, OrderStatus.REJECTED}
)


class EventKind(StrEnum):
    """What a venue reports: a change of status, or a protective order whose trigger moved."""

    STATUS = "status"
    TRAIL = "trail"
    TRIGGERED = "triggered"


class SignalType(StrEnum):
    """What a strategy wants to be after the bar."""

    LONG = "long"
    SHORT = "short"
    EXIT = "exit"
    HOLD = "hold"


class ExitReason(StrEnum):
    """Why a trade was closed."""

    SIGNAL = "signal"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    PROFIT_TARGET = "profit_target"
    TIME_EXIT = "time_exit"
    REVERSAL = "reversal"
    RISK = "risk"
    FLATTEN = "flatten"


EXIT_REASONS: Mapping[OrderType, ExitReason] = {
    OrderType.MARKET: ExitReason.SIGNAL,
    OrderType.CLOSE: ExitReason.SIGNAL,
    OrderType.LIMIT: ExitReason.PROFIT_TARGET,
    OrderType.STOP: ExitReason.STOP_LOSS,
    OrderType.STOP_LIMIT: ExitReason.STOP_LOSS,
    OrderType.STOP_TRAIL: ExitReason.TRAILING_STOP,
    OrderType.STOP_TRAIL_LIMIT: ExitReason.TRAILING_STOP,
}
"""Why an order of each type closes a trade, where the strategy gave no reason."""


@dataclass(frozen=True, slots=True)
class TradingSignal:
    """A strategy's decision on one bar.

    strength is a fraction in [0, 1]; `stop` and `target` are prices, or None where the strategy sets none.
    """

    type: SignalType
    reason: str = ""
    strength: float = 1.0
    stop: float | None = None
    target: float | None = None
    exit_reason: ExitReason | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of one instrument, as research sees it (floats), stamped `time`."""

    symbol: str
    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """What can be traded and in which steps; None where the venue sets no limit."""

    symbol: str
    currency: str = "USD"
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_notional: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    calendar: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask."""

    symbol: str
    time: datetime
    bid: Decimal
    ask: Decimal
    bid_size: Decimal = Decimal(0)
    ask_size: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """What a strategy asked for, before any venue saw it.

    size: units, > 0. price: the limit of a LIMIT, the trigger of a STOP kind, the reference of a trail.
    limit: the limit of a STOP_LIMIT kind. trail_amount in quote currency, trail_percent a fraction.
    reference_price: the last close when the order was made; cash checks use it.
    oco: client id of another order of the same one-cancels-other group. parent: client id of the bracket's
    entry. transmit False holds the order until the next of its bracket that is True.
    bar_time and leg: the bar the decision was made on, and its place among that bar's orders. post_only: a LIMIT
    that may only add to the book, never take from it.
    """

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    size: Decimal
    reference_price: Decimal
    bar_time: datetime
    leg: int
    bot: str = "default"
    strategy: str = ""
    price: Decimal | None = None
    limit: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    expires_at: datetime | None = None
    session_end: datetime | None = None
    oco: str | None = None
    parent: str | None = None
    transmit: bool = True
    exit_reason: ExitReason | None = None
    post_only: bool = False

    @property
    def signed_size(self) -> Decimal:
        """Size with the side's sign."""
        return self.size * self.side.sign


@dataclass(frozen=True, slots=True)
class Attempt:
    """One price an entry was offered at instead of the market's, written down before the venue heard of it.

    number counts from 1. bid and ask are the quote it was made of. crossing: it goes through the other side, so that
    it fills like a market order.
    """

    client_id: str
    number: int
    price: Decimal
    bid: Decimal
    ask: Decimal
    time: datetime
    crossing: bool = False

    @property
    def mid(self) -> Decimal:
        """The middle of the quote."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, as the venue reports it; `fill_id` is the venue's and unique there.

    size > 0; commission in `commission_currency`, positive when paid.
    """

    fill_id: str
    client_id: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    commission: Decimal
    time: datetime
    commission_currency: str = "USD"


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing a venue said about one order.

    sequence: the venue's own numbering, rising without gaps. time: the venue's time (the bar's, in a replay).
    trigger and limit: the new prices of a TRAIL event.
    """

    sequence: int
    client_id: str
    status: OrderStatus
    time: datetime
    kind: EventKind = EventKind.STATUS
    fill: Fill | None = None
    reason: str = ""
    trigger: Decimal | None = None
    limit: Decimal | None = None
    venue_order_id: str = ""


@dataclass(frozen=True, slots=True)
class OrderState:
    """What a venue knows of one order when asked."""

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    size: Decimal
    filled: Decimal
    status: OrderStatus
    trigger: Decimal | None = None
    limit: Decimal | None = None
    venue_order_id: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """What is held: size is signed, price the average entry."""

    symbol: str
    size: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class DataInfo:
    """Where a run's bars came from, and what cleaning did to them."""

    source: str
    symbols: tuple[str, ...]
    start: datetime
    end: datetime
    bars: int
    timeframe: str = ""
    quality: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
