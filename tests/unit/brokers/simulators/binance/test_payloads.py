"""Every answer and message has the fields and types of the documented example, no more and no fewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from brokers.simulators.binance.reports import account_position, execution_report, list_status
from brokers.simulators.orders import Change, Event
from tests.unit.brokers.simulators.binance.desk import Desk

ORDER = """symbol:str orderId:int orderListId:int clientOrderId:str price:str origQty:str executedQty:str
    cummulativeQuoteQty:str status:str timeInForce:str type:str side:str stopPrice:str icebergQty:str time:int
    updateTime:int isWorking:bool workingTime:int origQuoteOrderQty:str selfTradePreventionMode:str"""
REPORT = """e:str E:int s:str c:str S:str o:str f:str q:str p:str P:str F:str g:int C:str x:str X:str r:str i:int l:str
    z:str L:str n:str N:NoneType T:int t:int I:int w:bool m:bool M:bool O:int Z:str Y:str Q:str W:int V:str"""
DOCUMENTED = {
    "time": "serverTime:int",
    "depth": "lastUpdateId:int bids:list asks:list",
    "avgPrice": "mins:int price:str closeTime:int",
    "trades": "id:int price:str qty:str quoteQty:str time:int isBuyerMaker:bool isBestMatch:bool",
    "ticker/24hr": """symbol:str priceChange:str priceChangePercent:str weightedAvgPrice:str prevClosePrice:str
        lastPrice:str lastQty:str bidPrice:str bidQty:str askPrice:str askQty:str openPrice:str highPrice:str
        lowPrice:str volume:str quoteVolume:str openTime:int closeTime:int firstId:int lastId:int count:int""",
    "ticker/price": "symbol:str price:str",
    "ticker/bookTicker": "symbol:str bidPrice:str bidQty:str askPrice:str askQty:str",
    "exchangeInfo": """timezone:str serverTime:int rateLimits[].rateLimitType:str rateLimits[].interval:str
        rateLimits[].intervalNum:int rateLimits[].limit:int exchangeFilters:list symbols[].symbol:str
        symbols[].status:str symbols[].baseAsset:str symbols[].baseAssetPrecision:int symbols[].quoteAsset:str
        symbols[].quotePrecision:int symbols[].quoteAssetPrecision:int symbols[].baseCommissionPrecision:int
        symbols[].quoteCommissionPrecision:int symbols[].orderTypes:list symbols[].icebergAllowed:bool
        symbols[].ocoAllowed:bool symbols[].otoAllowed:bool symbols[].opoAllowed:bool
        symbols[].quoteOrderQtyMarketAllowed:bool symbols[].allowTrailingStop:bool
        symbols[].cancelReplaceAllowed:bool symbols[].amendAllowed:bool symbols[].pegInstructionsAllowed:bool
        symbols[].isSpotTradingAllowed:bool symbols[].isMarginTradingAllowed:bool
        symbols[].filters[].filterType:str symbols[].filters[].minPrice:str symbols[].filters[].maxPrice:str
        symbols[].filters[].tickSize:str symbols[].permissions:list symbols[].permissionSets:list
        symbols[].defaultSelfTradePreventionMode:str symbols[].allowedSelfTradePreventionModes:list""",
    "account": """makerCommission:int takerCommission:int buyerCommission:int sellerCommission:int
        commissionRates.maker:str commissionRates.taker:str commissionRates.buyer:str commissionRates.seller:str
        canTrade:bool canWithdraw:bool canDeposit:bool brokered:bool requireSelfTradePrevention:bool preventSor:bool
        updateTime:int accountType:str balances[].asset:str balances[].free:str balances[].locked:str
        permissions:list uid:int""",
    "order": ORDER,
    "openOrders": ORDER,
    "allOrders": ORDER,
    "myTrades": """symbol:str id:int orderId:int orderListId:int price:str qty:str quoteQty:str commission:str
        commissionAsset:str time:int isBuyer:bool isMaker:bool isBestMatch:bool""",
}
PLACED = """symbol:str orderId:int orderListId:int clientOrderId:str transactTime:int price:str origQty:str
    executedQty:str origQuoteOrderQty:str cummulativeQuoteQty:str status:str timeInForce:str type:str side:str
    workingTime:int selfTradePreventionMode:str fills[].price:str fills[].qty:str fills[].commission:str
    fills[].commissionAsset:str fills[].tradeId:int"""
CANCELLED = """symbol:str origClientOrderId:str orderId:int orderListId:int clientOrderId:str transactTime:int
    price:str origQty:str executedQty:str origQuoteOrderQty:str cummulativeQuoteQty:str status:str timeInForce:str
    type:str side:str selfTradePreventionMode:str"""
LISTED = """orderListId:int contingencyType:str listStatusType:str listOrderStatus:str listClientOrderId:str
    transactionTime:int symbol:str orders[].symbol:str orders[].orderId:int orders[].clientOrderId:str"""
KLINE = [int, str, str, str, str, str, int, str, int, str, str, str]


def fields(value: Any, prefix: str = "") -> set[str]:
    """Every field of a payload with its type; of a list of objects those of the first."""
    found: set[str] = set()
    for name, inner in value.items():
        if isinstance(inner, dict):
            found |= fields(inner, f"{prefix}{name}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            found |= fields(inner[0], f"{prefix}{name}[].")
        else:
            found.add(f"{prefix}{name}:{type(inner).__name__}")
    return found


def traded() -> tuple[Desk, list[Event]]:
    """A desk with an open and a filled order, and every event of it."""
    desk, events = Desk(), []
    desk.simulation.exchange.books.listen(events.append)
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    desk.order("MARKET", quantity="1")
    return desk, events


@pytest.mark.parametrize("path", sorted(DOCUMENTED))
def test_an_answer_has_the_documented_fields(path: str) -> None:
    desk, _ = traded()
    params = {} if path in ("time", "account") else {"symbol": "BTCUSDT"}
    params |= {"origClientOrderId": "a"} if path == "order" else {}
    answer = desk.call("GET", path, **params)
    shown = answer[0] if isinstance(answer, list) else answer
    assert fields(shown) == set(DOCUMENTED[path].split())


def test_without_a_symbol_all_are_answered() -> None:
    desk, _ = traded()
    for path in ("ticker/24hr", "ticker/price", "ticker/bookTicker"):
        (shown,) = desk.call("GET", path)
        assert fields(shown) == set(DOCUMENTED[path].split())


def test_a_kline_has_the_documented_columns() -> None:
    desk, _ = traded()
    (row,) = desk.call("GET", "klines", symbol="BTCUSDT", interval="5m")
    assert [type(value) for value in row] == KLINE
    assert desk.refused("GET", "klines", symbol="BTCUSDT", interval="7m")[0] == -1120


def test_a_new_order_and_a_cancel_have_the_documented_fields() -> None:
    desk, _ = traded()
    assert fields(desk.order("MARKET", quantity="1")) == set(PLACED.split())
    answer = desk.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
    assert fields(answer) == set(CANCELLED.split())


def test_an_order_list_has_the_documented_fields() -> None:
    desk, _ = traded()
    answer = desk.call(
        "POST", "orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.5", aboveType="LIMIT_MAKER",
        abovePrice="110", belowType="STOP_LOSS", belowStopPrice="90",
    )  # fmt: skip
    assert {name for name in fields(answer) if not name.startswith("orderReports")} == set(LISTED.split())
    shown = desk.call("GET", "openOrderList")[0]
    assert fields(shown) == set(LISTED.split())
    books = desk.simulation.exchange.books
    assert fields(list_status(books, books.state.lists[1], 1)) == {
        "e:str",
        "E:int",
        "s:str",
        "g:int",
        "c:str",
        "l:str",
        "L:str",
        "r:str",
        "C:str",
        "T:int",
        "O[].s:str",
        "O[].i:int",
        "O[].c:str",
    }


def test_the_user_stream_has_the_documented_fields() -> None:
    desk, events = traded()
    reports = [report for event in events if (report := execution_report(event, 1))]
    assert [(report["x"], report["X"]) for report in reports] == [
        ("NEW", "NEW"),
        ("NEW", "NEW"),
        ("TRADE", "FILLED"),
    ]
    assert fields(reports[0]) == set(REPORT.split())
    assert fields(reports[2]) == set(REPORT.replace("N:NoneType", "N:str").split())
    position = account_position(desk.simulation.exchange.books, "main", ["BTC", "USDT"], 1)
    assert fields(position) == {"e:str", "E:int", "u:int", "B[].a:str", "B[].f:str", "B[].l:str"}


@pytest.mark.parametrize(
    ("act", "change", "expected"),
    [
        (lambda desk: desk.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a", newClientOrderId="c"),
         Change.CANCELLED, {"x": "CANCELED", "X": "CANCELED", "c": "c", "C": "a", "w": False, "t": -1, "l": "0.00000000"}),
        (lambda desk: desk.price("90", volume="0.25"),
         Change.TRADE, {"x": "TRADE", "X": "PARTIALLY_FILLED", "c": "a", "C": "", "l": "0.25000000", "z": "0.25000000",
                        "L": "90.00000000", "n": "0.00025000", "N": "BTC", "m": True, "w": True}),
    ],
)  # fmt: skip
def test_a_report_says_what_happened(
    act: Callable[[Desk], object], change: Change, expected: dict[str, object]
) -> None:
    desk, events = traded()
    act(desk)
    event = events[-1]
    report = execution_report(event, 1)
    assert report is not None
    assert event.change is change
    assert {name: report[name] for name in expected} == expected


def test_a_stop_is_reported_again_when_it_begins_to_work() -> None:
    desk, events = traded()
    desk.order("STOP_LOSS_LIMIT", "SELL", quantity="0.1", price="94", stopPrice="95", newClientOrderId="s")
    desk.price("93")
    reports = [execution_report(event, 1) for event in events if event.order.client_id == "s"]
    assert [(r["x"], r["w"], "W" in r) for r in reports if r] == [("NEW", False, False), ("NEW", True, True)]
