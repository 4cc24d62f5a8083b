"""Our orders as Binance tells of them: every message turned into events once, numbered and on disk before anyone hears.

Trades alone move positions. A commission in the traded asset is part of what was received: the fill is told with what
arrived, and the commission at its value, so that cash and position are exact to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.binance_orders import NOTHING, BinanceOrder, Pair, Stage, Trade
from brokers.venue_log import VenueLog
from core.telemetry import get_logger
from core.types import EventKind, Fill, OrderEvent, OrderStatus, Position, Side

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDED: Mapping[str, OrderStatus] = {
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}

log = get_logger("brokers.binance")


@dataclass(frozen=True, slots=True)
class External:
    """A trade on the account that no order of this run brought about."""

    execution_id: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    time: datetime
    order_ref: str


class BinanceBook:
    """Keeps orders and events. pairs: by native symbol. on_event: called when there is something new to hear."""

    def __init__(self, kept: VenueLog[BinanceOrder], on_event: Callable[[], None]) -> None:
        self.log = kept
        self.pairs: Mapping[str, Pair] = {}
        self.external: list[External] = []
        self.last_trade: dict[str, int] = {}
        self._on_event = on_event
        self._trades: set[str] = set()
        self._owners: dict[tuple[str, int], str] = {}
        self._positions: dict[str, Position] = {}

    def load(self) -> None:
        """Read what is on file."""
        self.log.open()
        self._trades.clear()
        self._positions.clear()
        for event in self.log.events:
            if event.fill is not None:
                self._count(event.fill)
        for order in self.log.orders.values():
            if order.order_id:
                self._owners[order.native, order.order_id] = order.client_id

    # -- looking

    def order(self, client_id: str) -> BinanceOrder | None:
        """An order of ours."""
        return self.log.orders.get(client_id)

    def live(self) -> list[BinanceOrder]:
        """Orders something can still happen to, oldest first."""
        return [order for order in self.log.orders.values() if order.live]

    def owner(self, native: str, order_id: int, sent_id: str = "") -> BinanceOrder | None:
        """Whose order that is: known by Binance's id, or by the id it was sent with."""
        client_id = self._owners.get((native, order_id))
        if client_id is None:
            client_id = sent_id if sent_id in self.log.orders else sent_id.rpartition(".")[0]
        return self.log.orders.get(client_id)

    def positions(self) -> dict[str, Position]:
        """What our own fills have left us with, by symbol."""
        return {symbol: held for symbol, held in self._positions.items() if held.size}

    def held(self, symbol: str) -> Decimal:
        """Units of one symbol."""
        return self._positions[symbol].size if symbol in self._positions else NOTHING

    # -- what happens

    def keep(self, *orders: BinanceOrder) -> None:
        """Write orders down without an event."""
        for order in orders:
            if order.order_id:
                self._owners[order.native, order.order_id] = order.client_id
        self.log.commit((), [(order.client_id, order) for order in orders])

    def accepted(self, order: BinanceOrder, time: int, reason: str = "") -> BinanceOrder:
        """Binance (or we, for a child that waits) took an order; told once, however often it is heard."""
        if order.status not in (OrderStatus.INTENT, OrderStatus.SUBMITTED) and not reason:
            self.keep(order)
            return order
        statuses = [OrderStatus.ACCEPTED]
        if order.status is OrderStatus.INTENT:
            statuses.insert(0, OrderStatus.SUBMITTED)
        elif reason and order.traded:
            statuses = [OrderStatus.PARTIAL]
        order = replace(order, status=statuses[-1])
        self._tell(order, [self._event(order, status, time, reason=reason) for status in statuses])
        return order

    def refused(self, order: BinanceOrder, status: OrderStatus, time: int, reason: str) -> BinanceOrder:
        """An order nobody was told of, sent and not taken, which is told as its end."""
        submitted = self._event(order, OrderStatus.SUBMITTED, time)
        order = replace(order, stage=Stage.KNOWN, status=status)
        self._tell(order, [submitted, self._event(order, status, time, reason=reason)])
        return order

    def trade(self, order: BinanceOrder, trade: Trade) -> BinanceOrder:
        """One trade of an order of ours; told once."""
        self.last_trade[order.native] = max(trade.id, self.last_trade.get(order.native, 0))
        if f"{order.native}:{trade.id}" in self._trades:
            return order
        if order.status in (OrderStatus.INTENT, OrderStatus.SUBMITTED):
            order = self.accepted(replace(order, stage=Stage.KNOWN), trade.time)
        fill = self._fill(order, trade)
        traded = order.traded + trade.quantity
        whole = traded >= order.quantity
        status = OrderStatus.FILLED if whole else OrderStatus.PARTIAL
        order = replace(
            order,
            traded=traded,
            received=order.received + fill.size,
            status=order.status if order.status.terminal else status,
        )
        self._count(fill)
        reason = ""
        if whole and order.received != order.size:
            reason = f"{order.received:f} of {order.size:f}: whole lots, less what commissions took"
        self._tell(order, [self._event(order, status, trade.time, fill=fill, reason=reason)])
        return order

    def ended(self, order: BinanceOrder, status: OrderStatus, time: int, reason: str = "") -> BinanceOrder:
        """Nothing more happens to an order; told once."""
        if order.status.terminal:
            return order
        order = replace(order, status=status, pending=0)
        self._tell(order, [self._event(order, status, time, reason=reason)])
        return order

    def forget(self, order: BinanceOrder) -> None:
        """Binance never had it."""
        self.keep(replace(order, stage=Stage.ABSENT))

    def note_external(self, native: str, side: Side, trade: Trade, sent_id: str) -> None:
        """A trade of nobody we know: flagged, not adopted."""
        self.last_trade[native] = max(trade.id, self.last_trade.get(native, 0))
        pair, execution_id = self.pairs.get(native), f"{native}:{trade.id}"
        if pair is None or execution_id in self._trades:
            return
        self._trades.add(execution_id)
        found = External(
            execution_id,
            pair.instrument.symbol,
            side,
            trade.quantity,
            trade.price,
            moment(trade.time),
            sent_id,
        )
        self.external.append(found)
        log.warning("order.external", symbol=found.symbol, side=side, size=found.size, price=found.price)

    # -- within

    def _fill(self, order: BinanceOrder, trade: Trade) -> Fill:
        pair, side = self.pairs[order.native], order.intent.side
        size, commission, currency = trade.quantity, trade.commission, trade.asset or pair.quote
        if currency == pair.base and side is Side.BUY:
            size, commission, currency = size - commission, commission * trade.price, pair.quote
        return Fill(
            f"{order.native}:{trade.id}",
            order.client_id,
            order.intent.symbol,
            side,
            size,
            trade.price,
            commission,
            moment(trade.time),
            currency,
        )

    def _count(self, fill: Fill) -> None:
        self._trades.add(fill.fill_id)
        native, _, number = fill.fill_id.rpartition(":")
        self.last_trade[native] = max(int(number), self.last_trade.get(native, 0))
        held = self._positions.get(fill.symbol, Position(fill.symbol, NOTHING, NOTHING))
        signed = fill.size * fill.side.sign
        total = held.size + signed
        price = held.price
        if held.size * signed >= 0:
            price = (held.price * held.size + fill.price * signed) / total
        elif total * held.size < 0:
            price = fill.price
        self._positions[fill.symbol] = Position(fill.symbol, total, price if total else NOTHING)

    def _event(
        self,
        order: BinanceOrder,
        status: OrderStatus,
        time: int,
        *,
        fill: Fill | None = None,
        reason: str = "",
    ) -> OrderEvent:
        return OrderEvent(
            sequence=0,
            client_id=order.client_id,
            status=status,
            time=moment(time),
            kind=EventKind.STATUS,
            fill=fill,
            reason=reason,
            venue_order_id=str(order.order_id) if order.order_id else "",
        )

    def _tell(self, order: BinanceOrder, events: list[OrderEvent]) -> None:
        first = self.log.sequence + 1
        numbered = [replace(event, sequence=first + place) for place, event in enumerate(events)]
        if order.order_id:
            self._owners[order.native, order.order_id] = order.client_id
        self.log.commit(numbered, [(order.client_id, order)])
        self._on_event()


def moment(milliseconds: int) -> datetime:
    """A time as Binance writes it."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def outcome(answer: Mapping[str, Any]) -> tuple[OrderStatus | None, Decimal]:
    """How an order ended, or None while it lives, and how much of this generation has traded."""
    return ENDED.get(str(answer["status"])), Decimal(str(answer["executedQty"]))
