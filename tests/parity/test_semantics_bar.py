"""What happens in one bar, and when a strategy begins to decide: sections 1 and 2 of docs/engine-semantics.md."""

from __future__ import annotations

import datetime

import backtrader as bt
import pytest

from core.errors import TradewrightError
from tests.parity.semantics import EVERY_ENGINE, FLAT, RISING, outcome

pytestmark = EVERY_ENGINE


def test_order_of_events(engine: str) -> None:
    """Rule 1.1"""

    class Events(bt.Strategy):
        def __init__(self):
            self.seen = []
            self.add_timer(when=datetime.time(0, 0), cheat=True, name="early")
            self.add_timer(when=datetime.time(0, 0), cheat=False, name="late")

        def notify_timer(self, timer, when, *args, **kwargs):
            if len(self.data) == 2:
                self.seen.append(f"timer {kwargs['name']}")

        def next_open(self):
            if len(self.data) == 2:
                self.seen.append("next_open")

        def prenext_open(self):
            self.next_open()

        def notify_order(self, order):
            self.seen.append(f"order {order.getstatusname()}")

        def notify_trade(self, trade):
            self.seen.append("trade")

        def notify_cashvalue(self, cash, value):
            if len(self.data) == 2:
                self.seen.append("cashvalue")

        def notify_fund(self, cash, value, fundvalue, shares):
            if len(self.data) == 2:
                self.seen.append("fund")

        def next(self):
            if len(self.data) == 1:
                self.buy(size=1)
            if len(self.data) == 2:
                self.seen.append(f"next, position {self.position.size}")

    done = outcome(engine, Events, cheat_on_open=True, may_refuse=["compiled"])
    assert done.strategy.seen == [
        "timer early",
        "next_open",
        "timer late",
        "order Submitted",
        "order Accepted",
        "order Completed",
        "trade",
        "cashvalue",
        "fund",
        "next, position 1",
    ]


def test_an_order_waits_for_the_next_bar(engine: str) -> None:
    """Rule 1.2"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=2)

    done = outcome(engine, Buy)
    assert done.fills == [(2, 2, 11.0)]
    assert done.cash == [1000.0, 978.0, 978.0, 978.0, 978.0]
    assert done.value == [1000.0, 1002.0, 1006.0, 1010.0, 1014.0]


def test_all_orders_are_notified_before_any_trade(engine: str) -> None:
    """Rule 1.3"""

    class Events(bt.Strategy):
        def __init__(self):
            self.seen = []

        def notify_order(self, order):
            if order.status == order.Completed:
                self.seen.append("order")

        def notify_trade(self, trade):
            self.seen.append("trade")

        def next(self):
            if len(self) == 1:
                self.buy(size=1)
                self.sell(size=1)

    done = outcome(engine, Events, may_refuse=["compiled"])
    assert done.strategy.seen == ["order", "order", "trade", "trade"]


def test_orders_of_the_last_bar_come_to_nothing(engine: str) -> None:
    """Rule 1.4"""

    class Late(bt.Strategy):
        def __init__(self):
            self.notified = 0

        def notify_order(self, order):
            self.notified += 1

        def next(self):
            if len(self) == 5:
                self.buy(size=1)

    done = outcome(engine, Late, may_refuse=["compiled"])
    assert (done.fills, done.statuses, done.strategy.notified) == ([], ["Submitted"], 0)


def test_next_open_is_one_bar_behind(engine: str) -> None:
    """Rule 1.5"""

    class Open(bt.Strategy):
        def __init__(self):
            self.seen = []
            bt.ind.SMA(period=2)

        def prenext_open(self):
            self.seen.append(("prenext_open", len(self), len(self.data)))

        def nextstart_open(self):
            self.seen.append(("nextstart_open", len(self), len(self.data)))

        def next_open(self):
            self.seen.append(("next_open", len(self), len(self.data)))

    done = outcome(engine, Open, cheat_on_open=True)
    assert done.strategy.seen == [
        ("prenext_open", 0, 1),
        ("prenext_open", 1, 2),
        ("nextstart_open", 2, 3),
        ("next_open", 3, 4),
        ("next_open", 4, 5),
    ]


def test_warm_up(engine: str) -> None:
    """Rule 2.1"""

    class Warm(bt.Strategy):
        def __init__(self):
            self.seen = []
            self.mean = bt.ind.SMA(period=3)

        def prenext(self):
            self.seen.append(("prenext", len(self)))

        def nextstart(self):
            self.seen.append(("nextstart", len(self), self.mean[0]))
            self.next()

        def next(self):
            self.seen.append(("next", len(self), self.mean[0]))

    done = outcome(engine, Warm, may_refuse=["compiled"])
    assert done.strategy.seen == [
        ("prenext", 1),
        ("prenext", 2),
        ("nextstart", 3, 12.0),
        ("next", 3, 12.0),
        ("next", 4, 14.0),
        ("next", 5, 16.0),
    ]


def test_periods_add_up(engine: str) -> None:
    """Rule 2.2"""

    class Nested(bt.Strategy):
        def __init__(self):
            bt.ind.SMA(bt.ind.SMA(self.data.close(-1), period=2), period=2)

        def next(self):
            if len(self) == 4:
                self.buy(size=1)

    done = outcome(engine, Nested)
    assert done.fills == [(5, 1, 17.0)]

    class Early(Nested):
        def next(self):
            if len(self) == 3:
                self.buy(size=1)

    assert outcome(engine, Early).fills == []


def test_orders_of_the_warm_up_count(engine: str) -> None:
    """Rule 2.3"""

    class Eager(bt.Strategy):
        def __init__(self):
            bt.ind.SMA(period=4)

        def prenext(self):
            if len(self) == 1:
                self.buy(size=1)

    assert outcome(engine, Eager).fills == [(2, 1, 11.0)]


def test_too_few_bars(engine: str) -> None:
    """Rule 2.4"""

    class Long(bt.Strategy):
        def __init__(self):
            bt.ind.SMA(period=9)

    with pytest.raises(IndexError if engine == "stock" else TradewrightError):
        outcome(engine, Long, FLAT)


def test_a_look_back_before_the_first_bar_wraps(engine: str) -> None:
    """Rule 2.5"""

    class Back(bt.Strategy):
        def next(self):
            if len(self) == 1 and self.data.close[-1] == 18.0 and self.data.close[-2] == 16.0:
                self.buy(size=1)

    assert outcome(engine, Back, RISING).fills == [(2, 1, 11.0)]
