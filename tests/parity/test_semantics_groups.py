"""Brackets, one-cancels-other, targets and sizers: sections 10 and 11 of docs/engine-semantics.md."""

from __future__ import annotations

import backtrader as bt

from tests.parity.semantics import EVERY_ENGINE, FLAT, RISING, outcome

pytestmark = EVERY_ENGINE
WIDE = (10.0, 13.0, 7.0, 10.0)
START = (10.0, 10.0, 10.0, 10.0)


class Bracket(bt.Strategy):
    """In at the market, out at 8 or at 12."""

    size = 1

    def next(self):
        if len(self) == 1:
            self.buy_bracket(size=self.size, exectype=bt.Order.Market, stopprice=8.0, limitprice=12.0)


def test_children_wait_for_the_bar_after_the_parent(engine: str) -> None:
    """Rule 10.1"""
    done = outcome(engine, Bracket, [START, WIDE, START, (10.0, 10.5, 7.5, 8.0)])
    assert done.fills == [(2, 1, 10.0), (4, -1, 8.0)]


def test_one_child_ends_the_other(engine: str) -> None:
    """Rule 10.2"""
    done = outcome(engine, Bracket, [START, START, WIDE, START])
    assert done.fills == [(2, 1, 10.0), (3, -1, 8.0)]
    assert done.statuses == ["Completed", "Completed", "Canceled"]


def test_a_parent_without_cash_rejects_its_children(engine: str) -> None:
    """Rule 10.3"""

    class Large(Bracket):
        size = 1000

    done = outcome(engine, Large, [START, WIDE, WIDE])
    assert (done.fills, done.statuses) == ([], ["Margin", "Rejected", "Rejected"])


