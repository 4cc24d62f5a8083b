"""The life of an order and the cash check: sections 3 and 4 of docs/engine-semantics.md."""

from __future__ import annotations

import backtrader as bt

from tests.parity.semantics import EVERY_ENGINE, FLAT, RISING, outcome

pytestmark = EVERY_ENGINE
DROP = [(10.0, 10.0, 10.0, 10.0), (11.0, 11.0, 11.0, 11.0), (12.0, 12.0, 12.0, 12.0), (9.0, 9.0, 9.0, 9.0)]
"""Opens and closes at 10, 11, 12, 9."""


class Notes(bt.Strategy):
    """Keeps the status of each notification, with the bar it came on."""

    def __init__(self):
        self.seen = []

    def notify_order(self, order):
        self.seen.append((len(self), order.getstatusname()))


def test_three_notifications_for_a_market_order(engine: str) -> None:
    """Rule 3.1"""

    class Buy(Notes):
        def next(self):
            if len(self) == 1:
                self.buy(size=1)

    done = outcome(engine, Buy, may_refuse=["compiled"])
    assert done.strategy.seen == [(2, "Submitted"), (2, "Accepted"), (2, "Completed")]


def test_without_the_check_nothing_is_submitted(engine: str) -> None:
    """Rule 3.2"""

    class Buy(Notes):
        def next(self):
            if len(self) == 1:
                self.buy(size=1)

    done = outcome(engine, Buy, slippage={"checksubmit": False}, may_refuse=["compiled"])
    assert done.strategy.seen == [(2, "Accepted"), (2, "Completed")]


def test_size_has_no_sign_and_nothing_is_no_order(engine: str) -> None:
    """Rule 3.3"""

    class Odd(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=-3)
                self.sell(size=0)
                self.close()

    done = outcome(engine, Odd)
    assert done.fills == [(2, 3, 11.0)]
    assert done.statuses == ["Completed"]


def test_close_takes_the_position_of_now(engine: str) -> None:
    """Rule 3.4"""

    class Close(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=3)
            if len(self) == 2:
                self.close()
                self.close()
            if len(self) == 4:
                self.close(size=1)

    assert outcome(engine, Close).fills == [(2, 3, 11.0), (3, -3, 13.0), (3, -3, 13.0), (5, 1, 17.0)]


def test_notifications_are_clones(engine: str) -> None:
    """Rule 3.5"""

    class Keep(bt.Strategy):
        def __init__(self):
            self.clones = []
            self.handle = None

        def notify_order(self, order):
            self.clones.append(order)

        def next(self):
            if len(self) == 1:
                self.handle = self.buy(size=1)

    kept = outcome(engine, Keep, may_refuse=["compiled"]).strategy
    assert [clone.getstatusname() for clone in kept.clones] == ["Submitted", "Accepted", "Completed"]
    assert kept.handle.getstatusname() == "Completed"
    assert all(clone is not kept.handle and clone == kept.handle for clone in kept.clones)


def test_references_count_on_over_runs(engine: str) -> None:
    """Rule 3.6"""

    class Refs(bt.Strategy):
        def __init__(self):
            self.refs = []

        def next(self):
            if len(self) == 1:
                self.refs.append(self.buy(size=1).ref)
                self.refs.append(self.sell(size=1).ref)

    first = outcome(engine, Refs, may_refuse=["compiled"]).strategy.refs
    second = outcome(engine, Refs, may_refuse=["compiled"]).strategy.refs
    assert first[1] == first[0] + 1
    assert second[0] > first[1]


def test_cancel(engine: str) -> None:
    """Rule 3.7"""

    class Cancel(Notes):
        def next(self):
            if len(self) == 1:
                self.order = self.buy(size=1, exectype=bt.Order.Limit, price=1.0)
            if len(self) == 3:
                self.cancel(self.order)
                self.seen.append((len(self), self.order.alive()))

    done = outcome(engine, Cancel, may_refuse=["compiled"])
    assert done.strategy.seen == [(2, "Submitted"), (2, "Accepted"), (3, False), (4, "Canceled")]
    assert (done.fills, done.statuses) == ([], ["Canceled"])


def test_cancel_on_the_same_bar_does_nothing(engine: str) -> None:
    """Rule 3.8"""

    class Regret(bt.Strategy):
        def next(self):
            if len(self) == 1:
                order = self.buy(size=1)
                self.cancel(order)

    assert outcome(engine, Regret).fills == [(2, 1, 11.0)]


