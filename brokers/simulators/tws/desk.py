"""From a client's placeOrder to the exchange: checks, order ids, brackets that wait for their last leg, OCA groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.simulators.exchange import Exchange
from brokers.simulators.orders import LinkRule, Order, OrderList, Ticket, TimeInForce
from brokers.simulators.tws.codec import Malformed
from brokers.simulators.tws.contracts import Directory, Stock
from brokers.simulators.tws.messages import api_id, perm_id
from brokers.simulators.tws.wire_order import WireOrder
from core.errors import OrderRejected
from core.types import OrderStatus, OrderType, Side

_TYPES = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
    "TRAIL": OrderType.STOP_TRAIL,
    "TRAIL LIMIT": OrderType.STOP_TRAIL_LIMIT,
}
_TIMES = {
    "": TimeInForce.DAY,
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "GTD": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
_TRIGGERED_BY_AUX = (OrderType.STOP, OrderType.STOP_LIMIT)
MARGIN = (
    "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN "
    "VALUE [{limit} USD] MUST EXCEED THE INITIAL MARGIN [{value} USD]"
)
Key = tuple[int, int]


class ApiError(Exception):
    """An error message to a client."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


Refusal = tuple[int, ApiError]


class Desk:
    """The orders of one account's clients. `orders` finds what a client placed by its ids."""

    def __init__(self, exchange: Exchange, directory: Directory, account: str) -> None:
        self.account = account
        self._exchange = exchange
        self._books = exchange.books
        self._directory = directory
        self._ids: dict[Key, int] = {}
        self._last_id: dict[int, int] = defaultdict(int)
        self._held: dict[Key, WireOrder] = {}
        for order in self._books.orders(account):
            self._remember(order)

    def next_id(self, client: int) -> int:
        """The order id that client may use next."""
        return self._last_id[client] + 1

    def roll_back(self) -> None:
        """Forget which ids were used, as a gateway does that lost its settings; open orders keep theirs."""
        self._last_id.clear()
        self._ids.clear()
        for order in self._books.open_orders(self.account):
            self._ids[api_id(order, "clientId"), api_id(order, "orderId")] = order.id

    def drop_held(self) -> None:
        """Lose the orders that were never transmitted."""
        self._held.clear()

    def find(self, client: int, order_id: int) -> Order | None:
        """What the exchange has under a client's id."""
        key = self._ids.get((client, order_id))
        return None if key is None else self._books.find(self.account, order_id=key)

    def place(self, client: int, wire: WireOrder) -> list[Refusal]:
        """Take a new order, or a change of an open one; returns what was refused of a bracket. Raises ApiError."""
        known = self.find(client, wire.order_id)
        if known is not None:
            self._modify(known, wire)
            return []
        if wire.order_id <= self._last_id[client] and (client, wire.order_id) not in self._held:
            raise ApiError(103, "Duplicate order id")
        self._ticket(client, wire)
        self._last_id[client] = max(self._last_id[client], wire.order_id)
        self._held[client, wire.order_id] = wire
        return self._transmit(client, wire) if wire.flag("transmit") else []

    def cancel(self, client: int, order_id: int) -> None:
        """Cancel a client's order. Raises ApiError."""
        if self._held.pop((client, order_id), None) is not None:
            return
        order = self.find(client, order_id)
        if order is None:
            raise ApiError(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        if not order.open:
            state = "Filled" if order.status is OrderStatus.FILLED else "Cancelled"
            raise ApiError(
                10148, f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {state}."
            )
        self._exchange.cancel(order.id)

    def cancel_all(self) -> None:
        """Cancel whatever the account has open, whoever placed it."""
        self._held.clear()
        for order in self._books.open_orders(self.account):
            if order.open:
                self._exchange.cancel(order.id)

    # -- new orders

    def _transmit(self, client: int, last: WireOrder) -> list[Refusal]:
        """Send an order and those of its bracket that waited for it, entry first."""
        parent = last.whole("parentId")
        family = [
            wire
            for (owner, number), wire in self._held.items()
            if owner == client and (wire is last or (parent and parent in (number, wire.whole("parentId"))))
        ]
        refusals = []
        for wire in sorted(family, key=lambda wire: wire.whole("parentId") != 0):
            del self._held[client, wire.order_id]
            try:
                self._send(client, wire)
            except ApiError as error:
                refusals.append((wire.order_id, error))
        return refusals

    def _send(self, client: int, wire: WireOrder) -> None:
        ticket = self._ticket(client, wire)
        group = wire.text("ocaGroup")
        if wire.whole("parentId"):
            parent = self.find(client, wire.whole("parentId"))
            if parent is None:
                raise ApiError(10006, "Missing parent order")
            ticket = replace(ticket, parent=parent.id)
            group = group or str(perm_id(parent.id))
            ticket.tags["ocaGroup"] = group
        try:
            order = self._submit(ticket, group)
        except OrderRejected as refusal:
            raise _rejected(refusal) from refusal
        self._remember(order)

    def _submit(self, ticket: Ticket, group: str) -> Order:
        if not group:
            return self._exchange.submit(ticket)
        known = self._group(group)
        if known is None:
            made = self._exchange.submit_list([ticket], LinkRule.REDUCE, group)
            return self._books.state.orders[made.orders[0]]
        return self._exchange.submit(ticket, known)

    def _group(self, name: str) -> OrderList | None:
        found = [group for group in self._books.state.lists.values() if group.client_id == name]
        return found[-1] if found and found[-1].account == self.account else None

    def _remember(self, order: Order) -> None:
        client, order_id = api_id(order, "clientId"), api_id(order, "orderId")
        if order_id:
            self._ids[client, order_id] = order.id
            self._last_id[client] = max(self._last_id[client], order_id)

    # -- changes

    def _modify(self, order: Order, wire: WireOrder) -> None:
        if order.status is OrderStatus.FILLED:
            raise ApiError(104, "Cannot modify a filled order.")
        if not order.open:
            raise ApiError(103, "Duplicate order id")
        wanted = self._ticket(api_id(order, "clientId"), wire)
        if wanted.type is not order.type:
            raise ApiError(329, "Order modify failed. Cannot change to the new order type.")
        if (wanted.side, wanted.symbol) != (order.side, order.symbol):
            raise ApiError(105, "Order being modified does not match original order.")
        if (wanted.trail_amount, wanted.trail_percent) != (order.trail_amount, order.trail_percent):
            raise ApiError(321, "Error validating request: the simulated gateway keeps a trail's distance")
        try:
            self._exchange.amend(order.id, size=wanted.size, limit=wanted.limit, trigger=wanted.trigger)
        except OrderRejected as refusal:
            raise _rejected(refusal) from refusal

    # -- from the wire's words to the exchange's

    def _ticket(self, client: int, wire: WireOrder) -> Ticket:
        stock = self._stock(wire)
        kind = _TYPES.get(wire.text("orderType"))
        if kind is None:
            raise ApiError(387, "Unsupported order type for this exchange and security type.")
        if wire.text("account") not in ("", self.account):
            raise ApiError(321, "Error validating request: invalid account code")
        if wire.flag("whatIf"):
            raise ApiError(321, "Error validating request: the simulated gateway has no what-if orders")
        size = wire.number("totalQuantity") or Decimal(0)
        if not size:
            raise ApiError(434, "The order size cannot be zero.")
        if size % stock.lot:
            raise ApiError(
                10318, "This order does not comply with our order handling rules: fractional size."
            )
        ticket = Ticket(
            account=self.account,
            symbol=stock.symbol,
            side=Side.BUY if wire.text("action") == "BUY" else Side.SELL,
            type=kind,
            size=size,
            client_id=wire.text("orderRef"),
            time_in_force=_TIMES.get(wire.text("tif"), TimeInForce.DAY),
            tags={name: value for name, value in wire.fields.items() if value},
        )
        ticket.tags |= {"clientId": str(client), "orderId": str(wire.order_id)}
        if wire.text("tif") == "GTD":
            ticket.expires_at = read_time(wire.text("goodTillDate"))
        _price(ticket, wire)
        for price in (ticket.limit, ticket.trigger):
            if price is not None and price % stock.min_tick:
                raise ApiError(
                    110, "The price does not conform to the minimum price variation for this contract."
                )
        return ticket

    def _stock(self, wire: WireOrder) -> Stock:
        found = self._directory.find(wire.contract)
        if not found:
            raise ApiError(200, "No security definition has been found for the request")
        return found[0]


def _price(ticket: Ticket, wire: WireOrder) -> None:
    """Limit, trigger and trail of a ticket."""
    kind, aux = ticket.type, wire.number("auxPrice")
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        ticket.limit = wire.number("lmtPrice")
    if kind in _TRIGGERED_BY_AUX:
        ticket.trigger = aux
    if kind in (OrderType.STOP_TRAIL, OrderType.STOP_TRAIL_LIMIT):
        percent = wire.number("trailingPercent")
        ticket.trail_percent = None if percent is None else percent / 100
        ticket.trail_amount = aux if percent is None else None
        ticket.trigger = wire.number("trailStopPrice")
    if kind is OrderType.STOP_TRAIL_LIMIT:
        ticket.limit = _trail_limit(ticket, wire)


def _trail_limit(ticket: Ticket, wire: WireOrder) -> Decimal | None:
    """The limit of a trailing stop limit: told, or an offset from its trigger (below it for a sale)."""
    limit, offset = wire.number("lmtPrice"), wire.number("lmtPriceOffset")
    if offset is None or ticket.trigger is None:
        return limit
    return ticket.trigger + offset * ticket.side.sign


def _rejected(refusal: OrderRejected) -> ApiError:
    if refusal.rule == "funds":
        return ApiError(201, MARGIN.format(limit=refusal.limit, value=refusal.value))
    return ApiError(201, f"Order rejected - reason:{refusal.message}")


def read_time(text: str) -> datetime:
    """`20240131 15:30:00 UTC`, `20240131-15:30:00`, or without a zone, which then is UTC."""
    day, _, rest = text.replace("-", " ", 1).partition(" ")
    clock, _, zone = rest.strip().partition(" ")
    if zone not in ("", "UTC", "GMT", "Etc/UTC"):
        raise Malformed(f"the simulated gateway lives in UTC, not in {zone}")
    try:
        return datetime.strptime(f"{day} {clock or '00:00:00'}", "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed(f"{text!r} is no time") from error


def read_duration(text: str) -> timedelta:
    """`3600 S`, `2 D`, `1 W`, `1 M` or `1 Y`."""
    amount, _, unit = text.strip().partition(" ")
    days = {"D": 1, "W": 7, "M": 31, "Y": 366}
    if not amount.isdigit() or unit not in ("S", *days):
        raise Malformed(f"{text!r} is no duration")
    return timedelta(seconds=int(amount)) if unit == "S" else timedelta(days=int(amount) * days[unit])
