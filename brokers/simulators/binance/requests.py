"""From the parameters of a request to a ticket, refusing what the documentation calls malformed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from brokers.simulators.binance.errors import BinanceError, about
from brokers.simulators.orders import Ticket, TimeInForce
from core.types import OrderType, Side

Params = Mapping[str, str]
CLIENT_ID = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
KINDS: Mapping[str, tuple[OrderType, frozenset[str]]] = {
    "LIMIT": (OrderType.LIMIT, frozenset({"quantity", "price", "timeInForce"})),
    "MARKET": (OrderType.MARKET, frozenset()),
    "LIMIT_MAKER": (OrderType.LIMIT, frozenset({"quantity", "price"})),
    "STOP_LOSS": (OrderType.STOP, frozenset({"quantity"})),
    "STOP_LOSS_LIMIT": (OrderType.STOP_LIMIT, frozenset({"quantity", "price", "timeInForce"})),
    "TAKE_PROFIT": (OrderType.STOP, frozenset({"quantity"})),
    "TAKE_PROFIT_LIMIT": (OrderType.STOP_LIMIT, frozenset({"quantity", "price", "timeInForce"})),
}
"""Every order type, what it is here, and the parameters it must have."""
TRAILING = {OrderType.STOP: OrderType.STOP_TRAIL, OrderType.STOP_LIMIT: OrderType.STOP_TRAIL_LIMIT}


def required(params: Params, name: str) -> str:
    """A parameter that must be there."""
    value = params.get(name, "")
    if not value:
        raise about(-1102, name)
    return value


def number(params: Params, name: str) -> Decimal | None:
    """A decimal parameter, or None without it."""
    value = params.get(name)
    if value is None or value == "":
        return None
    try:
        read = Decimal(value)
    except InvalidOperation as error:
        raise about(-1100, name) from error
    if not read.is_finite() or read < 0:
        raise about(-1100, name)
    return read


def integer(params: Params, name: str) -> int | None:
    """A whole parameter, or None without it."""
    value = params.get(name)
    if value is None or value == "":
        return None
    try:
        return int(value)
    except ValueError as error:
        raise about(-1100, name) from error


def client_id(params: Params, name: str) -> str:
    """A client's own id, empty without it."""
    value = params.get(name, "")
    if value and not CLIENT_ID.match(value):
        raise about(-1100, name)
    return value


def read_side(params: Params) -> Side:
    """The side of an order."""
    value = required(params, "side")
    if value not in ("BUY", "SELL"):
        raise BinanceError(-1117)
    return Side(value.lower())


def read_ticket(params: Params, account: str) -> Ticket:
    """The order that POST /api/v3/order asks for."""
    symbol, side = required(params, "symbol"), read_side(params)
    name = required(params, "type")
    if name not in KINDS:
        raise BinanceError(-1116)
    kind, needed = KINDS[name]
    for key in needed:
        required(params, key)
    if name == "MARKET" and not (params.get("quantity") or params.get("quoteOrderQty")):
        raise about(-1102, "quantity")
    if name not in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") and params.get("timeInForce"):
        raise about(-1106, "timeInForce")
    if name in ("MARKET", "STOP_LOSS", "TAKE_PROFIT") and params.get("price"):
        raise about(-1106, "price")
    in_force = params.get("timeInForce") or "GTC"
    if in_force not in ("GTC", "IOC", "FOK"):
        raise BinanceError(-1115)
    delta = integer(params, "trailingDelta")
    stops = kind in TRAILING
    if stops and delta is None:
        required(params, "stopPrice")
    if not stops and params.get("stopPrice"):
        raise about(-1106, "stopPrice")
    return Ticket(
        account=account,
        symbol=symbol,
        side=side,
        type=TRAILING[kind] if stops and delta is not None else kind,
        size=number(params, "quantity") or Decimal(0),
        client_id=client_id(params, "newClientOrderId"),
        limit=number(params, "price"),
        trigger=number(params, "stopPrice") if stops and delta is None else None,
        take_profit=name.startswith("TAKE_PROFIT"),
        trail_percent=Decimal(delta) / 10_000 if stops and delta is not None else None,
        fixed_limit=True,
        quote_size=number(params, "quoteOrderQty") if not params.get("quantity") else None,
        post_only=name == "LIMIT_MAKER",
        time_in_force=TimeInForce(in_force),
        tags={"type": name, **({"trailingDelta": str(delta)} if delta is not None else {})},
    )


def read_leg(params: Params, account: str, leg: str) -> Ticket:
    """One order of an OCO: `leg` is "above" or "below"."""
    own = {
        "type": required(params, f"{leg}Type"),
        "newClientOrderId": params.get(f"{leg}ClientOrderId", ""),
        "price": params.get(f"{leg}Price", ""),
        "stopPrice": params.get(f"{leg}StopPrice", ""),
        "trailingDelta": params.get(f"{leg}TrailingDelta", ""),
        "timeInForce": params.get(f"{leg}TimeInForce", ""),
    }
    shared = {key: required(params, key) for key in ("symbol", "side", "quantity")}
    return read_ticket({**shared, **{key: value for key, value in own.items() if value}}, account)
