"""The values an exchange keeps: tickets, orders, executions, and what happened to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.types import OrderStatus, OrderType, Side

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT})
TRAILS = frozenset({OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT})
LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.STOP_TRAIL_LIMIT})


class TimeInForce(StrEnum):
    """How long an order may work."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    DAY = "DAY"


class LinkRule(StrEnum):
    """What one order of a list does to the others.

    TOUCH: the first to trade or trigger ends the others as expired. REDUCE: what one fills, the others lose; a
    complete fill, or a cancel, cancels them.
    """

    TOUCH = "touch"
    REDUCE = "reduce"


class Change(StrEnum):
    """What happened to an order."""

    NEW = "new"
    TRADE = "trade"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    AMENDED = "amended"
    TRIGGERED = "triggered"
    TRAILED = "trailed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be traded: sizes are in `base`, prices in `quote` a unit."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal("0.00001")
    min_notional: Decimal = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Ticket:
    """What a client asks for.

    limit: of the limit kinds. trigger: of the stop kinds; take_profit makes it fire on the favourable side.
    trail_amount in quote currency, trail_percent a fraction; fixed_limit: the limit does not
    trail along. quote_size: a market order for this much quote
    currency, size 0. parent: id of the order that must fill first. tags: the protocol's own, kept untouched.
    """

    account: str
    symbol: str
    side: Side
    type: OrderType
    size: Decimal
    client_id: str = ""
    limit: Decimal | None = None
    trigger: Decimal | None = None
    take_profit: bool = False
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    fixed_limit: bool = False
    quote_size: Decimal | None = None
    post_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: datetime | None = None
    parent: int | None = None
    external: bool = False
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Order(Ticket):
    """A ticket the exchange took. status INTENT: held until its parent has filled.

    value: quote currency traded so far. triggered: a stop that now works. resting: it has stood in the book, so
    what fills it pays the maker's fee. anchor: the best price a trail has seen. fees: charged so far.
    """

    id: int
    created: datetime
    updated: datetime
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    triggered: bool = False
    resting: bool = False
    anchor: Decimal | None = None
    group: int | None = None
    priority: int = 0

    @property
    def remaining(self) -> Decimal:
        """Units still to fill."""
        return self.size - self.filled

    @property
    def open(self) -> bool:
        """Whether it can still fill, now or once its parent has."""
        return not self.status.terminal

    @property
    def working(self) -> bool:
        """Whether the book may fill it now."""
        held = self.status is OrderStatus.INTENT
        return self.open and not held and (self.triggered or self.type not in STOPS)


@dataclass(frozen=True, slots=True)
class Execution:
    """One trade of an order; `id` rises over the whole exchange."""

    id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, with the order as it stood right after; numbered from 1 without gaps."""

    number: int
    time: datetime
    change: Change
    order: Order
    execution: Execution | None = None
    reason: str = ""


@dataclass(slots=True)
class OrderList:
    """Orders that one rule links."""

    id: int
    account: str
    symbol: str
    client_id: str
    rule: LinkRule
    created: datetime
    orders: list[int] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Holding:
    """What an account has traded into: signed size at an average price; realised is before fees."""

    size: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)


@dataclass(slots=True)
class Account:
    """Balances by asset. leverage None: a cash account, which can only spend what it has."""

    name: str
    balances: dict[str, Decimal] = field(default_factory=dict)
    leverage: Decimal | None = None
    holdings: dict[str, Holding] = field(default_factory=dict)
    updated: datetime | None = None

    def add(self, asset: str, amount: Decimal) -> None:
        """Credit `amount`, or debit a negative one."""
        self.balances[asset] = self.balances.get(asset, Decimal(0)) + amount

    def trade(self, symbol: str, size: Decimal, price: Decimal) -> None:
        """Take a signed fill into the holding: averages when entering, realises when leaving."""
        held = self.holdings.setdefault(symbol, Holding())
        if held.size * size >= 0:
            total = held.size + size
            held.price = (held.price * held.size + price * size) / total
        else:
            closing = min(abs(size), abs(held.size))
            sign = 1 if held.size > 0 else -1
            held.realised += closing * (price - held.price) * sign
            if abs(size) > abs(held.size):
                held.price = price
        held.size += size
        if not held.size:
            held.price = Decimal(0)


Listings = Mapping[str, Listing]
