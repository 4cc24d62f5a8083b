"""The exchange under the simulators, against fills and fees worked out by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.simulators.fees import PerUnitFees
from brokers.simulators.orders import Change, LinkRule, TimeInForce
from brokers.simulators.rules import Rules
from core.errors import OrderRejected
from core.types import OrderStatus, OrderType, Side
from tests.unit.brokers.simulators.venue_floor import START, D, Floor, ticket

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT, TRAIL = (
    OrderType.MARKET,
    OrderType.LIMIT,
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.STOP_TRAIL,
)


def opened(price: str = "100", bid: str | None = None, ask: str | None = None, volume: str = "100") -> Floor:
    floor = Floor()
    floor.tick(price, bid, ask, volume)
    return floor


def test_a_market_buy_walks_the_levels_and_pays_its_fee_in_the_bought_asset() -> None:
    floor = opened(bid="99.99", ask="100.01", volume="2")
    order = floor.submit(BUY, MARKET, "5")
    assert floor.fills() == [
        (D(2), D("100.01"), D("0.002"), "BTC"),
        (D(2), D("100.02"), D("0.002"), "BTC"),
        (D(1), D("100.03"), D("0.001"), "BTC"),
    ]
    assert order.status is OrderStatus.FILLED
    assert order.value == D("500.09")
    assert floor.balance("USDT") == D("9499.91")
    assert floor.balance("BTC") == D("9.995")


def test_a_market_sell_pays_its_fee_in_quote_rounded_down() -> None:
    floor = opened("33.33")
    floor.submit(SELL, MARKET, "0.001")
    assert floor.fills() == [(D("0.001"), D("33.33"), D("0.00003333"), "USDT")]
    assert floor.balance("USDT") == D("10000.03329667")


def test_what_one_taker_took_is_gone_for_the_next_until_the_next_tick() -> None:
    floor = opened(volume="1")
    floor.submit(BUY, MARKET, "1")
    floor.submit(BUY, MARKET, "1")
    floor.tick("100", volume="1")
    floor.submit(BUY, MARKET, "1")
    assert [price for _, price, *_ in floor.fills()] == [D(100), D("100.01"), D(100)]


def test_a_market_order_beyond_the_depth_expires_with_what_it_got() -> None:
    floor = opened("0.02", volume="1")
    order = floor.submit(SELL, MARKET, "5")
    assert (order.filled, order.status) == (D(2), OrderStatus.EXPIRED)


def test_an_order_for_so_much_quote_currency_buys_whole_lots() -> None:
    floor = opened("30")
    order = floor.submit(BUY, MARKET, "0", quote_size="100")
    assert (order.size, order.filled, order.value) == (D("3.333"), D("3.333"), D("99.99"))


def test_a_limit_rests_fills_at_its_own_price_and_pays_the_makers_fee() -> None:
    floor = opened()
    order = floor.submit(BUY, LIMIT, "2", limit="90")
    floor.tick("91")
    assert order.filled == 0
    floor.tick("85")
    assert floor.fills() == [(D(2), D(90), D("0.002"), "BTC")]
    assert floor.books.executions("me")[0].maker
    assert floor.balance("USDT") == D(9_820)


def test_a_limit_fills_by_the_volume_there_is() -> None:
    floor = opened()
    order = floor.submit(BUY, LIMIT, "3", limit="90")
    floor.tick("90", volume="2")
    assert (order.filled, order.status) == (D(2), OrderStatus.PARTIAL)
    floor.tick("90", volume="2")
    assert (order.filled, order.status) == (D(3), OrderStatus.FILLED)


def test_price_comes_before_time_and_time_before_the_rest() -> None:
    floor = opened()
    first = floor.submit(BUY, LIMIT, "1", limit="90")
    better = floor.submit(BUY, LIMIT, "1", limit="91")
    second = floor.submit(BUY, LIMIT, "1", limit="90")
    floor.tick("90", volume="2")
    assert [o.filled for o in (first, better, second)] == [D(1), D(1), D(0)]


def test_a_price_change_loses_the_place_in_the_queue_and_a_smaller_size_keeps_it() -> None:
    floor = opened()
    first = floor.submit(BUY, LIMIT, "2", limit="90")
    second = floor.submit(BUY, LIMIT, "1", limit="90")
    floor.exchange.amend(first.id, size=D(1))
    floor.tick("90", volume="1")
    assert (first.filled, second.filled) == (D(1), D(0))


def test_a_portion_leaves_the_rest_for_the_next_tick() -> None:
    floor = opened()
    portions = iter([D("0.25")])
    floor.exchange.matching.ask_portion = lambda order: next(portions, None)
    order = floor.submit(BUY, MARKET, "4")
    assert (order.filled, order.status) == (D(1), OrderStatus.PARTIAL)
    floor.tick("101")
    assert (order.filled, order.status) == (D(4), OrderStatus.FILLED)
    assert not any(execution.maker for execution in floor.books.executions("me"))


@pytest.mark.parametrize(
    ("side", "kind", "fields", "rule"),
    [
        (BUY, MARKET, {"size": "0"}, "size"),
        (BUY, LIMIT, {"size": "1"}, "price"),
        (BUY, STOP, {"size": "1"}, "trigger"),
        (SELL, TRAIL, {"size": "1"}, "trail"),
        (BUY, LIMIT, {"size": "1", "limit": "100", "post_only": True}, "would-take"),
        (SELL, STOP, {"size": "1", "trigger": "101"}, "would-trigger"),
        (SELL, STOP, {"size": "1", "trigger": "99", "take_profit": True}, "would-trigger"),
        (BUY, LIMIT, {"size": "101", "limit": "100"}, "funds"),
        (SELL, LIMIT, {"size": "6", "limit": "101"}, "funds"),
    ],
)
def test_what_is_refused_changes_nothing(
    side: Side, kind: OrderType, fields: dict[str, object], rule: str
) -> None:
    floor = opened()
    size = str(fields["size"])
    rest = {name: value for name, value in fields.items() if name != "size"}
    with pytest.raises(OrderRejected) as refused:
        floor.submit(side, kind, size, **rest)
    assert refused.value.rule == rule
    assert floor.books.orders("me") == []
    assert floor.balance("USDT") == D(10_000)


def test_open_orders_hold_their_money_back() -> None:
    floor = opened()
    order = floor.submit(BUY, LIMIT, "60", limit="90")
    floor.submit(SELL, LIMIT, "2", limit="110")
    assert floor.books.locked("me") == {"USDT": D(5_400), "BTC": D(2)}
    with pytest.raises(OrderRejected, match="4600 free"):
        floor.submit(BUY, LIMIT, "60", limit="90")
    floor.exchange.cancel(order.id)
    assert floor.books.locked("me") == {"BTC": D(2)}


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    floor = opened()
    first = floor.submit(BUY, LIMIT, "1", limit="90", client_id="a")
    with pytest.raises(OrderRejected) as refused:
        floor.submit(BUY, LIMIT, "1", limit="91", client_id="a")
    assert refused.value.rule == "duplicate"
    floor.exchange.cancel(first.id)
    again = floor.submit(BUY, LIMIT, "1", limit="91", client_id="a")
    assert floor.books.find("me", client_id="a") is again


def test_a_stop_waits_for_its_trigger_then_takes_the_market() -> None:
    floor = opened()
    order = floor.submit(SELL, STOP, "1", trigger="95")
    floor.tick("95.01")
    assert order.filled == 0
    floor.tick("94")
    assert floor.changes(order) == [Change.NEW, Change.TRIGGERED, Change.TRADE]
    assert floor.fills() == [(D(1), D(94), D("0.094"), "USDT")]


def test_a_stop_limit_rests_at_its_limit_when_the_market_jumped_past_it() -> None:
    floor = opened()
    order = floor.submit(SELL, STOP_LIMIT, "1", trigger="95", limit="94.5")
    floor.tick("90")
    assert (order.triggered, order.filled) == (True, D(0))
    floor.tick("96")
    assert floor.fills() == [(D(1), D("94.5"), D("0.0945"), "USDT")]


def test_a_stop_buy_cannot_spend_more_than_there_is() -> None:
    floor = opened()
    order = floor.submit(BUY, STOP, "95", trigger="105")
    floor.tick("200")
    assert (order.filled, order.status) == (D(50), OrderStatus.EXPIRED)
    assert floor.balance("USDT") == 0


def test_a_trailing_sell_follows_the_market_up_and_never_down() -> None:
    floor = opened()
    order = floor.submit(SELL, TRAIL, "1", trail_amount="5")
    triggers = []
    for price in ("103", "101", "106", "102"):
        floor.tick(price)
        triggers.append(order.trigger)
    assert triggers == [D(98), D(98), D(101), D(101)]
    floor.tick("101")
    assert (order.status, order.value) == (OrderStatus.FILLED, D(101))


def test_a_trailing_buy_by_percent_rounds_to_the_price_step() -> None:
    floor = opened("33.33")
    order = floor.submit(BUY, TRAIL, "1", trail_percent="0.01")
    assert order.trigger == D("33.66")
    floor.tick("30")
    assert order.trigger == D("30.30")


def test_of_linked_orders_the_first_to_trade_ends_the_other() -> None:
    floor = opened()
    made = floor.exchange.submit_list(
        [ticket(SELL, LIMIT, "2", limit="110"), ticket(SELL, STOP, "2", trigger="90")], LinkRule.TOUCH
    )
    assert floor.books.locked("me") == {"BTC": D(2)}
    above, below = (floor.books.state.orders[key] for key in made.orders)
    floor.tick("110", volume="1")
    assert (above.filled, above.status) == (D(1), OrderStatus.PARTIAL)
    assert below.status is OrderStatus.EXPIRED


def test_reducing_links_shrink_with_a_partial_fill_and_end_with_a_whole_one() -> None:
    floor = opened()
    made = floor.exchange.submit_list(
        [ticket(SELL, LIMIT, "2", limit="110"), ticket(SELL, STOP, "2", trigger="90")], LinkRule.REDUCE
    )
    above, below = (floor.books.state.orders[key] for key in made.orders)
    floor.tick("110", volume="1.5")
    assert (below.size, below.status) == (D("0.5"), OrderStatus.ACCEPTED)
    floor.tick("110")
    assert (above.status, below.status) == (OrderStatus.FILLED, OrderStatus.CANCELLED)


def test_a_list_is_taken_whole_or_not_at_all() -> None:
    floor = opened()
    with pytest.raises(OrderRejected):
        floor.exchange.submit_list(
            [ticket(SELL, LIMIT, "2", limit="110"), ticket(SELL, STOP, "2", trigger="101")], LinkRule.TOUCH
        )
    assert floor.books.orders("me") == []


def test_children_wait_for_their_parent() -> None:
    floor = opened()
    parent = floor.submit(BUY, LIMIT, "2", limit="95")
    child = floor.submit(SELL, STOP, "2", trigger="90", parent=parent.id)
    assert child.status is OrderStatus.INTENT
    floor.tick("89")
    assert floor.changes(child) == [Change.NEW, Change.RELEASED, Change.TRIGGERED, Change.TRADE]


def test_of_a_parent_cancelled_in_part_the_child_protects_what_it_bought() -> None:
    floor = opened()
    parent = floor.submit(BUY, LIMIT, "2", limit="95")
    child = floor.submit(SELL, STOP, "2", trigger="90", parent=parent.id)
    floor.tick("95", volume="0.5")
    floor.exchange.cancel(parent.id)
    assert (child.size, child.status) == (D("0.5"), OrderStatus.ACCEPTED)


def test_children_end_with_a_parent_that_filled_nothing() -> None:
    floor = opened()
    parent = floor.submit(BUY, LIMIT, "2", limit="95")
    child = floor.submit(SELL, STOP, "2", trigger="90", parent=parent.id)
    floor.exchange.cancel(parent.id)
    assert child.status is OrderStatus.CANCELLED


def test_an_immediate_order_ends_with_what_it_got() -> None:
    floor = opened(volume="1")
    order = floor.submit(BUY, LIMIT, "3", limit="100", time_in_force=TimeInForce.IOC)
    assert (order.filled, order.status) == (D(1), OrderStatus.EXPIRED)


def test_an_order_to_be_filled_whole_ends_untouched_when_it_cannot_be() -> None:
    floor = opened(volume="1")
    order = floor.submit(BUY, LIMIT, "3", limit="100.01", time_in_force=TimeInForce.FOK)
    assert (order.filled, order.status) == (D(0), OrderStatus.EXPIRED)
    order = floor.submit(BUY, LIMIT, "3", limit="100.02", time_in_force=TimeInForce.FOK)
    assert (order.filled, order.status) == (D(3), OrderStatus.FILLED)


def test_an_order_expires_at_its_time() -> None:
    floor = opened()
    order = floor.submit(BUY, LIMIT, "1", limit="90", expires_at=START + timedelta(seconds=3))
    floor.tick("95")
    assert order.open
    floor.tick("90")
    assert (order.status, order.filled) == (OrderStatus.EXPIRED, D(0))


def test_a_cancel_or_change_of_what_is_not_open_is_refused() -> None:
    floor = opened()
    order = floor.submit(BUY, MARKET, "1")
    with pytest.raises(OrderRejected):
        floor.exchange.cancel(order.id)
    with pytest.raises(OrderRejected):
        floor.exchange.amend(order.id, size=D(2))


def test_a_change_may_not_cost_more_than_there_is() -> None:
    floor = opened()
    order = floor.submit(BUY, LIMIT, "100", limit="90")
    assert floor.exchange.amend(order.id, limit=D(99)).limit == D(99)
    with pytest.raises(OrderRejected) as refused:
        floor.exchange.amend(order.id, size=D(102))
    assert refused.value.rule == "funds"


def test_a_margin_account_goes_short_and_averages_its_entries() -> None:
    floor = Floor(PerUnitFees(), Rules(unique_client_ids=False, refuse_reached_stops=False), D(2))
    floor.tick("100")
    floor.submit(SELL, MARKET, "15")
    floor.submit(SELL, MARKET, "5")
    held = floor.books.account("me").holdings["BTCUSDT"]
    assert (held.size, held.price) == (D(-20), D(100))
    floor.tick("90")
    floor.submit(BUY, MARKET, "30")
    assert (held.size, held.price, held.realised) == (D(10), D(90), D(200))
    assert [fee for _, _, fee, _ in floor.fills()] == [D(1), D(1), D(1)]
    with pytest.raises(OrderRejected) as refused:
        floor.submit(BUY, MARKET, "1000")
    assert refused.value.rule == "funds"


def test_the_minimum_fee_is_charged_once_an_order() -> None:
    floor = Floor(PerUnitFees(), leverage=D(4))
    floor.tick("100", volume="150")
    floor.submit(BUY, MARKET, "300")
    assert [fee for _, _, fee, _ in floor.fills()] == [D(1), D("0.5")]


def test_events_are_numbered_and_keep_the_order_as_it_was() -> None:
    floor = opened()
    heard = []
    floor.books.listen(heard.append)
    order = floor.submit(BUY, LIMIT, "2", limit="90")
    floor.tick("90", volume="1")
    floor.exchange.cancel(order.id)
    assert [event.number for event in heard] == [1, 2, 3]
    assert [event.order.filled for event in heard] == [D(0), D(1), D(1)]
    assert [event.change for event in heard] == [Change.NEW, Change.TRADE, Change.CANCELLED]


def test_a_restored_exchange_goes_on_where_it_stood() -> None:
    floor = opened()
    floor.submit(BUY, MARKET, "1", tags={"origin": "strategy"})
    resting = floor.submit(BUY, LIMIT, "2", limit="90", client_id="a")
    written = json.dumps(floor.books.snapshot())
    later = Floor()
    later.books.restore(json.loads(written))
    assert later.books.state == floor.books.state
    later.tick("90")
    assert later.books.state.orders[resting.id].status is OrderStatus.FILLED
    assert later.balance("USDT") == Decimal(9_720)
    assert later.submit(BUY, MARKET, "1").id == resting.id + 1
