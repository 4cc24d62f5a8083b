"""Commission, margin, interest and the account's value: sections 8 and 9 of docs/engine-semantics.md."""

from __future__ import annotations

import backtrader as bt
import pytest

from tests.parity.semantics import EVERY_ENGINE, FLAT, frame_of, outcome

pytestmark = EVERY_ENGINE
ROUNDING = 1e-12
"""For expected numbers written as decimals."""


class BuyAndSell(bt.Strategy):
    """Long 3 from the open of bar 2 to the open of bar 4."""

    def next(self):
        if len(self) == 1:
            self.buy(size=3)
        if len(self) == 3:
            self.sell(size=3)


class SellAndBuy(bt.Strategy):
    """Short 10 from the open of bar 2 to the open of bar 4."""

    def next(self):
        if len(self) == 1:
            self.sell(size=10)
        if len(self) == 3:
            self.buy(size=10)


def test_percent_commission(engine: str) -> None:
    """Rule 8.1"""
    done = outcome(engine, BuyAndSell, broker=lambda account: account.setcommission(commission=0.01))
    assert done.commission == pytest.approx([0.33, 0.45], rel=ROUNDING)
    assert done.cash[-1] == pytest.approx(1000 - 33 - 0.33 + 45 - 0.45, rel=ROUNDING)


def test_whole_percents(engine: str) -> None:
    """Rule 8.2"""

    def percents(account: bt.brokers.BackBroker) -> None:
        account.addcommissioninfo(bt.CommInfoBase(commission=1.0, stocklike=True, commtype=0))

    done = outcome(engine, BuyAndSell, broker=percents)
    assert done.commission == pytest.approx([0.33, 0.45], rel=ROUNDING)


def test_fixed_commission_of_stocks(engine: str) -> None:
    """Rule 8.3"""

    def fixed(account: bt.brokers.BackBroker) -> None:
        account.setcommission(commission=0.5, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True)

    done = outcome(engine, BuyAndSell, broker=fixed)
    assert done.commission == [1.5, 1.5]
    assert done.cash == [1000.0, 965.5, 965.5, 1009.0, 1009.0]


def test_futures(engine: str) -> None:
    """Rule 8.4"""

    def future(account: bt.brokers.BackBroker) -> None:
        account.setcommission(commission=1.0, margin=50.0, mult=10.0)

    done = outcome(engine, BuyAndSell, broker=future)
    # Opened at 11: 3 x 50 margin and 3 x 1 commission leave; each close then adds 3 x 10 x its move.
    assert done.cash == [1000.0, 877.0, 937.0, 1114.0, 1114.0]
    assert done.value == [1000.0, 1027.0, 1087.0, 1114.0, 1114.0]
    assert done.trades == [(120.0, 114.0, 2)]


def test_margin_that_follows_the_price(engine: str) -> None:
    """Rule 8.5"""

    def automatic(account: bt.brokers.BackBroker) -> None:
        account.setcommission(margin=1.0, mult=10.0, automargin=0.5)

    done = outcome(engine, BuyAndSell, broker=automatic)
    # Opened at 11 for 3 x 5.5; 30 gained by the close of 12, where the margin is 3 x 6.
    assert (done.cash[1], done.value[1]) == (1013.5, 1031.5)
    # Closed at 15: margin comes back at the entry price.
    assert (done.cash[3], done.value[3]) == (1120.0, 1120.0)

    def whole(account: bt.brokers.BackBroker) -> None:
        account.setcommission(margin=1.0, mult=10.0, automargin=-1)

    done = outcome(engine, BuyAndSell, broker=whole)
    assert (done.cash[1], done.value[1]) == (700.0, 1060.0)


def test_leverage(engine: str) -> None:
    """Rule 8.6"""
    done = outcome(engine, BuyAndSell, cash=20.0, broker=lambda a: a.setcommission(leverage=2.0))
    assert done.cash == [20.0, 3.5, 3.5, 32.0, 32.0]
    assert done.value == [20.0, 23.0, 29.0, 32.0, 32.0]
    without = outcome(engine, BuyAndSell, cash=20.0)
    assert without.statuses == ["Margin", "Completed"]


def test_interest_on_short_positions(engine: str) -> None:
    """Rule 8.7"""
    done = outcome(engine, SellAndBuy, FLAT, broker=lambda a: a.setcommission(interest=0.365))
    # 0.365 / 365 a day on 10 x 10, charged on the bars after the fill and before the closing fill.
    assert done.cash == pytest.approx([1000.0, 1100.0, 1099.9, 999.8, 999.8, 999.8], rel=ROUNDING)
    assert done.trades == [(0.0, pytest.approx(-0.2, rel=ROUNDING), 2)]
    assert done.commission == pytest.approx([0.0, 0.2], rel=ROUNDING)


