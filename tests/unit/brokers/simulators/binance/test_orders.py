"""Orders by Binance's rules: types, filters, client ids, lists, cancel and replace, and their error codes."""

from __future__ import annotations

import pytest

from brokers.simulators.binance.errors import BinanceError
from tests.unit.brokers.simulators.binance.desk import Desk


def stops(**params: object) -> dict[str, object]:
    return {"quantity": "0.1", "stopPrice": "90", **params}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_market_buy_pays_its_commission_in_the_bought_asset(desk: Desk) -> None:
    answer = desk.order("MARKET", quantity="2")
    assert (answer["status"], answer["executedQty"], answer["cummulativeQuoteQty"]) == (
        "FILLED",
        "2.00000000",
        "200.00000000",
    )
    (fill,) = answer["fills"]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00200000", "BTC")
    balances = {row["asset"]: row["free"] for row in desk.call("GET", "account")["balances"]}
    assert balances == {"USDT": "9800.00000000", "BTC": "2.99800000"}


def test_a_market_order_of_so_much_quote_currency(desk: Desk) -> None:
    answer = desk.order("MARKET", quoteOrderQty="50")
    assert (answer["origQty"], answer["origQuoteOrderQty"]) == ("0.50000000", "50.00000000")


@pytest.mark.parametrize(
    ("kind", "how", "fields"),
    [("MARKET", "FULL", "fills"), ("LIMIT", "FULL", "fills"), ("LIMIT_MAKER", "ACK", None)],
)
def test_how_much_is_answered_depends_on_the_type(
    desk: Desk, kind: str, how: str, fields: str | None
) -> None:
    more = {} if kind == "MARKET" else {"price": "90"}
    more |= {"timeInForce": "GTC"} if kind == "LIMIT" else {}
    answer = desk.call("POST", "order", symbol="BTCUSDT", side="BUY", type=kind, quantity="0.1", **more)
    assert ("status" in answer, "fills" in answer) == (how == "FULL", fields is not None)


@pytest.mark.parametrize(
    ("kind", "side", "params", "code", "text"),
    [
        ("LIMIT", "BUY", {"quantity": "1", "price": "90.001", "timeInForce": "GTC"}, -1013, "PRICE_FILTER"),
        ("LIMIT", "BUY", {"quantity": "1", "price": "501", "timeInForce": "GTC"}, -1013, "PERCENT_PRICE_BY_SIDE"),
        ("LIMIT", "BUY", {"quantity": "1", "price": "19", "timeInForce": "GTC"}, -1013, "PERCENT_PRICE_BY_SIDE"),
        ("MARKET", "BUY", {"quantity": "1.000001"}, -1013, "LOT_SIZE"),
        ("MARKET", "BUY", {"quantity": "9001"}, -1013, "LOT_SIZE"),
        ("MARKET", "BUY", {"quantity": "0"}, -1013, "LOT_SIZE"),
        ("MARKET", "BUY", {"quantity": "0.01"}, -1013, "NOTIONAL"),
        ("LIMIT", "BUY", {"quantity": "0.05", "price": "90", "timeInForce": "GTC"}, -1013, "NOTIONAL"),
        ("STOP_LOSS", "SELL", {"quantity": "0.1", "trailingDelta": "5"}, -1013, "TRAILING_DELTA"),
        ("MARKET", "BUY", {"quantity": "101"}, -2010, "insufficient balance"),
        ("LIMIT_MAKER", "BUY", {"quantity": "1", "price": "100"}, -2010, "immediately match and take"),
        ("STOP_LOSS", "SELL", {"quantity": "1", "stopPrice": "100"}, -2010, "trigger immediately"),
        ("TAKE_PROFIT", "SELL", {"quantity": "1", "stopPrice": "100"}, -2010, "trigger immediately"),
        ("LIMIT", "BUY", {"quantity": "1", "timeInForce": "GTC"}, -1102, "'price'"),
        ("LIMIT", "BUY", {"quantity": "1", "price": "90"}, -1102, "'timeInForce'"),
        ("MARKET", "BUY", {}, -1102, "'quantity'"),
        ("MARKET", "BUY", {"quantity": "1", "price": "9"}, -1106, "'price'"),
        ("MARKET", "BUY", {"quantity": "1", "stopPrice": "9"}, -1106, "'stopPrice'"),
        ("MARKET", "BUY", {"quantity": "one"}, -1100, "'quantity'"),
        ("MARKET", "BUY", {"quantity": "1", "newClientOrderId": "no spaces"}, -1100, "'newClientOrderId'"),
        ("LIMIT", "BUY", {"quantity": "1", "price": "90", "timeInForce": "DAY"}, -1115, "timeInForce"),
        ("FANCY", "BUY", {"quantity": "1"}, -1116, "orderType"),
        ("MARKET", "HOLD", {"quantity": "1"}, -1117, "side"),
        ("MARKET", "BUY", {"quantity": "1", "symbol": "NOPE"}, -1121, "symbol"),
    ],
)  # fmt: skip
def test_what_is_refused_says_so_as_documented(
    desk: Desk, kind: str, side: str, params: dict[str, object], code: int, text: str
) -> None:
    given = {"symbol": "BTCUSDT", "side": side, "type": kind, **params}
    found, said = desk.refused("POST", "order", **given)
    assert (found, text in said) == (code, True), said
    assert desk.call("GET", "allOrders", symbol="BTCUSDT") == []


