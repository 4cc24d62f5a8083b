"""IBKR as a venue, over TWS or IB Gateway and the real client library.

What it keeps to:
- an order is written down before it is sent, is found again by our client id (IBKR's orderRef) and by permId, and is
  never sent twice: what became of it, when a connection breaks, is asked;
- fills are executions, counted once by execution id and told with their commission;
- after every new connection, and from time to time, open orders, completed orders and executions are read again;
- brackets, one-cancels-other groups and trailing stops are IBKR's own, and rest there;
- a bracket leaves us only when its last order has come, in one go.
IBKR tells of completed orders and executions of the present day alone. What happened while nobody listened and before
midnight is found out as a difference, by the reconciliation at the start, and stops the session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.ibkr_link import IBKRSettings
from brokers.ibkr_orders import TRAILS, IBOrder, Listed, Stage, new_order, order_fields
from brokers.ibkr_reports import Reports
from brokers.ibkr_words import External
from brokers.venue_log import VenueLog
from core.errors import OrderRejected, OutcomeUnknown, VenueFatal, VenueTransient
from core.types import (
    Instrument,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Quote,
    to_decimal,
)

CANCEL_ATTEMPTS = 3


class IBKRVenue:
    """One account at IBKR.

    state: file that keeps what the venue told, so that a later session goes on with the same numbers; None keeps it
    in memory. symbols: what to look up at once; others are looked up when they are first asked for.
    """

    name = "ibkr"

    def __init__(
        self, settings: IBKRSettings, *, symbols: Iterable[str] = (), state: Path | None = None
    ) -> None:
        self._symbols = tuple(symbols)
        self._log: VenueLog[IBOrder] = VenueLog(state, IBOrder)
        self._reports = Reports(settings, self._log, self._shrink)
        self._link, self._market = self._reports.link, self._reports.market
        self._handed_over = 0

    # -- the session

    @property
    def sequence(self) -> int:
        """Number of the last event that is handed to `events()`."""
        return self._log.sequence

    @property
    def account_name(self) -> str:
        """The account that is traded; empty before it is known."""
        return self._link.account

    @property
    def external(self) -> Sequence[External]:
        """Executions on the account that no order of this run brought about, since it connected."""
        book = self._reports.last_book
        return () if book is None else tuple(book.external)

    async def connect(self) -> None:
        """Open the session, and learn what has happened since the last. Raises VenueFatal, with what to do."""
        if not self._reports.ended:
            return
        self._log.open()
        try:
            await self._reports.start()
            traded = (order.intent.symbol for order in self._log.orders.values())
            for symbol in dict.fromkeys((*self._symbols, *traded)):
                if await self._market.listed(symbol) is None:
                    raise VenueFatal(
                        f"IBKR knows no {symbol!r}",
                        hint="write it as SYMBOL, or SYMBOL:TYPE:EXCHANGE:CURRENCY",
                    )
        except BaseException:
            await self.close()
            raise
        # What was missed is asked for with `fills`; only what comes from now on is handed over.
        self._handed_over = self._log.sequence

    def watch_stream(self, told: Callable[[bool], None]) -> None:
        """Have `told` called, on the venue's thread, when what tells us of orders is lost (False) and stands again (True)."""
        self._link.on_stream = told

    async def close(self) -> None:
        """End the session and `events()`; orders resting at the venue stay there."""
        await self._reports.stop()
        self._log.close()

    async def ping(self) -> None:
        """A round trip to the venue and back; what it said before has been taken in afterwards."""
        await self._link.ping()
        await self._reports.drained()

    # -- looking

    async def instruments(self) -> Mapping[str, Instrument]:
        """What has been looked up so far."""
        return {symbol: listed.instrument for symbol, listed in self._market.known.items()}

    async def balances(self) -> Mapping[str, Decimal]:
        """Cash by currency."""
        session = await self._link.usable()
        values = session.accountValues(self._link.account)
        return {
            value.currency: Decimal(value.value)
            for value in values
            if value.tag == "CashBalance" and value.currency != "BASE" and not value.modelCode
        }

    async def positions(self) -> Mapping[str, Position]:
        """What is held of the symbols looked up so far; prices include commissions, as IBKR has them.

        Whatever else the account holds belongs to somebody else: to a person, or to another bot.
        """
        session = await self._link.usable()
        held = {p.contract.conId: p for p in session.positions(self._link.account) if p.position}
        return {
            symbol: _position(symbol, held[listed.contract.conId])
            for symbol, listed in self._market.known.items()
            if listed.contract.conId in held
        }

    async def open_orders(self) -> Sequence[OrderState]:
        """Orders that can still fill, oldest first; those held back for their bracket have status INTENT."""
        await self._link.usable()
        live = (Stage.KNOWN, Stage.HELD)
        return [o.state() for o in self._log.orders.values() if o.stage in live and not o.status.terminal]

    async def order(self, client_id: str) -> OrderState | None:
        """What the venue knows of this order, or None if it never took it."""
        await self._link.usable()
        order = self._log.orders.get(client_id)
        if order is not None and order.stage is Stage.SENT:
            await self._reports.review()
        if order is None or order.stage is Stage.ABSENT:
            return None
        return order.state()

    async def fills(self, since: int) -> Sequence[OrderEvent]:
        """Every event after number `since`, oldest first."""
        return self._log.events[max(since, 0) :]

    async def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask, or None before the first price."""
        return await self._market.quote(symbol)

    async def events(self) -> AsyncIterator[OrderEvent]:
        """Each event once, in order, from the moment of `connect`; ends when the venue is closed or has failed."""
        while True:
            while self._handed_over < self._log.sequence:
                self._handed_over += 1
                yield self._log.events[self._handed_over - 1]
            if self._reports.ended:
                return
            self._reports.wake.clear()
            await self._reports.wake.wait()

    # -- acting

    async def submit(self, intent: OrderIntent) -> None:
        """Hand over one order; returns when IBKR has told of it, or refused it, which is an event.

        Raises OrderRejected for an order without sense, and OutcomeUnknown when nobody can say.
        """
        book = self._reports.book
        known = self._log.orders.get(intent.client_id)
        if known is not None and known.stage is not Stage.ABSENT:
            return
        listed = await self._market.listed(intent.symbol)
        if listed is None:
            raise OrderRejected(f"IBKR knows no {intent.symbol!r}", rule="instrument")
        order = new_order(intent, listed, self._log.orders)
        session = await self._link.usable()
        if not intent.transmit:
            book.note(order)
            return
        family = [*self._waiting_for(order), order]
        book.place({member.client_id: session.client.getReqId() for member in family}, family)
        for member in family:
            self._send(session, member, listed, member.order_id, transmit=member.intent.transmit)
        await self._told(family)

    async def cancel(self, client_id: str) -> bool:
        """Cancel an order; False when there was nothing left to cancel."""
        book = self._reports.book
        order = self._log.orders.get(client_id)
        for _ in range(CANCEL_ATTEMPTS):
            if order is None or order.stage in (Stage.HELD, Stage.ABSENT) or order.status.terminal:
                return False
            session = await self._link.usable()
            order.cancelling = True
            book.note(order)
            book.refusals.pop(client_id, None)
            if order.order_id:
                session.client.cancelOrder(order.order_id, "")
                await self._reports.until(lambda: order.status.terminal or client_id in book.refusals)
            if not order.status.terminal:
                await self._reports.review()
            if order.status.terminal:
                return order.status is not OrderStatus.FILLED
        raise VenueTransient(
            f"IBKR has not confirmed the end of order {client_id}",
            hint="it may still fill; look at it in TWS, or cancel it there",
        )

    async def amend(
        self,
        client_id: str,
        *,
        size: Decimal | None = None,
        price: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> bool:
        """Change a resting order in place; False when it can no longer be changed."""
        book = self._reports.book
        order = self._log.orders.get(client_id)
        for name, value in (("size", size), ("price", price), ("limit", limit)):
            if value is not None and not (value.is_finite() and value > 0):
                raise OrderRejected(f"{name} {value} must be above 0", rule=name, value=value)
        if order is None or order.stage is not Stage.KNOWN or order.status.terminal:
            return False
        if size is not None and size <= order.filled:
            return await self.cancel(client_id)
        listed = await self._listed_again(order)
        wanted = _amended(order, listed, size, price, limit)
        session = await self._link.usable()
        book.refusals.pop(client_id, None)
        self._send(session, wanted, listed, order.order_id, transmit=True)
        done = await self._reports.until(
            lambda: order.status.terminal or client_id in book.refusals or _same_terms(order, wanted)
        )
        if not done:
            await self._reports.review()
        if order.status.terminal or _same_terms(order, wanted):
            return _same_terms(order, wanted)
        if client_id in book.refusals:
            code, text = book.refusals.pop(client_id)
            raise OrderRejected(f"IBKR did not change order {client_id}: {code}: {text}", rule=str(code))
        raise OutcomeUnknown(f"IBKR has not said whether it changed order {client_id}")

    async def _shrink(self, client_id: str, size: Decimal) -> None:
        """Leave an order no larger than this."""
        with suppress(OutcomeUnknown, OrderRejected):
            await (self.amend(client_id, size=size) if size else self.cancel(client_id))

    # -- sending

    def _send(self, session: Any, order: IBOrder, listed: Listed, order_id: int, *, transmit: bool) -> None:
        parent = self._log.orders.get(order.intent.parent or "")
        fields = order_fields(
            order,
            listed,
            account=self._link.account,
            parent=0 if parent is None else parent.order_id,
            transmit=transmit,
        )
        told = self._link.library.Order(orderId=order_id, **fields)
        try:
            session.client.placeOrder(order_id, listed.contract, told)
        except ConnectionError as error:
            raise OutcomeUnknown(f"the connection broke while order {order.client_id} was sent") from error

    def _waiting_for(self, last: IBOrder) -> list[IBOrder]:
        """The orders of its bracket that IBKR does not have: its entry first."""
        if last.intent.parent is None:
            return []
        entry = self._log.orders[last.intent.parent]
        if entry.status.terminal and not entry.filled:
            raise OrderRejected(f"the entry of its bracket has ended: {entry.status}", rule="bracket")
        family = [o for o in self._log.orders.values() if o is entry or o.intent.parent == entry.client_id]
        away = (Stage.HELD, Stage.ABSENT)
        family = [
            o for o in family if o.stage in away and not o.status.terminal and o.client_id != last.client_id
        ]
        if entry not in family and not entry.status.terminal and not entry.order_id:
            raise VenueTransient(f"IBKR has not told by what id it knows {entry.client_id}, the entry")
        return sorted(family, key=lambda order: order.intent.parent is not None)

    async def _told(self, family: Sequence[IBOrder]) -> None:
        """Wait until IBKR has said something of each order. Raises OutcomeUnknown when it does not."""
        if await self._reports.until(
            lambda: all(o.status is not OrderStatus.INTENT or o.reason for o in family)
        ):
            if all(order.status is not OrderStatus.INTENT for order in family):
                return
            # An error that may be a refusal or a notice: whether the order is there decides.
            await self._reports.review()
        for order in family:
            if order.status is OrderStatus.INTENT:
                raise OutcomeUnknown(f"IBKR has not said whether it took order {order.client_id}")

    async def _listed_again(self, order: IBOrder) -> Listed:
        listed = await self._market.listed(order.intent.symbol)
        if listed is None:
            raise VenueTransient(f"IBKR does not find {order.intent.symbol!r} any more")
        return listed


def _amended(
    order: IBOrder, listed: Listed, size: Decimal | None, price: Decimal | None, limit: Decimal | None
) -> IBOrder:
    """The order as it shall read."""
    side, kind = order.intent.side, order.intent.type
    wanted = replace(order)
    wanted.size = size or order.size
    if price is not None:
        wanted.price = listed.limit(price, side) if kind is OrderType.LIMIT else listed.trigger(price)
    if limit is not None:
        wanted.limit = listed.limit(limit, side)
    return wanted


def _same_terms(order: IBOrder, wanted: IBOrder) -> bool:
    if order.size != wanted.size or order.limit != wanted.limit:
        return False
    return order.price == wanted.price or order.intent.type in TRAILS


def _position(symbol: str, told: Any) -> Position:
    multiplier = Decimal(told.contract.multiplier or 1)
    return Position(symbol, to_decimal(told.position), to_decimal(told.avgCost) / multiplier)
