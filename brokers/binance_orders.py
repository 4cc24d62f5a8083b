"""One order as the Binance venue keeps it, and how it is written to Binance: rounding, types, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any

from core.errors import OrderRejected
from core.types import Instrument, OrderIntent, OrderState, OrderStatus, OrderType, Side

NOTHING = Decimal(0)
BASIS_POINTS = Decimal(10_000)
LIVE_TYPES: Mapping[OrderType, str] = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderType.STOP_TRAIL: "STOP_LOSS",
    OrderType.STOP_TRAIL_LIMIT: "STOP_LOSS_LIMIT",
}
REACHED: Mapping[OrderType, OrderType] = {
    OrderType.STOP: OrderType.MARKET,
    OrderType.STOP_TRAIL: OrderType.MARKET,
    OrderType.STOP_LIMIT: OrderType.LIMIT,
    OrderType.STOP_TRAIL_LIMIT: OrderType.LIMIT,
}
"""What a stop is sent as whose trigger the market has already reached: Binance refuses it, but it must work."""
TRAILS = frozenset({OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT})
STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
"""Stops with a trigger that stays; where one that trails stands, Binance does not tell."""
LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.STOP_TRAIL_LIMIT})
FEE_TOLERANCE = Decimal("0.005")


class Stage(StrEnum):
    """How far an order has come.

    HELD: waits for the rest of its bracket. WAITING: taken by us, to be placed when its parent fills. SENT: on its
    way, nobody knows. KNOWN: Binance has it. ABSENT: it never had it.
    """

    HELD = "held"
    WAITING = "waiting"
    SENT = "sent"
    KNOWN = "known"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class BinanceOrder:
    """One order of ours.

    generation: how often it was placed; every change of a resting order places it anew under an id of its own.
    order_id, list_id: Binance's, of this generation; 0 before it is known, or outside a list. sent_at: seconds since
    the epoch. size: units asked for. quantity: units to trade over all generations, in whole lots. traded: units
    traded, of them `earlier` by generations before this one. received: what that moved the position by, commissions
    in the traded asset taken off. pending: a generation that may be on its way, or 0.
    """

    intent: OrderIntent
    native: str
    stage: Stage
    size: Decimal
    quantity: Decimal
    price: Decimal | None = None
    limit: Decimal | None = None
    generation: int = 1
    pending: int = 0
    order_id: int = 0
    list_id: int = 0
    sent_at: float = 0.0
    status: OrderStatus = OrderStatus.INTENT
    traded: Decimal = NOTHING
    earlier: Decimal = NOTHING
    received: Decimal = NOTHING

    @property
    def client_id(self) -> str:
        """The id it is known by on our side."""
        return self.intent.client_id

    @property
    def live(self) -> bool:
        """Whether something can still happen to it."""
        return self.stage is not Stage.ABSENT and not self.status.terminal

    @property
    def remaining(self) -> Decimal:
        """Units still to trade."""
        return self.quantity - self.traded

    def sent_id(self, generation: int | None = None) -> str:
        """The id a generation is known by at Binance."""
        number = generation or self.generation
        return self.client_id if number == 1 else f"{self.client_id}.{number}"

    def state(self) -> OrderState:
        """What a client is told."""
        return OrderState(
            client_id=self.client_id,
            symbol=self.intent.symbol,
            side=self.intent.side,
            type=self.intent.type,
            size=self.size,
            filled=self.received,
            status=OrderStatus.INTENT if self.stage is Stage.HELD else self.status,
            trigger=self.price if self.intent.type in STOPS else None,
            limit=self.price if self.intent.type is OrderType.LIMIT else self.limit,
            venue_order_id=str(self.order_id) if self.order_id else "",
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as Binance tells it. quantity and price are the market's; commission in `asset`."""

    id: int
    order_id: int
    quantity: Decimal
    price: Decimal
    commission: Decimal
    asset: str
    time: int

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> Trade:
        """Out of an executionReport."""
        return cls(
            int(report["t"]), int(report["i"]), Decimal(report["l"]), Decimal(report["L"]), Decimal(report["n"]),
            report["N"] or "", int(report["T"]),
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Trade:
        """Out of a row of myTrades."""
        return cls(
            int(row["id"]), int(row["orderId"]), Decimal(row["qty"]), Decimal(row["price"]),
            Decimal(row["commission"]), row["commissionAsset"], int(row["time"]),
        )  # fmt: skip

    @classmethod
    def of_fill(cls, fill: Mapping[str, Any], answer: Mapping[str, Any]) -> Trade:
        """Out of a fill in the answer to a new order."""
        return cls(
            int(fill["tradeId"]), int(answer["orderId"]), Decimal(fill["qty"]), Decimal(fill["price"]),
            Decimal(fill["commission"]), fill["commissionAsset"], int(answer["transactTime"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """What is traded, as Binance calls it, with the assets on both sides."""

    instrument: Instrument
    native: str
    base: str
    quote: str

    def lots(self, size: Decimal) -> Decimal:
        """`size` rounded down to whole lots."""
        return _stepped(size, self.instrument.lot_size, ROUND_FLOOR)

    def limit_price(self, price: Decimal, side: Side) -> Decimal:
        """A limit on the price grid, never worse than asked."""
        return _stepped(price, self.instrument.tick_size, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)

    def behind(self, price: Decimal, best: Decimal, side: Side) -> Decimal:
        """A price that waits at `best`, of our own side of the book, and a step or more behind `price`."""
        step = self.instrument.tick_size or Decimal(0)
        return min(best, price - step) if side is Side.BUY else max(best, price + step)

    def trigger_price(self, price: Decimal) -> Decimal:
        """A trigger on the price grid, the nearest."""
        return _stepped(price, self.instrument.tick_size, ROUND_HALF_EVEN)


def check_intent(intent: OrderIntent, pair: Pair, quantity: Decimal) -> None:
    """Raise OrderRejected for an order Binance could not take, before it is asked."""
    if not (intent.size.is_finite() and intent.size > 0):
        raise OrderRejected(f"size {intent.size} must be above 0", rule="size", value=intent.size)
    if intent.type not in LIVE_TYPES:
        raise OrderRejected(f"Binance has no {intent.type} orders: its markets never close", rule="type")
    if intent.type in LIMITS and limit_of(intent) is None and intent.type not in TRAILS:
        raise OrderRejected("the order needs a limit", rule="price")
    if intent.post_only and intent.type is not OrderType.LIMIT:
        raise OrderRejected(f"a {intent.type} order cannot be post-only", rule="post_only")
    if intent.type in TRAILS:
        trailing_delta(intent)
    if quantity <= 0:
        lot = pair.instrument.lot_size
        raise OrderRejected(
            f"size {intent.size:f} is less than one lot", rule="lot_size", limit=lot, value=intent.size
        )
    price = intent.price or intent.limit or intent.reference_price
    least = pair.instrument.min_notional
    if least is not None and price and quantity * price < least:
        raise OrderRejected(
            f"{quantity * price:f} {pair.quote} is below Binance's least order value {least:f}",
            rule="min_notional",
            limit=least,
            value=quantity * price,
        )


def limit_of(intent: OrderIntent) -> Decimal | None:
    """The limit price of an intent, wherever its type keeps it."""
    return intent.price if intent.type is OrderType.LIMIT else intent.limit


def trailing_delta(intent: OrderIntent) -> int:
    """The distance of a trailing stop in Binance's unit, hundredths of a percent.

    Binance trails by a fraction alone. An amount is turned into the fraction it is of the reference price, once;
    that it then moves as a fraction is Binance's way.
    """
    fraction = intent.trail_percent
    if fraction is None and intent.trail_amount is not None and intent.reference_price:
        fraction = intent.trail_amount / intent.reference_price
    if fraction is None:
        raise OrderRejected("a trailing stop needs a distance", rule="trail")
    delta = int((fraction * BASIS_POINTS).to_integral_value(rounding=ROUND_HALF_EVEN))
    if delta < 1:
        raise OrderRejected(f"a trail of {fraction:f} is below Binance's least", rule="trail", value=fraction)
    return delta


def sellable(intent: OrderIntent, held: Decimal) -> Decimal:
    """What to sell: all that is held, when the order exceeds it by no more than commissions took."""
    if intent.side is Side.SELL and 0 < held < intent.size and intent.size * (1 - FEE_TOLERANCE) <= held:
        return held
    return intent.size


def order_params(order: BinanceOrder, pair: Pair, kind: OrderType | None = None) -> dict[str, str]:
    """The parameters that place an order. kind: another type than its own."""
    kind, intent = kind or order.intent.type, order.intent
    params = {
        "symbol": pair.native,
        "side": intent.side.value.upper(),
        "type": "LIMIT_MAKER" if intent.post_only else LIVE_TYPES[kind],
        "quantity": f"{order.remaining:f}",
        "newClientOrderId": order.sent_id(),
        "newOrderRespType": "FULL",
    }
    return {**params, **price_params(order, pair, kind)}


def price_params(order: BinanceOrder, pair: Pair, kind: OrderType) -> dict[str, str]:
    """Limit, trigger and trail of an order, in Binance's names."""
    intent = order.intent
    params: dict[str, str] = {}
    limit = order.price if intent.type is OrderType.LIMIT else order.limit
    if kind in LIMITS:
        wanted = limit or order.price or intent.reference_price
        params["price"] = f"{pair.limit_price(wanted, intent.side):f}"
        if not intent.post_only:
            params["timeInForce"] = "GTC"
    if kind in TRAILS:
        params["trailingDelta"] = str(trailing_delta(intent))
    elif kind in STOPS:
        params["stopPrice"] = f"{pair.trigger_price(order.price or intent.reference_price):f}"
    return params


def terms_of(order: BinanceOrder) -> dict[str, Any]:
    """What a change may change."""
    return {"size": order.size, "quantity": order.quantity, "price": order.price, "limit": order.limit}


def told_terms(order: BinanceOrder, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of a generation nobody remembers asking for, as Binance has them."""
    quantity = order.traded + Decimal(answer["origQty"])
    limit, trigger = Decimal(answer["price"]) or None, Decimal(answer.get("stopPrice", "0")) or None
    price = limit if order.intent.type is OrderType.LIMIT else trigger
    size = order.size if order.intent.parent is not None else quantity
    return {"size": size, "quantity": quantity, "price": price, "limit": limit}


def _stepped(value: Decimal, step: Decimal | None, rounding: str) -> Decimal:
    return value if not step else (value / step).to_integral_value(rounding=rounding) * step
