"""Our orders in IBKR's words: types, prices on the tick, brackets, groups. Pure; knows no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any

from brokers.ibkr_words import CLOCK_ERROR
from core.errors import OrderRejected
from core.types import Instrument, OrderIntent, OrderState, OrderStatus, OrderType, Side

TRAILS = frozenset({OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT})
STOPS = TRAILS | {OrderType.STOP, OrderType.STOP_LIMIT}
STOP_LIMITS = frozenset({OrderType.STOP_LIMIT, OrderType.STOP_TRAIL_LIMIT})
IB_TYPES: Mapping[OrderType, str] = {
    OrderType.MARKET: "MKT",
    OrderType.CLOSE: "MOC",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.STOP_TRAIL: "TRAIL",
    OrderType.STOP_TRAIL_LIMIT: "TRAIL LIMIT",
}
AT_ONCE = frozenset({OrderType.MARKET, OrderType.CLOSE})
REDUCE_WITH_BLOCK = 2
"""OCA type: what one order fills the others lose, and only one is at the exchange at a time."""


class Stage(StrEnum):
    """How far an order has come between us and the venue.

    HELD: it waits for the last order of its bracket. SENT: on the wire, and nobody has said what became of it.
    KNOWN: the venue has told of it. ABSENT: the venue was asked, and has never had it. GONE: it had it, and tells no
    more of it.
    """

    HELD = "held"
    SENT = "sent"
    KNOWN = "known"
    ABSENT = "absent"
    GONE = "gone"


@dataclass(slots=True)
class IBOrder:
    """One order of ours as IBKR last told of it.

    price: the limit of a LIMIT, where the trigger of a stop kind stands; limit: of the stop limit kinds.
    perm_id: IBKR's own id of it, 0 before it is known. order_id: what the present connection calls it, 0 when it does
    not; ids are handed out again, so it never finds an order by itself. cancelling: we asked for its end. reported:
    units the venue says have filled; filled: those whose executions we have. ended: the end the venue has told,
    while executions are missing. abandoned: it was given up as one the venue never had.
    """

    intent: OrderIntent
    size: Decimal
    stage: Stage
    price: Decimal | None = None
    limit: Decimal | None = None
    group: str = ""
    status: OrderStatus = OrderStatus.INTENT
    filled: Decimal = Decimal(0)
    reported: Decimal = Decimal(0)
    perm_id: int = 0
    order_id: int = 0
    cancelling: bool = False
    ended: OrderStatus | None = None
    abandoned: bool = False
    reason: str = ""

    @property
    def client_id(self) -> str:
        """Our id of it, which IBKR carries as its orderRef."""
        return self.intent.client_id

    def ended_at(self, time: datetime) -> OrderStatus:
        """What IBKR's word that it is cancelled means at that time, of the venue's: it may have expired."""
        expires = self.intent.expires_at
        due = expires is not None and time + CLOCK_ERROR >= expires
        return OrderStatus.EXPIRED if due and not self.cancelling else OrderStatus.CANCELLED

    def state(self) -> OrderState:
        """What a client is told."""
        kind = self.intent.type
        limited = self.price if kind is OrderType.LIMIT else self.limit if kind in STOP_LIMITS else None
        return OrderState(
            client_id=self.client_id,
            symbol=self.intent.symbol,
            side=self.intent.side,
            type=kind,
            size=self.size,
            filled=self.filled,
            status=self.status,
            trigger=self.price if kind in STOPS else None,
            limit=limited,
            venue_order_id=str(self.perm_id or ""),
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument as IBKR lists it. increments: from which price on which step holds, rising."""

    contract: Any
    instrument: Instrument
    increments: tuple[tuple[Decimal, Decimal], ...]

    def step(self, price: Decimal) -> Decimal:
        """The price step at `price`."""
        steps = [step for edge, step in self.increments if edge <= abs(price)]
        return steps[-1] if steps else self.increments[0][1]

    def limit(self, price: Decimal, side: Side) -> Decimal:
        """`price` on a step, never worse than asked: down for a buy, up for a sale."""
        return _on_step(price, self.step(price), ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)

    def trigger(self, price: Decimal) -> Decimal:
        """`price` on the nearest step."""
        return _on_step(price, self.step(price), ROUND_HALF_EVEN)