def test_interest_counts_days(engine: str) -> None:
    """Rule 8.8"""
    friday = frame_of(FLAT, start="2024-01-05", spacing="B")
    done = outcome(engine, SellAndBuy, friday, broker=lambda a: a.setcommission(interest=0.365))
    # Sold on Monday, so Tuesday is one day; from Friday to Monday it would be three.
    assert done.cash[2] == pytest.approx(1099.9, rel=ROUNDING)
    thursday = frame_of(FLAT, start="2024-01-04", spacing="B")
    done = outcome(engine, SellAndBuy, thursday, broker=lambda a: a.setcommission(interest=0.365))
    assert done.cash[2] == pytest.approx(1099.7, rel=ROUNDING)


def test_interest_on_long_positions(engine: str) -> None:
    """Rule 8.9"""

    class Hold(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=10)

    only_short = outcome(engine, Hold, FLAT, broker=lambda a: a.setcommission(interest=0.365))
    assert only_short.cash[-1] == 900.0
    both = outcome(engine, Hold, FLAT, broker=lambda a: a.setcommission(interest=0.365, interest_long=True))
    assert both.cash == pytest.approx([1000.0, 900.0, 899.9, 899.8, 899.7, 899.6], rel=ROUNDING)


def test_short_proceeds_are_cash(engine: str) -> None:
    """Rule 8.10"""
    done = outcome(engine, SellAndBuy)
    assert done.cash == [1000.0, 1110.0, 1110.0, 960.0, 960.0]
    assert done.value == [1000.0, 990.0, 970.0, 960.0, 960.0]


def test_short_sales_that_cost_cash(engine: str) -> None:
    """Rule 8.11"""
    done = outcome(engine, SellAndBuy, broker=lambda account: account.set_shortcash(False))
    assert done.cash == [1000.0, 890.0, 890.0, 960.0, 960.0]
    assert done.value == [1000.0, 990.0, 970.0, 960.0, 960.0]


