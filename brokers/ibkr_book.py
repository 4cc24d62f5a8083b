"""From what TWS says to the events of our orders: idempotent, in whatever order it comes. Pure; knows no socket.

Orders are found by their orderRef, which is our client id, and by permId; by order id only where a message carries
nothing else, and then only on the connection that placed the order or was told of it. Fills come from executions,
counted once by execution id, and are told with their commission. An order's end is told after its last execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from brokers.ibkr_orders import STOP_LIMITS, STOPS, TRAILS, IBOrder, Stage
from brokers.ibkr_words import (
    ACCEPTED_WORDS,
    CANCELLED,
    CLOCK_ERROR,
    ENDED_WORDS,
    MARGIN_WORDS,
    NOT_CHANGED,
    REFUSED,
    SIDES,
    WARNINGS,
    Completed,
    External,
    execution_key,
    told_price,
)
from brokers.venue_log import VenueLog
from core.errors import InconsistentState
from core.telemetry import get_logger
from core.types import EventKind, Fill, OrderEvent, OrderStatus, OrderType, to_decimal

log = get_logger("brokers.ibkr")


class IBKRBook:
    """Our orders as IBKR tells of them.

    now: the venue's time, for what carries none. api_client: our client's number; order ids of others are not ours.
    refusals: the last error that answered a change or a cancel, by client id. revived: orders that were given up as
    never taken, and came to light after all; of those only fills are told. since: when the run began, by the venue's
    time; what others did before is no news.
    """

    def __init__(self, kept: VenueLog[IBOrder], now: Callable[[], datetime], api_client: int) -> None:
        self.external: list[External] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.revived: list[str] = []
        self.since: datetime | None = None
        self._log = kept
        self._now = now
        self._api_client = api_client
        self._news: list[OrderEvent] = []
        self._changed: dict[str, IBOrder] = {}
        self._by_id: dict[int, str] = {}
        self._by_perm = {o.perm_id: o.client_id for o in kept.orders.values() if o.perm_id}
        self._counted = {execution_key(e.fill.fill_id) for e in kept.events if e.fill is not None}
        self._waiting: dict[str, tuple[IBOrder, Any]] = {}
        self._commissions: dict[str, Any] = {}
        self._strangers: set[str] = set()
        self._seen: set[str] | None = None
        self.disconnected()

    @property
    def orders(self) -> dict[str, IBOrder]:
        """Every order of ours, by client id."""
        return self._log.orders

    @property
    def incomplete(self) -> list[str]:
        """Orders of which executions, or their commissions, are still to come."""
        waiting = {order.client_id for order, _ in self._waiting.values()}
        short = {o.client_id for o in self.orders.values() if o.filled < o.reported and not o.status.terminal}
        return sorted(waiting | short)

    def oversized(self) -> list[tuple[str, Decimal]]:
        """Exits larger than what their entry has filled for good, and the size they ought to have."""
        found = []
        for order in self.orders.values():
            entry = self.orders.get(order.intent.parent or "")
            live = order.stage is Stage.KNOWN and not order.status.terminal
            if live and entry is not None and entry.status.terminal and entry.filled < order.size:
                found.append((order.client_id, entry.filled))
        return found

    # -- what we do

    def note(self, order: IBOrder) -> None:
        """Write down an order before it is sent."""
        self._log.commit([], [(order.client_id, order)])

    def place(self, order_ids: Mapping[str, int], orders: Iterable[IBOrder]) -> None:
        """From now on this connection calls each order by that id; all are written down at once, before one is sent."""
        placed = list(orders)
        for order in placed:
            order.order_id, order.stage, order.abandoned = order_ids[order.client_id], Stage.SENT, False
            self._by_id[order.order_id] = order.client_id
            if self._seen is not None:
                self._seen.add(order.client_id)
        self._log.commit([], [(order.client_id, order) for order in placed])

    def flush(self) -> int:
        """Write down what has happened since the last time; returns the number of new events."""
        count = len(self._news)
        if self._news or self._changed:
            self._log.commit(self._news, self._changed.items())
            self._news, self._changed = [], {}
        return count

    def disconnected(self) -> None:
        """Order ids and whatever was half told mean nothing any more."""
        self._by_id.clear()
        self._waiting.clear()
        self._commissions.clear()
        self.refusals.clear()
        for order in self.orders.values():
            order.order_id = 0

    def begin_review(self) -> None:
        """The venue is about to tell all it knows."""
        self._seen = set()

    def drop_review(self) -> None:
        """It could not."""
        self._seen = None

    def end_review(self) -> None:
        """It has: what it never had becomes ABSENT, or is refused where it said why; what it tells no more of, GONE."""
        seen, self._seen = self._seen or set(), None
        for order in self.orders.values():
            if order.client_id in seen or order.status.terminal:
                continue
            if order.stage is Stage.KNOWN:
                order.stage = Stage.GONE
                log.error("order.gone", order=order.client_id)
            elif order.stage is Stage.SENT and order.reason:
                self._refuse(order, order.reason)
            elif order.stage is Stage.SENT:
                order.stage, order.abandoned = Stage.ABSENT, True
            else:
                continue
            self._changed[order.client_id] = order

    # -- what TWS says

    def open_order(self, order_id: int, contract: Any, told: Any, state: Any) -> None:
        """The message openOrder."""
        order = None if told.whatIf else self._known(told.orderRef, told.permId)
        if order is None:
            return
        if told.orderId > 0 and told.clientId == self._api_client:
            self._call(order, told.orderId)
        self._meet(order, told.permId)
        self._advance(order, state.status)
        self._take_terms(order, told)

    def order_status(
        self,
        order_id: int,
        status: str,
        filled: float,
        remaining: float,
        average: float,
        perm_id: int,
        parent: int,
        last: float,
        client: int,
        *rest: Any,
    ) -> None:
        """The message orderStatus."""
        order = self._known("", perm_id)
        if order is None and client == self._api_client:
            order = self._called(order_id)
        if order is None or order.perm_id not in (0, perm_id):
            return
        self._meet(order, perm_id)
        self._report(order, to_decimal(filled))
        self._advance(order, status)
        if status == "Inactive" and self.refusals.get(order.client_id, (0, ""))[0] == 201:
            self._end(order, OrderStatus.REJECTED, self.refusals[order.client_id][1])

    def execution(self, request: int, contract: Any, execution: Any) -> None:
        """The message execDetails, live or asked for."""
        key = execution_key(execution.execId)
        if key in self._counted or key in self._waiting:
            self._note_correction(execution.execId, key)
            return
        order = self._known(execution.orderRef, execution.permId)
        if order is None:
            self._note_external(key, contract, execution)
            return
        self._meet(order, execution.permId)
        self._report(order, to_decimal(execution.cumQty))
        self._waiting[key] = order, execution
        report = self._commissions.pop(key, None)
        if report is not None:
            self._fill(key, report)

    def commission(self, report: Any) -> None:
        """The message commissionReport, before or after the execution it speaks of."""
        key = execution_key(report.execId)
        if key in self._waiting:
            self._fill(key, report)
        elif key not in self._counted and key not in self._strangers:
            self._commissions[key] = report

    def completed_order(self, told: Completed) -> None:
        """The message completedOrder: it has no order id, and no client's number."""
        order = self._known(told.order_ref, told.perm_id)
        if order is None:
            return
        self._meet(order, told.perm_id)
        self._report(order, told.filled)
        self._advance(order, told.word)
        if told.word == "Inactive":
            self._end(order, OrderStatus.REJECTED, told.reason)

    def error(self, request: int, code: int, text: str) -> None:
        """An error message on an order of ours; others are not looked at."""
        order = self._called(request)
        if order is None or code in WARNINGS or 2100 <= code < 2200:
            return
        if code == CANCELLED:
            self._end(order, order.ended_at(self._now()), text)
        elif order.status is OrderStatus.INTENT:
            order.reason = f"{code}: {text}"
            self._changed[order.client_id] = order
            if code in REFUSED:
                self._refuse(order, order.reason)
        elif code in NOT_CHANGED:
            self.refusals[order.client_id] = code, text

    # -- inside

    def _known(self, ref: str, perm_id: int) -> IBOrder | None:
        """Our order of that reference, or of that permanent id."""
        if ref and ref in self.orders:
            return self.orders[ref]
        client_id = self._by_perm.get(perm_id)
        return None if client_id is None else self.orders[client_id]

    def _called(self, order_id: int) -> IBOrder | None:
        """Our order of that id on this connection."""
        return self.orders.get(self._by_id.get(order_id, ""))

    def _meet(self, order: IBOrder, perm_id: int) -> None:
        """The venue knows this order."""
        if self._seen is not None:
            self._seen.add(order.client_id)
        if perm_id and order.perm_id and perm_id != order.perm_id:
            raise InconsistentState(
                f"IBKR has two orders of ours under the id {order.client_id} ({order.perm_id} and {perm_id})",
                hint="cancel one of them by hand, then start again",
            )
        if (order.perm_id, order.stage) == (perm_id or order.perm_id, Stage.KNOWN):
            # A review tells of all orders of the day again: those it has nothing new of are not written again.
            return
        self._changed[order.client_id] = order
        if perm_id:
            order.perm_id = perm_id
            self._by_perm[perm_id] = order.client_id
        if order.stage is Stage.ABSENT:
            self.revived.append(order.client_id)
        order.stage = Stage.KNOWN

    def _call(self, order: IBOrder, order_id: int) -> None:
        """The present connection calls the order by that id."""
        self._by_id[order_id] = order.client_id
        if order.order_id != order_id:
            order.order_id = order_id
            self._changed[order.client_id] = order

    def _report(self, order: IBOrder, filled: Decimal) -> None:
        """The venue says that so much of the order has filled; it never becomes less."""
        if filled > order.reported:
            order.reported = filled
            self._changed[order.client_id] = order

    def _advance(self, order: IBOrder, word: str) -> None:
        """The status in IBKR's words."""
        self._say_taken(order, accepted=word in ACCEPTED_WORDS)
        if word == "Filled":
            self._report(order, order.size)
        if word in ENDED_WORDS:
            self._end(order, order.ended_at(self._now()), order.reason)

    def _say_taken(self, order: IBOrder, *, accepted: bool) -> None:
        if order.status is OrderStatus.INTENT:
            self._say(order, OrderStatus.SUBMITTED)
        if accepted and order.status is OrderStatus.SUBMITTED:
            self._say(order, OrderStatus.ACCEPTED)

    def _end(self, order: IBOrder, status: OrderStatus, reason: str) -> None:
        """The order has ended; told once every execution it is said to have is here."""
        if order.status.terminal:
            return
        self._say_taken(order, accepted=True)
        order.ended, order.reason = order.ended or status, reason or order.reason
        self._changed[order.client_id] = order
        if order.filled >= order.reported:
            self._say(order, order.ended, reason=order.reason)

    def _refuse(self, order: IBOrder, reason: str) -> None:
        """The venue did not take a new order."""
        short = reason.startswith("201") and any(word in reason.upper() for word in MARGIN_WORDS)
        self._say(order, OrderStatus.SUBMITTED)
        order.stage = Stage.KNOWN
        self._say(order, OrderStatus.MARGIN if short else OrderStatus.REJECTED, reason=reason)

    def _take_terms(self, order: IBOrder, told: Any) -> None:
        """Size and prices as they stand, and where a trail has moved."""
        if order.status.terminal:
            return
        size = to_decimal(told.totalQuantity)
        kind, price, limit = order.intent.type, order.price, order.limit
        if kind is OrderType.LIMIT:
            price = told_price(told.lmtPrice) or price
        elif kind in TRAILS:
            price = told_price(told.trailStopPrice) or price
        elif kind in STOPS:
            price = told_price(told.auxPrice) or price
        if kind in STOP_LIMITS:
            limit = told_price(told.lmtPrice) or limit
        moved, amended = (price, limit) != (order.price, order.limit), size != order.size
        if not moved and not amended:
            return
        order.size, order.price, order.limit = size, price, limit
        if moved and kind in TRAILS:
            self._tell(order, EventKind.TRAIL, trigger=price, limit=limit)
        else:
            self._tell(order, EventKind.STATUS, reason="amended")

    def _fill(self, key: str, report: Any) -> None:
        order, execution = self._waiting.pop(key)
        self._counted.add(key)
        self._say_taken(order, accepted=True)
        size = to_decimal(execution.shares)
        order.filled += size
        order.reported = max(order.reported, order.filled)
        fill = Fill(
            fill_id=execution.execId,
            client_id=order.client_id,
            symbol=order.intent.symbol,
            side=SIDES[execution.side],
            size=size,
            price=to_decimal(execution.price),
            commission=to_decimal(report.commission),
            time=execution.time.astimezone(UTC),
            commission_currency=report.currency or "USD",
        )
        status = OrderStatus.FILLED if order.filled >= order.size else OrderStatus.PARTIAL
        self._say(order, status, fill=fill)
        if order.ended is not None and not order.status.terminal:
            self._end(order, order.ended, order.reason)

    def _note_external(self, key: str, contract: Any, execution: Any) -> None:
        if key in self._strangers:
            return
        self._strangers.add(key)
        self._commissions.pop(key, None)
        if self.since is not None and execution.time < self.since - CLOCK_ERROR:
            return
        found = External.of(contract, execution)
        self.external.append(found)
        # One with a reference is another program's; one without, somebody's by hand.
        tell = log.info if found.order_ref else log.warning
        tell("execution.external", symbol=found.symbol, side=found.side, size=found.size, ref=found.order_ref)

    def _note_correction(self, execution_id: str, key: str) -> None:
        """An execution told again, perhaps corrected: what was counted stays, and a person is told."""
        told = next(
            (e.fill.fill_id for e in self._log.events if e.fill and execution_key(e.fill.fill_id) == key), ""
        )
        if told and told != execution_id:
            log.error("execution.corrected", was=told, now=execution_id)

    def _say(
        self, order: IBOrder, status: OrderStatus, *, fill: Fill | None = None, reason: str = ""
    ) -> None:
        order.status = status
        self._tell(order, EventKind.STATUS, fill=fill, reason=reason)

    def _tell(self, order: IBOrder, kind: EventKind, **fields: Any) -> None:
        fill: Fill | None = fields.get("fill")
        self._changed[order.client_id] = order
        if order.abandoned and fill is None:
            return
        event = OrderEvent(
            sequence=self._log.sequence + len(self._news) + 1,
            client_id=order.client_id,
            status=order.status,
            time=fill.time if fill is not None else self._now(),
            kind=kind,
            venue_order_id=str(order.perm_id or ""),
        )
        self._news.append(replace(event, **fields))
