"""At which price, and on which bar, each kind of order fills: sections 5 to 7 of docs/engine-semantics.md."""

from __future__ import annotations

import datetime

import backtrader as bt

from tests.parity.semantics import EVERY_ENGINE, RISING, frame_of, outcome

pytestmark = EVERY_ENGINE
START = (10.0, 10.0, 10.0, 10.0)


class Once(bt.Strategy):
    """Makes `order` on its first bar."""

    def next(self):
        if len(self) == 1:
            self.order()


def test_market(engine: str) -> None:
    """Rule 5.1"""

    class Market(Once):
        def order(self):
            self.buy(size=1)
            self.sell(size=2)

    assert outcome(engine, Market).fills == [(2, 1, 11.0), (2, -2, 11.0)]


def test_close_of_a_daily_bar(engine: str) -> None:
    """Rule 5.2"""

    class Close(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Close)

    assert outcome(engine, Close).fills == [(2, 1, 12.0)]


def test_close_of_a_session_of_hours(engine: str) -> None:
    """Rule 5.3"""

    class Close(bt.Strategy):
        def notify_order(self, order):
            if order.status == order.Completed and order.isbuy():
                self.sell(size=1)

        def next(self):
            if len(self) == 1:
                self.buy(size=1, exectype=bt.Order.Close)

    bars = frame_of(RISING, start="2024-01-01 21:00", spacing="h")
    done = outcome(engine, Close, bars)
    # Told on the fourth bar, the first of the next day, so that the sale is on the fifth.
    assert done.fills == [(3, 1, 14.0), (5, -1, 17.0)]
    assert done.cash == [1000.0, 1000.0, 1000.0, 986.0, 1003.0]


def test_limit_buy(engine: str) -> None:
    """Rule 5.4"""

    class Limit(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Limit, price=9.0)

    above = (10.0, 10.0, 9.01, 10.0)
    assert outcome(engine, Limit, [START, above, (8.5, 10.0, 8.0, 9.5)]).fills == [(3, 1, 8.5)]
    assert outcome(engine, Limit, [START, above, (9.5, 10.0, 9.0, 9.5)]).fills == [(3, 1, 9.0)]
    assert outcome(engine, Limit, [START, above, above]).fills == []


def test_limit_sell(engine: str) -> None:
    """Rule 5.5"""

    class Limit(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.Limit, price=11.0)

    below = (10.0, 10.99, 10.0, 10.0)
    assert outcome(engine, Limit, [START, below, (11.5, 12.0, 11.0, 11.5)]).fills == [(3, -1, 11.5)]
    assert outcome(engine, Limit, [START, below, (10.5, 11.0, 10.0, 10.5)]).fills == [(3, -1, 11.0)]
    assert outcome(engine, Limit, [START, below, below]).fills == []


def test_stop_buy(engine: str) -> None:
    """Rule 5.6"""

    class Stop(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Stop, price=11.0)

    below = (10.0, 10.99, 10.0, 10.0)
    assert outcome(engine, Stop, [START, below, (11.5, 12.0, 11.0, 11.5)]).fills == [(3, 1, 11.5)]
    assert outcome(engine, Stop, [START, below, (10.5, 11.0, 10.0, 10.5)]).fills == [(3, 1, 11.0)]
    assert outcome(engine, Stop, [START, below, below]).fills == []


def test_stop_sell(engine: str) -> None:
    """Rule 5.7"""

    class Stop(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.Stop, price=9.0)

    above = (10.0, 10.0, 9.01, 10.0)
    assert outcome(engine, Stop, [START, above, (8.5, 10.0, 8.0, 9.5)]).fills == [(3, -1, 8.5)]
    assert outcome(engine, Stop, [START, above, (9.5, 10.0, 9.0, 9.5)]).fills == [(3, -1, 9.0)]
    assert outcome(engine, Stop, [START, above, above]).fills == []


class StopLimitBuy(Once):
    def order(self):
        self.buy(size=1, exectype=bt.Order.StopLimit, price=11.0, plimit=10.5)


def test_stop_limit_after_a_gap(engine: str) -> None:
    """Rule 5.8"""
    gap = (11.5, 12.0, 10.4, 11.8)
    assert outcome(engine, StopLimitBuy, [START, gap]).fills == [(2, 1, 10.5)]
    high = (11.5, 12.0, 11.0, 11.8)
    assert outcome(engine, StopLimitBuy, [START, high, (10.2, 10.2, 10.0, 10.0)]).fills == [(3, 1, 10.2)]


