"""How Binance writes things down: orders, trades, accounts and bars as its JSON has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.simulators.binance.filters import SymbolFilters, text
from brokers.simulators.binance.security import ApiKey
from brokers.simulators.market import EPOCH, MarketBar
from brokers.simulators.orders import Execution, Order, OrderList
from core.types import OrderStatus

Json = dict[str, Any]
STATUSES = {
    OrderStatus.INTENT: "PENDING_NEW",
    OrderStatus.ACCEPTED: "NEW",
    OrderStatus.PARTIAL: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
ORDER_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]
NOTHING = Decimal(0)


def milliseconds(time: datetime) -> int:
    """A time as Binance writes it."""
    return (time - EPOCH) // timedelta(milliseconds=1)


def order_type(order: Order) -> str:
    """What Binance calls the order's type; what the owner did by hand carries no tag."""
    return order.tags.get("type", "MARKET")


def is_stop(order: Order) -> bool:
    """Whether it has a stop price to show."""
    return "STOP" in order_type(order) or "TAKE" in order_type(order)


def list_id(order: Order) -> int:
    """The id of the list it belongs to, or -1."""
    return -1 if order.group is None else order.group


def working(order: Order) -> bool:
    """Whether it works (a stop once it was triggered)."""
    return not is_stop(order) or order.triggered


def working_time(order: Order) -> int:
    """Since when it works, or -1."""
    return milliseconds(order.created) if working(order) else -1


def core_fields(order: Order) -> Json:
    """What every answer about an order ends with."""
    return {
        "price": text(order.limit or NOTHING),
        "origQty": text(order.size),
        "executedQty": text(order.filled),
        "origQuoteOrderQty": text(order.quote_size or NOTHING),
        "cummulativeQuoteQty": text(order.value),
        "status": STATUSES[order.status],
        "timeInForce": order.time_in_force.value,
        "type": order_type(order),
        "side": order.side.value.upper(),
    }


def stop_fields(order: Order) -> Json:
    """What answers add for stops."""
    fields: Json = {}
    if is_stop(order):
        fields["stopPrice"] = text(order.trigger or NOTHING)
    if "trailingDelta" in order.tags:
        fields["trailingDelta"] = int(order.tags["trailingDelta"])
        fields["trailingTime"] = milliseconds(order.created)
    return fields


def placed(order: Order, executions: list[Execution], how: str) -> Json:
    """The answer to a new order; `how` is ACK, RESULT or FULL."""
    answer: Json = {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": list_id(order),
        "clientOrderId": order.client_id,
        "transactTime": milliseconds(order.updated),
    }
    if how == "ACK":
        return answer
    answer |= {**core_fields(order), **stop_fields(order)}
    answer |= {"workingTime": working_time(order), "selfTradePreventionMode": "NONE"}
    if how == "FULL":
        answer["fills"] = [
            {
                "price": text(execution.price),
                "qty": text(execution.size),
                "commission": text(execution.fee),
                "commissionAsset": execution.fee_asset,
                "tradeId": execution.id,
            }
            for execution in executions
        ]
    return answer


def shown_order(order: Order) -> Json:
    """An order as GET /api/v3/order, openOrders and allOrders show it."""
    return {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": list_id(order),
        "clientOrderId": order.client_id,
        **core_fields(order),
        "icebergQty": text(NOTHING),
        **{"stopPrice": text(NOTHING), **stop_fields(order)},
        "time": milliseconds(order.created),
        "updateTime": milliseconds(order.updated),
        "isWorking": working(order),
        "workingTime": working_time(order),
        "selfTradePreventionMode": "NONE",
    }


def cancelled(order: Order) -> Json:
    """The answer to a cancel: the id it had, and the id of the cancel."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": list_id(order),
        "clientOrderId": order.tags.get("cancel", ""),
        "transactTime": milliseconds(order.updated),
        **core_fields(order),
        **stop_fields(order),
        "selfTradePreventionMode": "NONE",
    }


def shown_list(made: OrderList, orders: list[Order], transaction_time: int) -> Json:
    """An order list, without the orders' reports."""
    done = not any(order.open for order in orders)
    return {
        "orderListId": made.id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if done else "EXECUTING",
        "listClientOrderId": made.client_id,
        "transactionTime": transaction_time,
        "symbol": made.symbol,
        "orders": [
            {"symbol": order.symbol, "orderId": order.id, "clientOrderId": order.client_id}
            for order in orders
        ],
    }


def shown_restrictions(key: ApiKey) -> Json:
    """What a key may do, as apiRestrictions shows it."""
    return {
        "ipRestrict": False,
        "createTime": 1_700_000_000_000,
        "enableReading": True,
        "enableSpotAndMarginTrading": key.trades,
        "enableWithdrawals": key.withdraws,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }


def shown_trade(execution: Execution, order: Order) -> Json:
    """A trade as myTrades shows it."""
    return {
        "symbol": execution.symbol,
        "id": execution.id,
        "orderId": execution.order_id,
        "orderListId": list_id(order),
        "price": text(execution.price),
        "qty": text(execution.size),
        "quoteQty": text(execution.price * execution.size),
        "commission": text(execution.fee),
        "commissionAsset": execution.fee_asset,
        "time": milliseconds(execution.time),
        "isBuyer": execution.side.sign > 0,
        "isMaker": execution.maker,
        "isBestMatch": True,
    }


def shown_symbol(filters: SymbolFilters) -> Json:
    """A symbol as exchangeInfo shows it."""
    listing = filters.listing
    return {
        "symbol": listing.symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.shown(),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def kline_row(bar: MarketBar, period: timedelta) -> list[object]:
    """A bar as the klines endpoint writes it."""
    half_volume, half_value = bar.volume / 2, bar.value / 2
    return [
        milliseconds(bar.start),
        text(bar.open),
        text(bar.high),
        text(bar.low),
        text(bar.close),
        text(bar.volume),
        milliseconds(bar.start + period) - 1,
        text(bar.value),
        bar.trades,
        text(half_volume),
        text(half_value),
        "0",
    ]


def day_summary(symbol: str, bars: list[MarketBar], now: datetime) -> Json:
    """The last 24 hours as ticker/24hr shows them, the book's fields apart. bars: theirs, at least one."""
    first, last = bars[0], bars[-1]
    volume, value = sum((b.volume for b in bars), NOTHING), sum((b.value for b in bars), NOTHING)
    change = last.close - first.open
    return {
        "symbol": symbol,
        "priceChange": text(change),
        "priceChangePercent": f"{change / first.open * 100:.3f}",
        "weightedAvgPrice": text(value / volume if volume else last.close),
        "prevClosePrice": text(first.open),
        "lastPrice": text(last.close),
        "lastQty": text(last.volume),
        "openPrice": text(first.open),
        "highPrice": text(max(bar.high for bar in bars)),
        "lowPrice": text(min(bar.low for bar in bars)),
        "volume": text(volume),
        "quoteVolume": text(value),
        "openTime": milliseconds(first.start),
        "closeTime": milliseconds(now),
        "firstId": 1,
        "lastId": sum(bar.trades for bar in bars),
        "count": sum(bar.trades for bar in bars),
    }
