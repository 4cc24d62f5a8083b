"""From a Backtrader order to what is written down and sent: pure translation, nothing decided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import backtrader as bt

from brokers.order_objects import exact
from core.types import ExitReason, OrderIntent, OrderType, Side

ORDER_TYPES = {
    bt.Order.Market: OrderType.MARKET,
    bt.Order.Close: OrderType.CLOSE,
    bt.Order.Limit: OrderType.LIMIT,
    bt.Order.Stop: OrderType.STOP,
    bt.Order.StopLimit: OrderType.STOP_LIMIT,
    bt.Order.StopTrail: OrderType.STOP_TRAIL,
    bt.Order.StopTrailLimit: OrderType.STOP_TRAIL_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a decision stands: whose it is, on which bar, its number among that bar's orders, its group and bracket."""

    bot: str
    strategy: str
    symbol: str
    bar_time: datetime
    leg: int
    oco: str | None = None
    parent: str | None = None


def client_order_id(bot: str, strategy: str, symbol: str, bar: datetime, leg: int) -> str:
    """The same id for the same decision, in every life of the process; 24 characters every venue accepts."""
    text = "\x1f".join((bot, strategy, symbol, bar.isoformat(), str(leg)))
    return "tw" + hashlib.sha256(text.encode()).hexdigest()[:22]


def intent_of(order: bt.Order, place: Place) -> OrderIntent:
    """The order as data. Sizes and prices are exact; a price of 0 is none; times without a zone are UTC."""
    reason = order.info.get("exit_reason")
    return OrderIntent(
        client_id=client_order_id(place.bot, place.strategy, place.symbol, place.bar_time, place.leg),
        symbol=place.symbol,
        side=Side.BUY if order.isbuy() else Side.SELL,
        type=ORDER_TYPES[order.exectype],
        size=exact(abs(order.size)),
        reference_price=exact(order.created.pclose),
        bar_time=place.bar_time,
        leg=place.leg,
        bot=place.bot,
        strategy=place.strategy,
        price=exact(order.price) if order.price else None,
        limit=exact(order.pricelimit) if order.pricelimit else None,
        trail_amount=exact(order.trailamount) if order.trailamount else None,
        trail_percent=exact(order.trailpercent) if order.trailpercent else None,
        expires_at=utc(bt.num2date(order.valid)) if order.valid else None,
        session_end=utc(bt.num2date(order.dteos)) if order.exectype == bt.Order.Close else None,
        oco=place.oco,
        parent=place.parent,
        transmit=bool(order.transmit),
        exit_reason=ExitReason(reason) if reason else None,
        post_only=bool(order.info.get("post_only")),
    )


def utc(time: datetime) -> datetime:
    """A time of Backtrader's, which is UTC without saying so."""
    return time.replace(tzinfo=UTC)