def test_a_test_order_is_checked_and_forgotten(desk: Desk) -> None:
    given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
    assert desk.call("POST", "order/test", quantity="1", **given) == {}
    assert desk.refused("POST", "order/test", quantity="101", **given)[0] == -2010
    assert desk.call("GET", "allOrders", symbol="BTCUSDT") == []


def test_stops_are_bounded_in_number(desk: Desk) -> None:
    for price in range(90, 95):
        desk.order("STOP_LOSS", "SELL", **stops(stopPrice=price))
    assert desk.order_refused("STOP_LOSS", "SELL", **stops()) == (
        -1013,
        "Filter failure: MAX_NUM_ALGO_ORDERS",
    )


def test_a_stop_limit_waits_and_then_rests(desk: Desk) -> None:
    answer = desk.order("STOP_LOSS_LIMIT", "SELL", **stops(price="89"), newClientOrderId="a")
    assert (answer["stopPrice"], answer["workingTime"]) == ("90.00000000", -1)
    assert desk.query("a")["isWorking"] is False
    desk.price("88")
    state = desk.query("a")
    assert (state["isWorking"], state["status"]) == (True, "NEW")
    desk.price("89")
    assert desk.query("a")["status"] == "FILLED"
    assert desk.call("GET", "myTrades", symbol="BTCUSDT")[0]["price"] == "89.00000000"


def test_a_trailing_stop_follows_by_its_delta(desk: Desk) -> None:
    desk.order("STOP_LOSS", "SELL", quantity="0.1", trailingDelta="500", newClientOrderId="a")
    desk.price("120")
    assert (desk.query("a")["stopPrice"], desk.query("a")["trailingDelta"]) == ("114.00000000", 500)
    desk.price("114")
    assert desk.query("a")["status"] == "FILLED"


def test_client_ids_are_unique_among_open_orders_only(desk: Desk) -> None:
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    assert desk.order_refused("LIMIT", quantity="1", price="91", timeInForce="GTC", newClientOrderId="a") == (
        -2010,
        "Duplicate order sent.",
    )
    desk.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
    desk.order("LIMIT", quantity="1", price="91", newClientOrderId="a")
    assert desk.query("a")["price"] == "91.00000000"
    assert len(desk.call("GET", "allOrders", symbol="BTCUSDT")) == 2


def test_a_cancel_has_an_id_of_its_own(desk: Desk) -> None:
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    answer = desk.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a", newClientOrderId="c")
    assert (answer["origClientOrderId"], answer["clientOrderId"], answer["status"]) == ("a", "c", "CANCELED")
    assert desk.refused("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")[0] == -2011
    assert desk.query("a")["clientOrderId"] == "a"


def test_a_cancel_can_be_restricted_to_untouched_orders(desk: Desk) -> None:
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    desk.price("90", volume="0.4")
    about = {"symbol": "BTCUSDT", "origClientOrderId": "a"}
    assert desk.refused("DELETE", "order", **about, cancelRestrictions="ONLY_NEW")[0] == -2011
    assert desk.refused("DELETE", "order", **about, cancelRestrictions="SOMETIMES")[0] == -1145
    answer = desk.call("DELETE", "order", **about, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert answer["executedQty"] == "0.40000000"


def test_what_does_not_exist_is_said_so(desk: Desk) -> None:
    assert desk.refused("GET", "order", symbol="BTCUSDT", origClientOrderId="a") == (
        -2013,
        "Order does not exist.",
    )
    assert desk.refused("GET", "order", symbol="BTCUSDT")[0] == -1102
    assert desk.refused("DELETE", "order", symbol="BTCUSDT", orderId="7") == (-2011, "Unknown order sent.")
    assert desk.refused("DELETE", "openOrders", symbol="BTCUSDT")[0] == -2011


def replace(desk: Desk, **params: object) -> dict[str, object]:
    given = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1",
        "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "a", "newClientOrderId": "a", **params,
    }  # fmt: skip
    answer: dict[str, object] = desk.call("POST", "order/cancelReplace", **given)
    return answer


def test_cancel_replace_puts_one_order_in_the_place_of_another(desk: Desk) -> None:
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    answer = replace(desk, price="95")
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    (left,) = desk.call("GET", "openOrders", symbol="BTCUSDT")
    assert (left["price"], left["clientOrderId"]) == ("95.00000000", "a")