def test_stop_limit_triggered_inside_a_falling_bar(engine: str) -> None:
    """Rule 5.9"""
    falling = (10.8, 11.2, 10.0, 10.2)
    assert outcome(engine, StopLimitBuy, [START, falling]).fills == [(2, 1, 10.5)]
    ends_above = (10.8, 11.2, 10.0, 10.6)
    assert outcome(engine, StopLimitBuy, [START, ends_above]).fills == []


def test_stop_limit_triggered_inside_a_rising_bar(engine: str) -> None:
    """Rule 5.10"""
    rising = (10.2, 11.2, 10.0, 10.9)
    assert outcome(engine, StopLimitBuy, [START, rising, (10.4, 10.6, 10.3, 10.5)]).fills == [(3, 1, 10.4)]

    class Wide(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.StopLimit, price=11.0, plimit=11.1)

    assert outcome(engine, Wide, [START, rising]).fills == [(2, 1, 11.0)]


def test_stop_limit_sell(engine: str) -> None:
    """Rule 5.11"""

    class Sell(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.StopLimit, price=9.0, plimit=9.5)

    rising = (9.2, 10.0, 8.8, 9.8)
    assert outcome(engine, Sell, [START, rising]).fills == [(2, -1, 9.5)]
    even = (9.5, 10.0, 8.8, 9.5)
    assert outcome(engine, Sell, [START, even]).fills == [(2, -1, 9.5)]
    falling = (9.6, 10.0, 8.8, 9.1)
    assert outcome(engine, Sell, [START, falling, (9.7, 9.9, 9.4, 9.6)]).fills == [(3, -1, 9.7)]


def test_a_missing_limit_is_the_price_and_the_other_way_round(engine: str) -> None:
    """Rule 5.12"""

    class NoLimit(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.StopLimit, price=11.0)

    class NoPrice(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Limit, plimit=9.0)

    assert outcome(engine, NoLimit, [START, (10.5, 11.5, 10.0, 11.2)]).fills == [(2, 1, 11.0)]
    assert outcome(engine, NoPrice, [START, (9.5, 9.5, 8.5, 9.0)]).fills == [(2, 1, 9.0)]


def test_a_price_not_given_is_the_close(engine: str) -> None:
    """Rule 5.13"""

    class Limit(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Limit)

    assert outcome(engine, Limit, [START, (10.5, 10.5, 9.5, 10.0)]).fills == [(2, 1, 10.0)]


def test_a_trailing_stop_follows_closes(engine: str) -> None:
    """Rule 5.14"""

    class Trail(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.StopTrail, trailamount=1.0)

    spike = (10.0, 15.0, 9.5, 12.0)
    assert outcome(engine, Trail, [START, spike, (12.0, 12.0, 10.8, 11.5)]).fills == [(3, -1, 11.0)]
    assert outcome(engine, Trail, [START, (10.0, 15.0, 9.0, 12.0)]).fills == [(2, -1, 9.0)]
    lower = (10.0, 10.0, 9.2, 9.3)
    assert outcome(engine, Trail, [START, lower, (9.3, 9.4, 8.8, 9.0)]).fills == [(3, -1, 9.0)]


def test_a_trailing_percentage_is_of_each_close(engine: str) -> None:
    """Rule 5.15"""

    class Trail(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.StopTrail, trailpercent=0.25)

    bars = [START, (10.0, 16.0, 8.0, 16.0), (16.0, 16.0, 11.0, 15.0)]
    assert outcome(engine, Trail, bars).fills == [(3, -1, 12.0)]


def test_a_trailing_stop_from_a_price(engine: str) -> None:
    """Rule 5.16"""

    class Trail(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.StopTrail, price=12.0, trailamount=1.0)

    bars = [START, (10.0, 10.5, 9.0, 9.0), (9.0, 10.5, 9.0, 10.0)]
    assert outcome(engine, Trail, bars).fills == [(3, 1, 10.0)]
    assert outcome(engine, Trail, [START, (10.0, 13.0, 10.0, 12.5)]).fills == [(2, 1, 13.0)]


