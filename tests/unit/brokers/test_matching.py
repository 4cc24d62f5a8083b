from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from brokers import matching
from brokers.costs import Commission
from brokers.matching import FLAT, NOTHING, Holding, Match
from core.types import Bar, OrderType

T0 = datetime(2024, 1, 1, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
BAR = Bar("A", T1, open=10.0, high=12.0, low=8.0, close=11.0)
FALLING = Bar("A", T1, open=11.0, high=12.0, low=8.0, close=9.0)
DOJI = Bar("A", T1, open=10.0, high=12.0, low=8.0, close=10.0)


@dataclass(frozen=True)
class Order:
    type: OrderType
    buy: bool = True
    price: float = 10.0
    limit: float = 10.0
    triggered: bool = False
    created: datetime = T0
    session_end: datetime | None = None
    noted_close: float | None = None


@pytest.mark.parametrize(
    ("buy", "limit", "price"),
    [
        (True, 10.5, 10.0),  # the open is better
        (True, 10.0, 10.0),
        (True, 9.0, 9.0),
        (True, 8.0, 8.0),  # touched
        (True, 7.9, None),
        (False, 9.5, 10.0),
        (False, 11.0, 11.0),
        (False, 12.0, 12.0),
        (False, 12.1, None),
    ],
)
def test_limit(buy: bool, limit: float, price: float | None) -> None:
    assert matching.limit_price(buy, limit, BAR) == price


@pytest.mark.parametrize(
    ("buy", "trigger", "price"),
    [
        (True, 9.0, 10.0),  # a gap beyond the trigger fills at the open
        (True, 11.0, 11.0),
        (True, 12.0, 12.0),
        (True, 12.1, None),
        (False, 11.0, 10.0),
        (False, 9.0, 9.0),
        (False, 8.0, 8.0),
        (False, 7.9, None),
    ],
)
def test_stop(buy: bool, trigger: float, price: float | None) -> None:
    assert matching.stop_price(buy, trigger, BAR) == price


@pytest.mark.parametrize(
    ("bar", "buy", "trigger", "limit", "expected"),
    [
        (BAR, True, 12.5, 12.5, (False, None)),
        (BAR, True, 9.0, 10.0, (True, 10.0)),  # gap: a limit at once
        (BAR, True, 11.0, 11.5, (True, 11.0)),
        (BAR, True, 11.0, 10.5, (True, None)),  # rising bar: nobody knows whether it came back
        (FALLING, True, 11.5, 10.0, (True, 10.0)),  # falling bar: it closed below the limit
        (FALLING, True, 11.5, 8.5, (True, None)),
        (BAR, False, 7.0, 7.0, (False, None)),
        (BAR, False, 10.5, 9.0, (True, 10.0)),
        (BAR, False, 9.0, 8.5, (True, 9.0)),
        (BAR, False, 9.0, 10.5, (True, 10.5)),  # rising bar: it closed above the limit
        (FALLING, False, 9.5, 10.5, (True, None)),
        (DOJI, True, 11.0, 10.5, (True, None)),
        (DOJI, False, 9.0, 9.5, (True, 9.5)),
    ],
)
def test_stop_limit(
    bar: Bar, buy: bool, trigger: float, limit: float, expected: tuple[bool, float | None]
) -> None:
    assert matching.stop_limit_price(buy, trigger, limit, bar) == expected


def test_a_market_order_waits_for_a_later_bar() -> None:
    assert matching.match_bar(Order(OrderType.MARKET), BAR) == Match(10.0)
    assert matching.match_bar(Order(OrderType.MARKET, created=T1), BAR) is NOTHING


@pytest.mark.parametrize(
    ("end", "noted", "expected"),
    [
        (T1, None, Match(11.0)),
        (T1, 9.5, Match(11.0)),  # the bar at the end of the session is the last one
        (T0, 9.5, Match(9.5, previous_bar=True)),  # this bar shows that the one before was
        (T0, None, Match(11.0)),
        (T1 + timedelta(hours=1), None, Match(noted_close=11.0)),
    ],
)
def test_close(end: datetime, noted: float | None, expected: Match) -> None:
    order = Order(OrderType.CLOSE, session_end=end, noted_close=noted)
    assert matching.match_bar(order, BAR) == expected


def test_a_triggered_stop_limit_is_a_limit() -> None:
    order = Order(OrderType.STOP_LIMIT, price=99.0, limit=9.0, triggered=True)
    assert matching.match_bar(order, BAR) == Match(9.0)


def test_a_trailing_stop_is_tried_first_and_follows_the_close_after() -> None:
    sell = Order(OrderType.STOP_TRAIL, buy=False, price=7.0)
    assert matching.match_bar(sell, BAR) == Match(None, trail_by=11.0)
    assert matching.match_bar(Order(OrderType.STOP_TRAIL, buy=False, price=8.5), BAR).price == 8.5


def test_a_triggered_trailing_stop_limit_stands_still() -> None:
    waiting = Order(OrderType.STOP_TRAIL_LIMIT, buy=False, price=7.0, limit=6.0)
    assert matching.match_bar(waiting, BAR).trail_by == 11.0
    done = Order(OrderType.STOP_TRAIL_LIMIT, buy=False, price=7.0, limit=13.0, triggered=True)
    assert matching.match_bar(done, BAR) is NOTHING


@pytest.mark.parametrize(
    ("buy", "by", "amount", "fraction", "trigger"),
    [
        (False, 12.0, 1.0, None, 11.0),
        (False, 10.0, 1.0, None, 10.0),  # never away from the market
        (True, 8.0, 1.0, None, 9.0),
        (True, 12.0, 1.0, None, 10.0),
        (False, 20.0, None, 0.1, 18.0),
        (False, 20.0, 1.0, 0.1, 19.0),  # the amount goes first
        (False, 20.0, 0.0, 0.1, 18.0),
        (False, 20.0, None, None, 20.0),
    ],
)
def test_trail(buy: bool, by: float, amount: float | None, fraction: float | None, trigger: float) -> None:
    assert matching.trail_trigger(buy, 10.0, by, amount, fraction) == trigger


@pytest.mark.parametrize(
    ("price", "limit", "expected"),
    [(None, None, (7.0, 7.0)), (5.0, None, (5.0, 5.0)), (None, 6.0, (6.0, 6.0)), (5.0, 6.0, (5.0, 6.0))],
)
def test_missing_prices_come_from_each_other_then_from_the_close(
    price: float | None, limit: float | None, expected: tuple[float, float]
) -> None:
    assert matching.created_prices(price, limit, 7.0) == expected


@pytest.mark.parametrize(
    ("held", "size", "expected"),
    [
        (FLAT, 5.0, (Holding(5.0, 20.0), 5.0, 0.0)),
        (Holding(5.0, 10.0), 5.0, (Holding(10.0, 15.0), 5.0, 0.0)),
        (Holding(5.0, 10.0), -2.0, (Holding(3.0, 10.0), 0.0, -2.0)),
        (Holding(5.0, 10.0), -5.0, (FLAT, 0.0, -5.0)),
        (Holding(5.0, 10.0), -8.0, (Holding(-3.0, 20.0), -3.0, -5.0)),
        (Holding(-5.0, 10.0), -5.0, (Holding(-10.0, 15.0), -5.0, 0.0)),
        (Holding(-5.0, 10.0), 8.0, (Holding(3.0, 20.0), 3.0, 5.0)),
    ],
)
def test_position(held: Holding, size: float, expected: tuple[Holding, float, float]) -> None:
    assert matching.change_position(held, size, 20.0) == expected


def test_when_cash_does_not_suffice_only_the_closing_part_trades() -> None:
    done = matching.execute(100.0, Holding(-5.0, 10.0), 20.0, 12.0, Commission(0.0))
    assert (done.cash, done.holding, done.size, done.short) == (40.0, FLAT, 5.0, True)


def test_the_check_before_acceptance_shows_what_is_missing() -> None:
    assert matching.pretend(100.0, FLAT, 20.0, 12.0, Commission(0.0)) == (-140.0, Holding(20.0, 12.0))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order(OrderType.MARKET), Match(10.2)),
        (Order(OrderType.MARKET, buy=False), Match(10.0)),
        (Order(OrderType.LIMIT, price=10.5), Match(10.2)),
        (Order(OrderType.LIMIT, price=10.1), NOTHING),
        (Order(OrderType.LIMIT, buy=False, price=10.0), Match(10.0)),
        (Order(OrderType.STOP, price=10.2), Match(10.2)),
        (Order(OrderType.STOP, price=10.3), NOTHING),
        (Order(OrderType.STOP, buy=False, price=10.1), Match(10.0)),
        (Order(OrderType.STOP_LIMIT, price=10.1, limit=10.3), Match(10.2, triggered=True)),
        (Order(OrderType.STOP_LIMIT, price=10.1, limit=10.1), Match(None, triggered=True)),
        (Order(OrderType.STOP_LIMIT, price=99.0, limit=10.3, triggered=True), Match(10.2)),
        (Order(OrderType.STOP_TRAIL, buy=False, price=9.0), Match(None, trail_by=10.0)),
        (Order(OrderType.CLOSE, session_end=T1), Match(10.2)),
        (Order(OrderType.CLOSE, session_end=T1 + timedelta(seconds=1)), NOTHING),
    ],
)
def test_quotes(order: Order, expected: Match) -> None:
    assert matching.match_quote(order, bid=10.0, ask=10.2, time=T1) == expected


def test_a_side_without_a_price_fills_nothing() -> None:
    assert matching.match_quote(Order(OrderType.MARKET), bid=10.0, ask=0.0, time=T1) is NOTHING