@pytest.mark.parametrize(
    ("params", "status", "code", "outcome", "open_orders"),
    [
        ({"price": "95", "cancelOrigClientOrderId": "b"}, 400, -2022, ("FAILURE", "NOT_ATTEMPTED"), 1),
        ({"price": "95.001"}, 409, -2021, ("SUCCESS", "FAILURE"), 0),
        (
            {"price": "95", "cancelOrigClientOrderId": "b", "newClientOrderId": "c", "cancelReplaceMode": "ALLOW_FAILURE"},
            409, -2021, ("FAILURE", "SUCCESS"), 2,
        ),
        ({"price": "9", "cancelOrigClientOrderId": "b", "cancelReplaceMode": "ALLOW_FAILURE"}, 400, -2022, ("FAILURE", "FAILURE"), 1),
    ],
)  # fmt: skip
def test_a_replacement_that_fails_says_which_half(
    desk: Desk, params: dict[str, object], status: int, code: int, outcome: tuple[str, str], open_orders: int
) -> None:
    desk.order("LIMIT", quantity="1", price="90", newClientOrderId="a")
    with pytest.raises(BinanceError) as refused:
        replace(desk, **params)
    assert (refused.value.status, refused.value.code) == (status, code)
    data = refused.value.data
    assert isinstance(data, dict)
    assert (data["cancelResult"], data["newOrderResult"]) == outcome
    assert len(desk.call("GET", "openOrders", symbol="BTCUSDT")) == open_orders


def oco(desk: Desk, **params: object) -> dict[str, object]:
    given = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5", "listClientOrderId": "pair",
        "aboveType": "LIMIT_MAKER", "abovePrice": "110", "aboveClientOrderId": "up",
        "belowType": "STOP_LOSS", "belowStopPrice": "90", "belowClientOrderId": "down", **params,
    }  # fmt: skip
    answer: dict[str, object] = desk.call("POST", "orderList/oco", **given)
    return answer


def test_of_an_oco_one_order_ends_the_other(desk: Desk) -> None:
    answer = oco(desk)
    assert [report["status"] for report in answer["orderReports"]] == ["NEW", "NEW"]  # type: ignore[attr-defined]
    locked = {row["asset"]: row["locked"] for row in desk.call("GET", "account")["balances"]}
    assert locked["BTC"] == "0.50000000"
    desk.price("89")
    assert (desk.query("down")["status"], desk.query("up")["status"]) == ("FILLED", "EXPIRED")
    assert desk.call("GET", "orderList", origClientOrderId="pair")["listStatusType"] == "ALL_DONE"
    assert desk.call("GET", "openOrderList") == []


def test_cancelling_one_order_of_a_list_cancels_the_list(desk: Desk) -> None:
    oco(desk)
    answer = desk.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="up")
    assert [report["status"] for report in answer["orderReports"]] == ["CANCELED", "CANCELED"]
    assert desk.refused("DELETE", "orderList", symbol="BTCUSDT", listClientOrderId="pair")[0] == -2011


def test_an_oco_the_wrong_way_round_is_refused(desk: Desk) -> None:
    with pytest.raises(BinanceError, match="relationship of the prices"):
        oco(desk, abovePrice="80")
    with pytest.raises(BinanceError, match="relationship of the prices"):
        oco(desk, belowType="TAKE_PROFIT", belowStopPrice="90")
    assert desk.call("GET", "openOrders") == []


def test_trades_are_read_from_an_id_on(desk: Desk) -> None:
    for _ in range(3):
        desk.order("MARKET", quantity="0.1")
    ids = [trade["id"] for trade in desk.call("GET", "myTrades", symbol="BTCUSDT")]
    assert ids == sorted(set(ids))
    later = desk.call("GET", "myTrades", symbol="BTCUSDT", fromId=ids[1], limit=1)
    assert [trade["id"] for trade in later] == [ids[1]]
    assert desk.refused("GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1)[0] == -1128


def test_orders_are_read_from_an_id_on(desk: Desk) -> None:
    for price in (90, 91, 92):
        desk.order("LIMIT", quantity="0.1", price=price)
    found = desk.call("GET", "allOrders", symbol="BTCUSDT", orderId=2)
    assert [order["price"] for order in found] == ["91.00000000", "92.00000000"]
    assert [order["price"] for order in desk.call("GET", "allOrders", symbol="BTCUSDT", limit=1)] == [
        "92.00000000"
    ]


def test_an_immediate_order_reports_what_it_did_not_get_as_expired(desk: Desk) -> None:
    desk.price("100", volume="1")
    answer = desk.order("LIMIT", quantity="3", price="100", timeInForce="IOC")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "1.00000000")
