"""One order as the paper venue keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from brokers import matching
from core.types import OrderIntent, OrderState, OrderStatus, OrderType, to_decimal


@dataclass(slots=True, eq=False)
class PaperOrder:
    """One order at the paper venue.

    number: place in the order of arrival. size, filled: signed. price and limit as in `matching.Resting`.
    limit_offset: trigger minus limit of a trailing stop limit. leader: the first order of its one-cancels-other
    group. group: the members, while this order leads a group that nothing has happened to yet. bracket: this order
    and its children, oldest first, until one of them ends; None once the bracket is gone.
    status INTENT: held back until the rest of its bracket arrives.
    """

    intent: OrderIntent
    number: int
    size: float
    price: float
    limit: float
    leader: str
    limit_offset: float = 0.0
    filled: float = 0.0
    remaining: float = 0.0
    fills: int = 0
    status: OrderStatus = OrderStatus.INTENT
    active: bool = True
    triggered: bool = False
    noted_close: float | None = None
    group: list[str] | None = None
    bracket: list[str] | None = None

    @property
    def type(self) -> OrderType:
        """How it wants to be executed."""
        return self.intent.type

    @property
    def buy(self) -> bool:
        """True for a buy."""
        return self.size > 0

    @property
    def created(self) -> datetime:
        """Time of the bar it was made on."""
        return self.intent.bar_time

    @property
    def session_end(self) -> datetime | None:
        """When a close order fills."""
        return self.intent.session_end

    @property
    def top(self) -> str:
        """Client id of the order whose bracket this one belongs to: its parent, or itself."""
        return self.intent.parent or self.intent.client_id

    def state(self) -> OrderState:
        """What a client is told."""
        kind = self.type
        stops = kind in matching.STOPS
        limits = kind in matching.STOP_LIMITS
        return OrderState(
            client_id=self.intent.client_id,
            symbol=self.intent.symbol,
            side=self.intent.side,
            type=kind,
            size=to_decimal(abs(self.size)),
            filled=to_decimal(abs(self.filled)),
            status=self.status,
            trigger=to_decimal(self.price) if stops else None,
            limit=to_decimal(self.limit if limits else self.price)
            if limits or kind is OrderType.LIMIT
            else None,
            venue_order_id=str(self.number),
        )


def new_order(intent: OrderIntent, number: int, leader: str) -> PaperOrder:
    """The order an intent asks for, with the prices it is made with."""
    price, limit = matching.created_prices(
        None if intent.price is None else float(intent.price),
        None if intent.limit is None else float(intent.limit),
        float(intent.reference_price),
    )
    size = float(intent.signed_size)
    order = PaperOrder(intent, number, size, price, limit, leader)
    order.remaining = size
    order.active = intent.parent is None
    if intent.type in matching.TRAILS:
        order.limit_offset = price - limit
        order.price = matching.first_trigger(order.buy, price, *trail_distance(intent))
        if intent.type is OrderType.STOP_TRAIL_LIMIT:
            order.limit = order.price - order.limit_offset
    return order


def trail_distance(intent: OrderIntent) -> tuple[float | None, float | None]:
    """Amount and fraction by which a trailing order stays behind the market."""
    amount, fraction = intent.trail_amount, intent.trail_percent
    return None if amount is None else float(amount), None if fraction is None else float(fraction)