def test_average_price_is_rounded_again(engine: str) -> None:
    """Rule 3.9"""
    price = next(cents / 100 for cents in range(1000, 2000) if (0.0 + 3 * (cents / 100)) / 3 != cents / 100)
    bars = [(price, price, price, price)] * 3

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=3)

    done = outcome(engine, Buy, bars)
    assert done.fills == [(2, 3, price)]
    assert done.average == [(0 * 0.0 + 3 * price) / 3]
    assert done.average != [price]


def test_an_order_the_cash_does_not_cover(engine: str) -> None:
    """Rule 4.1"""

    class Buy(Notes):
        def next(self):
            if len(self) == 1:
                self.buy(size=101)

    done = outcome(engine, Buy, FLAT, may_refuse=["compiled"])
    assert done.strategy.seen == [(2, "Submitted"), (2, "Margin")]
    assert (done.fills, done.statuses, done.cash[-1]) == ([], ["Margin"], 1000.0)


def test_the_batch_shares_the_cash(engine: str) -> None:
    """Rule 4.2"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=60)
                self.buy(size=41)

    done = outcome(engine, Buy, FLAT)
    assert done.statuses == ["Completed", "Margin"]


def test_one_refusal_poisons_the_rest_of_the_batch(engine: str) -> None:
    """Rule 4.3"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1)
                self.buy(size=1000)
                self.buy(size=1)
            if len(self) == 2:
                self.buy(size=1)

    done = outcome(engine, Buy, FLAT)
    assert done.statuses == ["Completed", "Margin", "Margin", "Completed"]


def test_commission_counts_in_the_check(engine: str) -> None:
    """Rule 4.4"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=100)

    done = outcome(engine, Buy, FLAT, broker=lambda account: account.setcommission(commission=0.001))
    assert done.statuses == ["Margin"]
    assert outcome(engine, Buy, FLAT).cash[-1] == 0.0


def test_the_check_is_at_the_price_asked_for(engine: str) -> None:
    """Rule 4.5"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=90, exectype=bt.Order.Limit, price=12.0)
            if len(self) == 2:
                self.buy(size=150, exectype=bt.Order.Limit, price=6.0)

    assert outcome(engine, Buy, FLAT).statuses == ["Margin", "Accepted"]


def test_the_price_can_run_away_before_the_fill(engine: str) -> None:
    """Rule 4.6"""

    class Buy(Notes):
        def next(self):
            if len(self) == 1:
                self.buy(size=95)

    done = outcome(engine, Buy, DROP, may_refuse=["compiled"])
    assert done.strategy.seen == [(2, "Submitted"), (2, "Accepted"), (2, "Margin")]
    assert (done.fills, done.cash[-1]) == ([], 1000.0)


def test_a_reversal_that_cash_covers_half_closes(engine: str) -> None:
    """Rule 4.7"""

    class Reverse(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.sell(size=5)
            if len(self) == 2:
                self.buy(size=14)

    done = outcome(engine, Reverse, DROP, cash=100.0)
    assert done.fills == [(2, -5, 11.0), (3, 5, 12.0)]
    assert done.statuses == ["Completed", "Margin"]
    assert done.cash == [100.0, 155.0, 95.0, 95.0]


def test_unchecked_orders_fail_only_at_the_fill(engine: str) -> None:
    """Rule 4.8"""

    class Buy(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=95)
            if len(self) == 3:
                self.buy(size=100)

    done = outcome(engine, Buy, DROP, slippage={"checksubmit": False}, may_refuse=["compiled"])
    assert done.statuses == ["Margin", "Completed"]
    assert done.fills == [(4, 100, 9.0)]
    assert done.cash[-1] == 100.0


def test_a_short_sale_needs_no_cash(engine: str) -> None:
    """Rule 4.9"""

    class Sell(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.sell(size=1000)

    done = outcome(engine, Sell, RISING, cash=10.0)
    assert done.fills == [(2, -1000, 11.0)]
    assert done.cash[1:3] == [11_010.0, 11_010.0]
    assert done.value[1:3] == [-990.0, -2990.0]


def test_first_come_first_served(engine: str) -> None:
    """Rule 4.10"""

    class SellFirst(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=100)
            if len(self) == 3:
                self.sell(size=100)
                self.buy(size=100)

    class BuyFirst(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=100)
            if len(self) == 3:
                self.buy(size=100)
                self.sell(size=100)

    assert outcome(engine, SellFirst, FLAT).statuses == ["Completed", "Completed", "Completed"]
    assert outcome(engine, BuyFirst, FLAT).statuses == ["Completed", "Margin", "Completed"]
