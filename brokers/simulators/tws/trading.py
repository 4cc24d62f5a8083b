"""Requests that concern orders and executions, and what the exchange says about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from brokers.simulators.exchange import Exchange
from brokers.simulators.orders import Change, Event, Execution, Order
from brokers.simulators.tws.accounts import Accounts
from brokers.simulators.tws.codec import Fields
from brokers.simulators.tws.contracts import Directory
from brokers.simulators.tws.desk import ApiError, Desk, read_time
from brokers.simulators.tws.messages import (
    Message,
    api_id,
    commission_message,
    completed_order_message,
    execution_message,
    open_order_message,
    order_status,
)
from brokers.simulators.tws.session import Handler, Session
from brokers.simulators.tws.wire_order import Unsupported, read_place_order
from core.types import Side

NO_REQUEST = -1
OWNER = 0
_SIDES = {"BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL}


class Trading:
    """Orders of one gateway's clients. Client 0 also hears of what was traded by hand, once it has asked to."""

    def __init__(self, exchange: Exchange, directory: Directory, desk: Desk, accounts: Accounts) -> None:
        self._books = exchange.books
        self._directory = directory
        self._desk = desk
        self._accounts = accounts

    def handlers(self) -> dict[int, Handler]:
        """What is answered here, by the number of the request."""
        return {
            3: self._place,
            4: self._cancel,
            5: lambda session, fields: self._open_orders(session, own=True),
            7: self._executions,
            15: self._auto_open_orders,
            16: lambda session, fields: self._open_orders(session, own=False),
            58: lambda session, fields: self._desk.cancel_all(),
            99: self._completed_orders,
        }

    def tell(self, event: Event, sessions: Mapping[int, Session]) -> None:
        """What happened to an order, to the client that placed it."""
        order, change = event.order, event.change
        session = sessions.get(api_id(order, "clientId"))
        if session is None or not (api_id(order, "orderId") or session.auto_open):
            return
        execution = event.execution
        last_price = execution.price if execution is not None else Decimal(0)
        if execution is not None:
            session.push(*self._execution(NO_REQUEST, execution, order))
        if change not in (Change.CANCELLED, Change.EXPIRED):
            session.push(*open_order_message(order, self._directory.of(order.symbol)))
        session.push(*order_status(order, last_price))
        if execution is not None:
            session.push(*commission_message(execution, self._accounts.portfolio.realised(execution.id)))
        code = {Change.CANCELLED: 202, Change.EXPIRED: 202, Change.REJECTED: 201}.get(change)
        if code is not None:
            what = "Order Canceled" if code == 202 else "Order rejected"
            session.push(4, 2, api_id(order, "orderId"), code, f"{what} - reason:{event.reason}", "")

    # -- requests

    def _place(self, session: Session, fields: Fields) -> None:
        order_id = Fields.of(fields).integer()
        try:
            refusals = self._desk.place(session.client, read_place_order(fields))
        except ApiError as error:
            refusals = [(order_id, error)]
        except Unsupported as error:
            text = f"Error validating request: the simulated gateway has no {error}"
            refusals = [(order_id, ApiError(321, text))]
        for refused, reason in refusals:
            session.push(4, 2, refused, reason.code, reason.text, "")

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        order_id = fields.integer()
        try:
            self._desk.cancel(session.client, order_id)
        except ApiError as error:
            session.push(4, 2, order_id, error.code, error.text, "")

    def _auto_open_orders(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        if session.client != OWNER:
            session.error(
                NO_REQUEST, 321, "Error validating request: only client 0 may bind orders by itself"
            )
            return
        session.auto_open = fields.flag()

    def _open_orders(self, session: Session, *, own: bool) -> None:
        for order in self._books.open_orders(self._desk.account):
            if not own or api_id(order, "clientId") == session.client:
                session.send(*open_order_message(order, self._directory.of(order.symbol)))
                session.send(*order_status(order, Decimal(0)))
        session.send(53, 1)

    def _completed_orders(self, session: Session, fields: Fields) -> None:
        by_api_alone = fields.flag()
        today = self._midnight()
        for order in self._books.orders(self._desk.account):
            wanted = api_id(order, "orderId") or not by_api_alone
            if not order.open and order.updated >= today and wanted:
                session.send(*completed_order_message(order, self._directory.of(order.symbol)))
        session.send(102)

    def _executions(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        request, client, account = fields.integer(), fields.integer(), fields.text()
        time, symbol, _, _, side = (fields.text() for _ in range(5))
        since = max(self._midnight(), read_time(time)) if time else self._midnight()
        so_far: dict[int, tuple[Decimal, Decimal]] = {}
        for execution in self._books.executions(self._desk.account):
            order = self._books.state.orders[execution.order_id]
            filled, value = so_far.get(order.id, (Decimal(0), Decimal(0)))
            filled, value = filled + execution.size, value + execution.size * execution.price
            so_far[order.id] = filled, value
            wanted = (
                execution.time >= since
                and account in ("", execution.account)
                and symbol in ("", execution.symbol)
                and client in (0, api_id(order, "clientId"))
                and _SIDES.get(side, execution.side) is execution.side
            )
            if wanted:
                stock = self._directory.of(execution.symbol)
                average = value / filled
                session.send(*execution_message(request, execution, order, stock, (filled, average)))
                realised = self._accounts.portfolio.realised(execution.id)
                session.send(*commission_message(execution, realised))
        session.send(55, 1, request)

    # -- inside

    def _execution(self, request: int, execution: Execution, order: Order) -> Message:
        average = order.value / order.filled
        stock = self._directory.of(order.symbol)
        return execution_message(request, execution, order, stock, (order.filled, average))

    def _midnight(self) -> datetime:
        """What was done before it, the gateway no longer tells."""
        return self._books.now().replace(hour=0, minute=0, second=0, microsecond=0)