def new_order(intent: OrderIntent, listed: Listed, orders: Mapping[str, IBOrder]) -> IBOrder:
    """The order an intent asks for. Raises OrderRejected for one that no exchange could take.

    orders: those made before, where its parent and its group are found.
    """
    _check(intent, listed.instrument, orders)
    order = IBOrder(intent, intent.size, Stage.HELD, group=_group(intent, orders))
    asked = intent.price if intent.price is not None else intent.reference_price
    if intent.type is OrderType.LIMIT:
        order.price = listed.limit(asked, intent.side)
    elif intent.type in TRAILS:
        order.price = listed.trigger(asked + intent.side.sign * _distance(intent, asked))
    elif intent.type in STOPS:
        order.price = listed.trigger(asked)
    if intent.type in STOP_LIMITS:
        limit = intent.limit if intent.limit is not None else asked
        if intent.type is OrderType.STOP_TRAIL_LIMIT and order.price is not None:
            limit = order.price + (limit - asked)
        order.limit = listed.limit(limit, intent.side)
    return order


def order_fields(
    order: IBOrder, listed: Listed, *, account: str, parent: int, transmit: bool
) -> dict[str, Any]:
    """What IBKR's order says, by its own names. parent: order id of the bracket's entry, 0 without one."""
    intent = order.intent
    fields: dict[str, Any] = {
        "action": "BUY" if intent.side is Side.BUY else "SELL",
        "totalQuantity": float(order.size),
        "orderType": IB_TYPES[intent.type],
        "orderRef": order.client_id,
        "account": account,
        "tif": "DAY" if intent.type in AT_ONCE else "GTC",
        "transmit": transmit,
        "parentId": parent,
    }
    if intent.expires_at is not None and intent.type not in AT_ONCE:
        fields |= {"tif": "GTD", "goodTillDate": f"{intent.expires_at:%Y%m%d-%H:%M:%S}"}
    if order.group:
        fields |= {"ocaGroup": order.group, "ocaType": REDUCE_WITH_BLOCK}
    if intent.type is OrderType.LIMIT:
        fields["lmtPrice"] = _number(order.price)
    elif intent.type in TRAILS:
        fields |= _trail_fields(order, listed)
    elif intent.type in STOPS:
        fields["auxPrice"] = _number(order.price)
    if intent.type is OrderType.STOP_LIMIT:
        fields["lmtPrice"] = _number(order.limit)
    return fields


def _trail_fields(order: IBOrder, listed: Listed) -> dict[str, Any]:
    intent = order.intent
    fields: dict[str, Any] = {"trailStopPrice": _number(order.price)}
    if intent.trail_percent is not None:
        fields["trailingPercent"] = float(intent.trail_percent * 100)
    elif intent.trail_amount is not None:
        fields["auxPrice"] = float(listed.trigger(intent.trail_amount))
    if order.limit is not None and order.price is not None:
        fields["lmtPriceOffset"] = float(abs(order.limit - order.price))
    return fields


def _check(intent: OrderIntent, instrument: Instrument, orders: Mapping[str, IBOrder]) -> None:
    if not (intent.size.is_finite() and intent.size > 0):
        raise OrderRejected(f"size {intent.size} must be above 0", rule="size", value=intent.size)
    if intent.post_only:
        raise OrderRejected("IBKR has no post-only orders for what is traded here", rule="post_only")
    lot = instrument.lot_size
    if lot is not None and intent.size % lot:
        raise OrderRejected(
            f"size {intent.size:f} of {intent.symbol} is not a whole number of lots of {lot:f}",
            rule="lot",
            limit=lot,
            value=intent.size,
        )
    prices = (intent.reference_price, intent.price, intent.limit, intent.trail_amount, intent.trail_percent)
    for price in prices:
        if price is not None and not (price.is_finite() and price > 0):
            raise OrderRejected(f"price {price} must be above 0", rule="price", value=price)
    if intent.type in TRAILS and intent.trail_amount is None and intent.trail_percent is None:
        raise OrderRejected("a trailing stop needs an amount or a fraction to trail by", rule="trail")
    for name, other in (("one-cancels-other group", intent.oco), ("bracket", intent.parent)):
        if other is not None and other not in orders:
            raise OrderRejected(f"order {other}, whose {name} it joins, is not known", rule="link")


def _group(intent: OrderIntent, orders: Mapping[str, IBOrder]) -> str:
    """The OCA group. An order's group cannot change later, so each that may rest stands in one from the start."""
    if intent.oco is not None:
        return orders[intent.oco].group
    if intent.parent is not None:
        return f"{intent.parent}-exits"
    return "" if intent.type in AT_ONCE else f"{intent.client_id}-group"


def _distance(intent: OrderIntent, price: Decimal) -> Decimal:
    if intent.trail_amount is not None:
        return intent.trail_amount
    return price * (intent.trail_percent or Decimal(0))


def _on_step(price: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (price / step).to_integral_value(rounding=rounding) * step


def _number(price: Decimal | None) -> float | None:
    return None if price is None else float(price)