def test_a_scheme_of_one_data(engine: str) -> None:
    """Rule 8.12"""

    class Two(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(data=self.data0, size=1)
                self.buy(data=self.data1, size=1)

    def schemes(account: bt.brokers.BackBroker) -> None:
        account.setcommission(commission=0.1)
        account.setcommission(commission=0.2, name="B")

    frames = {"A": frame_of(FLAT), "B": frame_of(FLAT)}
    assert outcome(engine, Two, frames, broker=schemes).commission == [1.0, 2.0]


def test_the_value_is_that_of_the_broker_step(engine: str) -> None:
    """Rule 9.1"""

    class Ask(bt.Strategy):
        def __init__(self):
            self.asked = []

        def next(self):
            if len(self) in (1, 2):
                self.buy(size=1)
            self.asked.append((self.broker.getcash(), self.broker.getvalue()))

    asked = outcome(engine, Ask, may_refuse=["compiled"]).strategy.asked
    assert asked[:3] == [(1000.0, 1000.0), (989.0, 1001.0), (976.0, 1004.0)]


def test_the_value_of_one_data_is_worked_out_when_asked(engine: str) -> None:
    """Rule 9.2"""

    class Ask(bt.Strategy):
        def __init__(self):
            self.asked = []

        def next(self):
            if len(self) == 1:
                self.sell(size=2)
            self.asked.append(self.broker.getvalue([self.data]))

    asked = outcome(engine, Ask, may_refuse=["compiled"]).strategy.asked
    assert asked == [0.0, -24.0, -28.0, -32.0, -36.0]


def test_added_cash_waits_for_the_next_valuation(engine: str) -> None:
    """Rule 9.3"""

    class Add(bt.Strategy):
        def __init__(self):
            self.seen = []

        def next(self):
            if len(self) == 2:
                self.broker.add_cash(500.0)
                self.seen.append(self.broker.getcash())
            if len(self) == 4:
                self.broker.add_cash(-200.0)
                self.broker.getvalue([self.data])
                self.seen.append(self.broker.getcash())

    done = outcome(engine, Add, may_refuse=["compiled"])
    assert done.strategy.seen == [1000.0, 1300.0]
    assert done.cash == [1000.0, 1000.0, 1500.0, 1500.0, 1300.0]


def test_cash_set_is_there_at_once(engine: str) -> None:
    """Rule 9.4"""

    class Set(bt.Strategy):
        def __init__(self):
            self.seen = []

        def next(self):
            if len(self) == 2:
                self.broker.set_cash(70.0)
                self.seen.append((self.broker.getcash(), self.broker.getvalue()))

    done = outcome(engine, Set, may_refuse=["compiled"])
    assert done.strategy.seen == [(70.0, 70.0)]
    assert done.cash == [1000.0, 1000.0, 70.0, 70.0, 70.0]


def test_trades_open_and_close(engine: str) -> None:
    """Rule 9.5"""
    done = outcome(engine, BuyAndSell, broker=lambda account: account.setcommission(commission=0.01))
    assert done.trades == [(12.0, pytest.approx(12 - 0.33 - 0.45, rel=ROUNDING), 2)]


def test_trades_are_told_at_their_ends_only(engine: str) -> None:
    """Rule 9.6"""

    class Steps(bt.Strategy):
        def __init__(self):
            self.seen = []

        def notify_trade(self, trade):
            self.seen.append((len(self), trade.justopened, trade.isclosed, trade.size, trade.pnl))

        def next(self):
            if len(self) == 1:
                self.buy(size=2)
            if len(self) == 2:
                self.buy(size=2)
            if len(self) == 3:
                self.sell(size=1)
            if len(self) == 4:
                self.sell(size=3)

    done = outcome(engine, Steps, may_refuse=["compiled"])
    # The average of 11 and 13 is 12: one sold at 15, three at 17.
    assert done.strategy.seen == [(2, True, False, 2, 0.0), (5, False, True, 0, 18.0)]


def test_a_reversal_ends_one_trade_and_begins_another(engine: str) -> None:
    """Rule 9.7"""

    class Reverse(bt.Strategy):
        def __init__(self):
            self.seen = []

        def notify_trade(self, trade):
            self.seen.append((len(self), trade.justopened, trade.isclosed, trade.size))

        def next(self):
            if len(self) == 1:
                self.buy(size=2)
            if len(self) == 2:
                self.sell(size=5)
            if len(self) == 3:
                self.close()

    done = outcome(engine, Reverse, may_refuse=["compiled"])
    assert done.strategy.seen == [
        (2, True, False, 2),
        (3, False, True, 0),
        (3, True, False, -3),
        (4, False, True, 0),
    ]
    assert done.trades == [(4.0, 4.0, 1), (-6.0, -6.0, 1)]


def test_trades_are_dated_by_their_delivery(engine: str) -> None:
    """Rule 9.8"""

    class Opened(bt.Strategy):
        def __init__(self):
            self.filled = 0.0

        def notify_order(self, order):
            if order.status == order.Completed:
                self.filled = order.executed.dt

        def notify_trade(self, trade):
            if trade.isopen and trade.dtopen == self.filled + 1.0:
                self.sell(size=3)

        def next(self):
            if len(self) == 1:
                self.buy(size=1)

    done = outcome(engine, Opened, broker=lambda account: account.set_coc(True))
    assert done.fills[:2] == [(1, 1, 10.0), (2, -3, 12.0)]


def test_trade_ids_keep_trades_apart(engine: str) -> None:
    """Rule 9.9"""

    class Ids(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, tradeid=1)
                self.sell(size=1, tradeid=2)
            if len(self) == 3:
                self.sell(size=1, tradeid=1)
                self.buy(size=1, tradeid=2)

    done = outcome(engine, Ids, may_refuse=["compiled"])
    assert done.cash[-1] == 1000.0
    assert [trade[0] for trade in done.trades] == [4.0, -4.0]


def test_a_closing_pays_back_the_entry_and_then_the_profit(engine: str) -> None:
    """Rule 9.10"""
    bought, sold = 10.01, 10.81
    paid = 1000.0 - 3 * bought
    expected = paid + (3 * bought + 3 * (sold - bought) * 1.0)
    assert expected != paid + 3 * sold
    bars = [(price, price, price, price) for price in (bought, bought, sold, sold)]

    class InAndOut(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=3)
            if len(self) == 2:
                self.close()

    assert outcome(engine, InAndOut, bars).cash[-1] == expected


def test_an_average_entry_price(engine: str) -> None:
    """Rule 9.11"""

    class Add(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1)
            if len(self) == 2:
                self.buy(size=3)
            if len(self) == 3 and self.position.price == (11.0 * 1 + 3 * 13.0) / 4:
                self.sell(size=2)
            if len(self) == 4 and self.position.price == 12.5:
                self.sell(size=5)

    done = outcome(engine, Add)
    assert done.fills == [(2, 1, 11.0), (3, 3, 13.0), (4, -2, 15.0), (5, -5, 17.0)]
    assert done.trades[0][0] == 2 * 2.5 + 2 * 4.5
