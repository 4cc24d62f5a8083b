"""Messages of the gateway that speak of orders and positions, out of the exchange's values."""

from __future__ import annotations

from decimal import Decimal

from brokers.simulators.orders import STOPS, TRAILS, Execution, Order
from brokers.simulators.tws.codec import Value, stamp
from brokers.simulators.tws.contracts import Stock
from brokers.simulators.tws.portfolio import Held
from brokers.simulators.tws.wire_order import completed_order, open_order
from core.types import OrderStatus, Side

Message = tuple[Value, ...]

FIRST_PERM_ID = 1_000_000_000
UNSET_COMMISSION = "1.7976931348623157E308"
_STATUS = {
    OrderStatus.INTENT: "PreSubmitted",
    OrderStatus.PARTIAL: "Submitted",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
    OrderStatus.REJECTED: "Inactive",
}


def perm_id(order_id: int) -> int:
    """The id an order keeps for good, out of the exchange's own."""
    return FIRST_PERM_ID + order_id


def execution_id(execution: Execution) -> str:
    """The id of an execution; its last part counts corrections."""
    return f"{0xE0D5:08x}.{execution.id:08x}.01.01"


def api_id(order: Order, name: str) -> int:
    """`clientId`, `orderId` or `parentId` of an order; 0 where it was placed by hand."""
    return int(order.tags.get(name) or 0)


def status_of(order: Order) -> str:
    """The word the gateway has for where an order stands."""
    waits = order.type in STOPS and not order.triggered
    if order.status is OrderStatus.ACCEPTED:
        return "PreSubmitted" if waits else "Submitted"
    return _STATUS[order.status]


def average_price(order: Order) -> Decimal:
    """Average price of what has filled."""
    return order.value / order.filled if order.filled else Decimal(0)


def order_status(order: Order, last_price: Decimal) -> Message:
    """The message orderStatus."""
    return (
        *(3, api_id(order, "orderId"), status_of(order), order.filled, order.remaining, average_price(order)),
        *(perm_id(order.id), api_id(order, "parentId"), last_price, api_id(order, "clientId")),
        *("child" if order.status is OrderStatus.INTENT else "", 0),
    )


def told_order(order: Order) -> dict[str, Value]:
    """What an order said, overlaid with what has become of it."""
    aux = order.trail_amount if order.type in TRAILS else order.trigger
    return {
        **order.tags,
        "action": "BUY" if order.side is Side.BUY else "SELL",
        "totalQuantity": order.size,
        "lmtPrice": order.limit,
        "auxPrice": aux,
        "trailStopPrice": order.trigger if order.type in TRAILS else "",
        "orderType": order.tags.get("orderType", "MKT"),
        "account": order.account,
        "permId": perm_id(order.id),
        "status": status_of(order),
    }


def open_order_message(order: Order, stock: Stock) -> Message:
    """The message openOrder."""
    return (5, api_id(order, "orderId"), *stock.order_fields(), *open_order(told_order(order)))


def completed_order_message(order: Order, stock: Stock) -> Message:
    """The message completedOrder: it carries no order id, and no client id."""
    done = "Filled Size: " + f"{order.filled:f}" if order.filled else status_of(order)
    values = {
        **told_order(order),
        "filledQuantity": order.filled,
        "completedTime": stamp(order.updated),
        "completedStatus": done,
        "parentPermId": perm_id(order.parent) if order.parent is not None else 0,
    }
    return (101, *stock.order_fields(), *completed_order(values))


def execution_message(
    request: int, execution: Execution, order: Order, stock: Stock, so_far: tuple[Decimal, Decimal]
) -> Message:
    """The message executionData; so_far: units filled and average price, right after it."""
    return (
        *(11, request, api_id(order, "orderId"), *stock.order_fields(), execution_id(execution)),
        *(stamp(execution.time), execution.account, stock.exchange),
        *("BOT" if execution.side is Side.BUY else "SLD", execution.size, execution.price, perm_id(order.id)),
        *(api_id(order, "clientId"), 0, *so_far, order.tags.get("orderRef", ""), "", "", "", 2),
    )


def commission_message(execution: Execution, realised: Decimal | None) -> Message:
    """The message commissionReport."""
    gain = UNSET_COMMISSION if realised is None else realised
    return (59, 1, execution_id(execution), execution.fee, execution.fee_asset, gain, UNSET_COMMISSION, "")


def position_message(account: str, stock: Stock, held: Held) -> Message:
    """The message positionData."""
    return (61, 3, account, *stock.position_fields(), held.size, held.average)


def portfolio_message(account: str, stock: Stock, held: Held, price: Decimal) -> Message:
    """The message portfolioValue."""
    value = held.size * price
    return (
        *(7, 8, *stock.portfolio_fields(), held.size, price, value, held.average),
        *(value - held.cost, held.realised, account),
    )