def test_a_trailing_stop_limit_keeps_its_distance_and_stops_trailing(engine: str) -> None:
    """Rule 5.17"""

    class Trail(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.StopTrailLimit, price=10.0, plimit=9.5, trailamount=1.0)

    moved = (10.0, 12.0, 9.5, 12.0)
    assert outcome(engine, Trail, [START, moved, (10.4, 10.6, 10.0, 10.0)]).fills == [(3, -1, 10.5)]
    low = (10.4, 10.4, 10.0, 10.0)
    bars = [START, moved, low, (10.0, 10.2, 9.0, 10.2), (10.45, 10.55, 10.4, 10.5)]
    assert outcome(engine, Trail, bars).fills == [(5, -1, 10.5)]

    class Above(Once):
        def order(self):
            self.sell(size=1, exectype=bt.Order.StopTrailLimit, price=10.0, plimit=10.5, trailamount=1.0)

    triggers = (12.0, 12.0, 8.9, 11.0)
    assert outcome(engine, Above, [START, triggers, (10.0, 10.6, 9.9, 10.0)]).fills == [(3, -1, 10.5)]


def test_cheat_on_close(engine: str) -> None:
    """Rule 5.18"""

    class Buy(Once):
        def order(self):
            self.buy(size=1)
            self.sell(size=2, coc=False)

    done = outcome(engine, Buy, broker=lambda account: account.set_coc(True), may_refuse=["compiled"])
    assert done.fills == [(1, 1, 10.0), (2, -2, 11.0)]
    assert done.cash == [1000.0, 1012.0, 1012.0, 1012.0, 1012.0]


def test_cheat_on_open(engine: str) -> None:
    """Rule 5.19"""

    class Open(bt.Strategy):
        def prenext_open(self):
            self.next_open()

        def next_open(self):
            if len(self.data) == 2:
                self.buy(size=1)

        def next(self):
            if len(self) == 4:
                self.sell(size=1)

    done = outcome(engine, Open, cheat_on_open=True)
    assert done.fills == [(2, 1, 11.0), (5, -1, 17.0)]


def test_cheat_on_open_checks_market_orders_at_the_open(engine: str) -> None:
    """Rule 5.20"""

    class Open(bt.Strategy):
        def next_open(self):
            if len(self.data) == 3:
                self.buy(size=80)

    done = outcome(engine, Open, cheat_on_open=True)
    assert (done.fills, done.statuses) == ([], ["Margin"])


def test_a_filler_fills_in_parts(engine: str) -> None:
    """Rule 5.21"""

    class Buy(Once):
        def order(self):
            self.buy(size=5)

    def filler(account: bt.brokers.BackBroker) -> None:
        account.set_filler(bt.broker.fillers.FixedSize(size=2))

    done = outcome(engine, Buy, broker=filler, may_refuse=["compiled"])
    assert done.fills == [(2, 2, 11.0), (3, 2, 13.0), (4, 1, 15.0)]
    assert done.statuses == ["Completed"]


class Both(Once):
    def order(self):
        self.buy(size=1)
        self.sell(size=1)


def test_slippage_in_percent(engine: str) -> None:
    """Rule 6.1"""
    done = outcome(engine, Both, broker=lambda account: account.set_slippage_perc(0.02))
    assert done.fills == [(2, 1, 11.0 * 1.02), (2, -1, 11.0 * 0.98)]


def test_slippage_ends_at_the_bar(engine: str) -> None:
    """Rule 6.2"""
    done = outcome(engine, Both, broker=lambda account: account.set_slippage_fixed(5.0))
    assert done.fills == [(2, 1, 12.5), (2, -1, 10.5)]


def test_the_open_does_not_slip_unless_told(engine: str) -> None:
    """Rule 6.3"""
    assert outcome(engine, Both, slippage={"slip_fixed": 0.25}).fills == [(2, 1, 11.0), (2, -1, 11.0)]


def test_a_touched_stop_always_slips(engine: str) -> None:
    """Rule 6.4"""

    class Stop(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Stop, price=12.0)

    assert outcome(engine, Stop, slippage={"slip_fixed": 0.25}).fills == [(2, 1, 12.25)]


def test_a_limit_never_slips_past_itself(engine: str) -> None:
    """Rule 6.5"""

    class Limits(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.Limit, price=11.25)
            self.sell(size=2, exectype=bt.Order.Limit, price=10.75)
            self.buy(size=3, exectype=bt.Order.Limit, price=10.75)

    done = outcome(engine, Limits, broker=lambda account: account.set_slippage_fixed(0.5))
    assert done.fills == [(2, 1, 11.25), (2, -2, 10.75), (2, 3, 10.75)]