def test_a_cancelled_parent_cancels_its_children(engine: str) -> None:
    """Rule 10.4"""

    class Cancelled(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.parent, self.stop_order, self.limit = self.buy_bracket(
                    size=1, price=5.0, stopprice=4.0, limitprice=12.0
                )
            if len(self) == 2:
                self.cancel(self.parent)

    done = outcome(engine, Cancelled, [START, WIDE, WIDE], may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([], ["Canceled", "Canceled", "Canceled"])


def test_children_do_nothing_while_the_parent_waits(engine: str) -> None:
    """Rule 10.5"""

    class Waiting(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy_bracket(size=1, price=5.0, stopprice=4.0, limitprice=12.0)

    done = outcome(engine, Waiting, [START, WIDE, WIDE])
    assert (done.fills, done.statuses) == ([], ["Accepted", "Accepted", "Accepted"])


def test_cancelling_a_child_cancels_the_other(engine: str) -> None:
    """Rule 10.6"""

    class Regret(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.parent, self.stop_order, self.limit = self.buy_bracket(
                    size=1, exectype=bt.Order.Market, stopprice=8.0, limitprice=12.0
                )
            if len(self) == 2:
                self.cancel(self.stop_order)

    done = outcome(engine, Regret, [START, START, WIDE], may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([(2, 1, 10.0)], ["Completed", "Canceled", "Canceled"])


def test_orders_that_are_not_transmitted_never_go_out(engine: str) -> None:
    """Rule 10.7"""

    class Kept(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1, transmit=False)

    done = outcome(engine, Kept, may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([], [])


def test_a_child_of_a_sent_order_sends_it_again(engine: str) -> None:
    """Rule 10.8"""

    class Twice(bt.Strategy):
        def __init__(self):
            self.submitted = []

        def notify_order(self, order):
            if order.status == order.Submitted:
                self.submitted.append((len(self), order.exectype))

        def next(self):
            if len(self) == 1:
                self.parent = self.buy(size=1, exectype=bt.Order.Limit, price=5.0)
            if len(self) == 3:
                self.sell(size=1, exectype=bt.Order.Stop, price=4.0, parent=self.parent)

    done = outcome(engine, Twice, FLAT, may_refuse=["compiled"])
    assert done.strategy.submitted == [(2, bt.Order.Limit), (4, bt.Order.Limit), (4, bt.Order.Stop)]


class Pair(bt.Strategy):
    """Two orders of one group."""

    def next(self):
        if len(self) == 1:
            first = self.sell(size=1, exectype=bt.Order.Limit, price=12.0)
            self.sell(size=1, exectype=bt.Order.Stop, price=8.0, oco=first)


def test_one_cancels_the_other(engine: str) -> None:
    """Rule 10.9"""
    done = outcome(engine, Pair, [START, START, WIDE, WIDE])
    assert (done.fills, done.statuses) == ([(3, -1, 12.0)], ["Completed", "Canceled"])


def test_a_cancelled_order_cancels_its_group(engine: str) -> None:
    """Rule 10.10"""

    class Cancel(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.first = self.sell(size=1, exectype=bt.Order.Limit, price=12.0)
                self.second = self.sell(size=1, exectype=bt.Order.Stop, price=8.0, oco=self.first)
            if len(self) == 2:
                self.cancel(self.second)

    done = outcome(engine, Cancel, [START, START, WIDE], may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([], ["Canceled", "Canceled"])


def test_an_expired_order_cancels_its_group(engine: str) -> None:
    """Rule 10.11"""

    class Expire(bt.Strategy):
        def next(self):
            if len(self) == 1:
                first = self.sell(
                    size=1, exectype=bt.Order.Limit, price=12.0, valid=self.data.datetime[0] + 1.0
                )
                self.sell(size=1, exectype=bt.Order.Stop, price=8.0, oco=first)

    done = outcome(engine, Expire, [START, START, WIDE], may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([], ["Expired", "Canceled"])


def test_a_group_misses_an_order_not_yet_accepted(engine: str) -> None:
    """Rule 10.12"""

    class Miss(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.first = self.sell(size=1, exectype=bt.Order.Limit, price=12.0)
            if len(self) == 2:
                self.sell(size=1, exectype=bt.Order.Stop, price=8.0, oco=self.first)
                self.cancel(self.first)

    done = outcome(engine, Miss, [START, START, WIDE], may_refuse=["compiled"])
    assert (done.fills, done.statuses) == ([(3, -1, 8.0)], ["Canceled", "Completed"])


def test_target_size(engine: str) -> None:
    """Rule 11.1"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_size(target=5)
            if len(self) == 2:
                self.order_target_size(target=-2)
            if len(self) == 3:
                self.order_target_size(target=-2)
            if len(self) == 4:
                self.order_target_size(target=0)

    assert outcome(engine, Target).fills == [(2, 5, 11.0), (3, -7, 13.0), (5, 2, 17.0)]


def test_target_value(engine: str) -> None:
    """Rule 11.2"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_value(target=109.0)
            if len(self) == 2:
                self.order_target_value(target=107.0)
            if len(self) == 3:
                self.order_target_value(target=100.0)

    # 10.9 shares of 10 are 10; at 12 they are worth 120, 13 too much, which is 1 share; 9 of 14 are 126.
    assert outcome(engine, Target).fills == [(2, 10, 11.0), (3, -1, 13.0), (4, -1, 15.0)]


def test_target_value_below_one_share(engine: str) -> None:
    """Rule 11.3"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_value(target=9.99)
            if len(self) == 2:
                self.order_target_value(target=-25.0)

    assert outcome(engine, Target).fills == [(3, -2, 13.0)]


def test_target_value_at_a_price(engine: str) -> None:
    """Rule 11.4"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_value(target=100.0, price=8.0, exectype=bt.Order.Limit)

    assert outcome(engine, Target, [START, START, WIDE]).fills == [(3, 12, 8.0)]


def test_target_percent(engine: str) -> None:
    """Rule 11.5"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_percent(target=0.5)
            if len(self) == 2:
                self.order_target_percent(target=0.5)
            if len(self) == 3:
                self.order_target_percent(target=0.0)

    # 50 at 11; at the close of 12 the account is worth 1050, 525 of it wanted, 75 or 6 shares too many.
    assert outcome(engine, Target).fills == [(2, 50, 11.0), (3, -6, 13.0), (4, -44, 15.0)]


def test_targets_do_not_see_orders_under_way(engine: str) -> None:
    """Rule 11.6"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_size(target=5)
                self.order_target_size(target=5)

    assert outcome(engine, Target).fills == [(2, 5, 11.0), (2, 5, 11.0)]


def test_target_value_of_futures(engine: str) -> None:
    """Rule 11.7"""

    class Target(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order_target_value(target=199.0)
            if len(self) == 3:
                self.order_target_value(target=60.0)

    done = outcome(engine, Target, broker=lambda account: account.setcommission(margin=50.0))
    assert done.fills == [(2, 3, 11.0), (4, -1, 15.0)]


class Sized(bt.Strategy):
    """In on bar 1, again on bar 2, out on bar 3: sizes from the sizer."""

    def next(self):
        if len(self) == 1:
            self.buy()
        if len(self) == 2:
            self.buy()
        if len(self) == 3:
            self.sell()


def sizes(engine: str, sizer: type[bt.Sizer] | None, **params: float) -> list[float]:
    """Sizes of the three fills."""
    chosen = None if sizer is None else (sizer, dict(params))
    done = outcome(engine, Sized, FLAT, cash=10_000.0, sizer=chosen, may_refuse=["compiled"])
    return [size for _, size, _ in done.fills]


def test_the_default_is_one(engine: str) -> None:
    """Rule 11.8"""
    assert sizes(engine, None) == [1, 1, -1]


def test_fixed_sizes(engine: str) -> None:
    """Rule 11.9"""
    assert sizes(engine, bt.sizers.FixedSize, stake=7) == [7, 7, -7]
    assert sizes(engine, bt.sizers.FixedSize, stake=7, tranches=2) == [3, 3, -3]


def test_fixed_size_target(engine: str) -> None:
    """Rule 11.10"""
    assert sizes(engine, bt.sizers.FixedSizeTarget, stake=7, tranches=2) == [3, 6, -7]


def test_fixed_reverser(engine: str) -> None:
    """Rule 11.11"""
    assert sizes(engine, bt.sizers.FixedReverser, stake=7) == [7, 14, -14]


def test_percent_sizers(engine: str) -> None:
    """Rule 11.12"""
    assert sizes(engine, bt.sizers.PercentSizer, percents=12.345) == [
        10_000.0 / 10.0 * (12.345 / 100),
        10_000.0 / 10.0 * (12.345 / 100),
        -2 * (10_000.0 / 10.0 * (12.345 / 100)),
    ]
    assert sizes(engine, bt.sizers.PercentSizerInt, percents=12.345) == [123, 123, -246]


def test_all_in(engine: str) -> None:
    """Rule 11.13"""

    class In(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy()

    for sizer in (bt.sizers.AllInSizer, bt.sizers.AllInSizerInt):
        done = outcome(engine, In, FLAT, cash=1005.0, sizer=(sizer, {}), may_refuse=["compiled"])
        wanted = 100.5 if sizer is bt.sizers.AllInSizer else 100
        assert done.fills == [(2, wanted, 10.0)]
    rising = outcome(engine, In, RISING, sizer=(bt.sizers.AllInSizer, {}), may_refuse=["compiled"])
    assert rising.statuses == ["Margin"]


def test_a_size_given_goes_before_the_sizer(engine: str) -> None:
    """Rule 11.14"""

    class Given(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=2)

    done = outcome(engine, Given, sizer=(bt.sizers.FixedSize, {"stake": 9}), may_refuse=["compiled"])
    assert done.fills == [(2, 2, 11.0)]


def test_a_long_short_signal_reverses(engine: str) -> None:
    """Rule 11.15"""

    class Signals(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONGSHORT, self.data.close - 12.5)

    done = outcome(engine, Signals)
    assert done.fills == [(2, -1, 11.0), (4, 1, 15.0), (4, 1, 15.0)]


def test_a_long_signal_leaves_when_it_turns(engine: str) -> None:
    """Rule 11.16"""

    class Signals(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONG, 13.0 - self.data.close)

    done = outcome(engine, Signals)
    assert done.fills == [(2, 1, 11.0), (4, -1, 15.0)]


def test_signals_accumulate_when_told(engine: str) -> None:
    """Rule 11.17"""

    class Signals(bt.SignalStrategy):
        params = (("_accumulate", True),)

        def __init__(self):
            self.signal_add(bt.SIGNAL_LONG, 13.0 - self.data.close)

    done = outcome(engine, Signals)
    assert done.fills == [(2, 1, 11.0), (3, 1, 13.0), (4, -2, 15.0)]


def test_the_next_of_a_signal_strategy_comes_after_its_signals(engine: str) -> None:
    """Rule 11.18"""

    class Signals(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONG, 13.0 - self.data.close)

        def next(self):
            if len(self) == 1:
                self.buy(size=70)
                self.buy(size=30)

    done = outcome(engine, Signals)
    assert done.statuses[:3] == ["Completed", "Completed", "Margin"]
    assert [fill[1] for fill in done.fills[:2]] == [1, 70]