def test_without_match_the_order_waits(engine: str) -> None:
    """Rule 6.6"""

    class Buy(Once):
        def order(self):
            self.buy(size=1)

    tight = (10.0, 10.1, 9.9, 10.0)
    bars = [START, tight, (10.0, 11.0, 9.0, 10.0)]
    done = outcome(engine, Buy, bars, broker=lambda a: a.set_slippage_fixed(0.25, slip_match=False))
    assert done.fills == [(3, 1, 10.25)]


def test_slippage_may_leave_the_bar(engine: str) -> None:
    """Rule 6.7"""
    done = outcome(engine, Both, broker=lambda account: account.set_slippage_fixed(5.0, slip_out=True))
    assert done.fills == [(2, 1, 16.0), (2, -1, 6.0)]


def test_percent_goes_before_fixed(engine: str) -> None:
    """Rule 6.8"""
    done = outcome(engine, Both, slippage={"slip_perc": 0.02, "slip_fixed": 1.0, "slip_open": True})
    assert done.fills == [(2, 1, 11.0 * 1.02), (2, -1, 11.0 * 0.98)]


def test_a_stop_limit_can_slip_past_its_limit(engine: str) -> None:
    """Rule 6.9"""

    class Stop(Once):
        def order(self):
            self.buy(size=1, exectype=bt.Order.StopLimit, price=11.0, plimit=11.1)

    bars = [START, (10.2, 11.2, 10.0, 10.9)]
    done = outcome(engine, Stop, bars, broker=lambda account: account.set_slippage_fixed(0.5))
    assert done.fills == [(2, 1, 11.2)]


class LimitUntil(bt.Strategy):
    """A limit below the market, with an end from `until`."""

    def next(self):
        if len(self) == 1:
            self.buy(size=1, exectype=bt.Order.Limit, price=9.6, valid=self.until())


LATE_DIP = [START, START, (10.0, 10.0, 9.5, 10.0), (10.0, 10.0, 9.5, 10.0)]


def test_good_till_a_date(engine: str) -> None:
    """Rule 7.1"""

    class Until3(LimitUntil):
        def until(self):
            return datetime.datetime(2024, 1, 3)

    class Until2(LimitUntil):
        def until(self):
            return datetime.datetime(2024, 1, 2)

    assert outcome(engine, Until3, LATE_DIP, may_refuse=["compiled"]).fills == [(3, 1, 9.6)]
    late = outcome(engine, Until2, LATE_DIP, may_refuse=["compiled"])
    assert (late.fills, late.statuses) == ([], ["Expired"])


def test_good_for_a_while(engine: str) -> None:
    """Rule 7.2"""

    class Two(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, exectype=bt.Order.Limit, price=9.6, valid=datetime.timedelta(days=2))
                self.buy(size=2, exectype=bt.Order.Limit, price=9.6, valid=datetime.timedelta(days=1))

    done = outcome(engine, Two, LATE_DIP)
    assert (done.fills, done.statuses) == ([(3, 1, 9.6)], ["Completed", "Expired"])


def test_good_for_the_day(engine: str) -> None:
    """Rule 7.3"""

    class Day(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, exectype=bt.Order.Limit, price=9.6, valid=datetime.timedelta())

    assert outcome(engine, Day, LATE_DIP).statuses == ["Expired"]
    hours = frame_of(LATE_DIP, start="2024-01-01 10:00", spacing="h")
    assert outcome(engine, Day, hours).fills == [(3, 1, 9.6)]


def test_zero_never_expires(engine: str) -> None:
    """Rule 7.4"""

    class Zero(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, exectype=bt.Order.Limit, price=9.6, valid=0)

    assert outcome(engine, Zero, LATE_DIP).fills == [(3, 1, 9.6)]


def test_a_number_is_a_date(engine: str) -> None:
    """Rule 7.5"""

    class Number(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, exectype=bt.Order.Limit, price=9.6, valid=3.0)
                self.buy(size=2, exectype=bt.Order.Limit, price=9.6, valid=self.data.datetime[0] + 2.0)

    done = outcome(engine, Number, LATE_DIP)
    assert (done.fills, done.statuses) == ([(3, 2, 9.6)], ["Expired", "Completed"])


def test_market_orders_do_not_expire(engine: str) -> None:
    """Rule 7.6"""

    class Ended(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, valid=3.0)
                self.buy(size=2, exectype=bt.Order.Close, valid=3.0)

    done = outcome(engine, Ended)
    assert (done.fills, done.statuses) == ([(2, 1, 11.0)], ["Completed", "Expired"])
