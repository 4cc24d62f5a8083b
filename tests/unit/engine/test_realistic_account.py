"""Margin, borrowing, funding, splits and dividends in a backtest, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from brokers.actions import Action
from brokers.costs import Costs
from brokers.margin import Margin
from core.errors import ConfigError
from core.results import RunResult
from engine import backtest

ROUNDING = 1e-12
"""Room for the rounding of sums and products, relative."""
Act = Callable[[Any], Any]


def flat(*closes: float, start: str = "2024-01-01", spacing: str = "D") -> pd.DataFrame:
    """Bars that stand still at their close."""
    index = pd.date_range(start, periods=len(closes), freq=spacing, tz="UTC", name="time")
    columns = dict.fromkeys(("open", "high", "low", "close"), closes)
    return pd.DataFrame({**columns, "volume": 1e6}, index, dtype="float64")


class Script(bt.Strategy):
    """Does what its class says on each bar, counted from 1, and notes what it is told."""

    acts: dict[int, Act] = {}

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, float]] = []

    def notify_order(self, order: bt.Order) -> None:
        self.seen.append((len(self), order.getstatusname(), order.executed.size))

    def next(self) -> None:
        act = self.acts.get(len(self))
        if act is not None:
            act(self)


def run(acts: dict[int, Act], costs: Costs, data: Any, cash: float = 1_000.0, **given: Any) -> RunResult:
    strategy = type("Scripted", (Script,), {"acts": acts})
    return backtest(strategy, data, cash=cash, commission=given.pop("commission", 0.0), costs=costs, **given)


def trade(size: float, **order: Any) -> Act:
    return lambda strategy: (strategy.buy if size > 0 else strategy.sell)(size=abs(size), **order)


class TestMargin:
    def test_longs_on_credit_and_no_further(self) -> None:
        """B15: 1,000 buy 2,000 at half, and not 2,010."""
        bars = flat(10, 10, 10, 10)
        bought = run({1: trade(200)}, Costs(margin=Margin()), bars)
        assert list(bought.orders["status"]) == ["filled"]
        assert list(bought.cash) == [1_000.0, -1_000.0, -1_000.0, -1_000.0]
        assert list(bought.equity) == [1_000.0] * 4
        refused = run({1: trade(201)}, Costs(margin=Margin()), bars)
        assert list(refused.orders["status"]) == ["margin"]
        assert refused.fills.empty

    def test_a_short_beyond_margin_is_rejected(self) -> None:
        """B15: Backtrader sells any number short; a margin account 200 of 10 for 1,000."""
        bars = flat(10, 10, 10)
        assert list(run({1: trade(-5_000)}, Costs(), bars).orders["status"]) == ["filled"]
        assert list(run({1: trade(-201)}, Costs(margin=Margin()), bars).orders["status"]) == ["margin"]
        assert list(run({1: trade(-200)}, Costs(margin=Margin()), bars).orders["status"]) == ["filled"]

    def test_what_was_refused_does_not_count_for_the_next(self) -> None:
        both = run(
            {1: lambda s: (s.buy(size=500), s.buy(size=200))}, Costs(margin=Margin()), flat(10, 10, 10)
        )
        assert list(both.orders["status"]) == ["margin", "filled"]

    def test_the_price_can_run_away_before_the_fill(self) -> None:
        """B15: 200 pass at 10; at an open of 11 they would need 1,100."""
        result = run({1: trade(200)}, Costs(margin=Margin()), flat(10, 11, 11))
        assert list(result.orders["status"]) == ["margin"]

    def test_a_reversal_beyond_margin_closes_and_no_more(self) -> None:
        """B15: long 150 on 1,000, at 9 equity is 850: 180 short need 810, 200 short 900."""
        bars = flat(10, 10, 9, 9)
        covered = run({1: trade(150), 2: trade(-330)}, Costs(margin=Margin()), bars)
        assert list(covered.orders["status"]) == ["filled", "filled"]
        over = run({1: trade(150), 2: trade(-350)}, Costs(margin=Margin()), bars)
        assert list(over.orders["status"]) == ["filled", "margin"]
        assert list(over.fills["size"]) == [150.0, -150.0]
        assert over.equity.iloc[-1] == 850.0

    def test_a_margin_call_closes_at_the_next_open(self) -> None:
        """B15: 200 at 10 on 1,000. At 6.6: equity 320 of 330 needed. Sold at the next open of 6.4."""
        bars = flat(10, 10, 6.7, 6.6, 6.4, 9.0)
        result = run({1: trade(200)}, Costs(margin=Margin()), bars)
        times = list(result.equity.index)
        assert list(result.fills["time"]) == [times[1], times[4]]
        assert result.fills[["size", "price"]].to_numpy().tolist() == [[200.0, 10.0], [-200.0, 6.4]]
        assert list(result.equity)[2:] == pytest.approx([340.0, 320.0, 280.0, 280.0])
        assert list(result.trades["exit_reason"]) == ["risk"]
        call, sold = result.meta["costs"]["events"]
        assert (call["kind"], call["time"]) == ("margin_call", times[3].isoformat())
        assert call["amount"] == pytest.approx(10.0)
        assert (sold["kind"], sold["units"]) == ("liquidation", -200.0)
        assert result.notes[-1] == "1 margin call, 1 position closed by the broker at the next open"

    def test_a_short_squeeze(self) -> None:
        """B15: 200 short at 10 on 1,000. At 11.6: equity 680 of 696 needed."""
        result = run({1: trade(-200)}, Costs(margin=Margin()), flat(10, 10, 11.5, 11.6, 12.0))
        assert list(result.fills["size"]) == [-200.0, 200.0]
        assert result.equity.iloc[-1] == pytest.approx(600.0)

    def test_only_the_largest_is_closed_when_that_suffices(self) -> None:
        """B15: 1,200 of A and 600 of B on 1,000. A falls to 3: equity 160, and 240 needed; without B 90."""
        frames = {"A": flat(10, 10, 3, 3, 3), "B": flat(10, 10, 10, 10, 10)}
        result = run(
            {1: lambda s: (s.buy(size=120), s.buy(data=s.data1, size=60))}, Costs(margin=Margin()), frames
        )
        assert result.equity.iloc[2] == pytest.approx(160.0)
        sold = result.fills[result.fills["size"] < 0]
        assert list(sold["symbol"]) == ["B"]  # 600, against the 360 that are left of A
        assert list(result.trades["symbol"]) == ["B"]

    def test_the_brokers_order_comes_first_and_alone(self) -> None:
        """What rests in the symbol is cancelled, and what the strategy orders meanwhile refused."""
        stop = {"exectype": bt.Order.Stop, "price": 5.0}

        def panic(strategy: Any) -> None:
            strategy.close()

        result = run(
            {1: trade(200), 2: trade(-200, **stop), 4: panic},
            Costs(margin=Margin()),
            flat(10, 10, 6.7, 6.6, 6.4, 6.4),
        )
        assert list(result.orders["status"]) == ["filled", "cancelled", "filled", "margin"]
        assert result.fills["size"].sum() == 0.0

    def test_schemes_of_futures_are_refused(self) -> None:
        broker = bt.brokers.BackBroker()
        broker.setcommission(commission=2.0, margin=100.0, mult=10.0)
        with pytest.raises(ConfigError, match="plain commission schemes"):
            run({}, Costs(margin=Margin()), flat(10, 10), broker=broker)


class TestCarry:
    def test_shorts_pay_for_what_they_borrow(self) -> None:
        """B15: 100 short at 10 from the second bar: 1,000 x 0.365 / 365 = 1, then 1.1 at a close of 11."""
        result = run({1: trade(-100)}, Costs(borrow=0.365), flat(10, 10, 11, 10))
        assert list(result.cash) == pytest.approx([1_000.0, 2_000.0, 1_999.0, 1_997.9], rel=ROUNDING)
        assert list(result.equity) == pytest.approx([1_000.0, 1_000.0, 899.0, 997.9], rel=ROUNDING)
        assert result.costs["borrow_paid"] == pytest.approx(2.1)

    def test_funding_at_its_times(self) -> None:
        """B16: bought at the bar of 04:00; 08:00 and 16:00 are paid, 00:00 was before."""
        bars = flat(*[100.0] * 6, spacing="4h")
        result = run({1: trade(5)}, Costs(funding=0.001), bars)
        assert list(result.cash) == pytest.approx([1_000.0, 500.0, 499.5, 499.5, 499.0, 499.0])
        assert result.costs["funding_paid"] == pytest.approx(1.0)
        assert result.trades.empty

    def test_a_trade_does_not_contain_what_the_account_pays(self) -> None:
        bars = flat(100, 100, 100, 110, 110)
        result = run({1: trade(5), 3: trade(-5)}, Costs(funding=0.001), bars)
        assert result.trades["pnl_net"].iloc[0] == pytest.approx(50.0)
        assert result.equity.iloc[-1] == pytest.approx(1_050.0 - result.costs["funding_paid"])


def adjusted(raw: pd.DataFrame, actions: list[Action]) -> pd.DataFrame:
    """Bars as vendors adjust them: by ratio, and by (close - dividend) / close, backwards."""
    frame = raw.copy()
    for action in actions:
        before = frame.index < action.time
        factor = 1.0 / action.ratio
        if action.amount:
            close = raw["close"][raw.index < action.time].iloc[-1] / action.ratio
            factor *= (close - action.amount) / close
        frame.loc[before, ["open", "high", "low", "close"]] *= factor
        frame.loc[before, "volume"] /= factor
    return frame


def walk(seed: int, bars: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, bars)))
    opening = close * np.exp(random.normal(0, 0.01, bars))
    high, low = np.maximum(opening, close) * 1.01, np.minimum(opening, close) * 0.99
    index = pd.date_range("2024-01-01", periods=bars, freq="D", tz="UTC", name="time")
    return pd.DataFrame({"open": opening, "high": high, "low": low, "close": close, "volume": 1e6}, index)


def day(number: int) -> datetime:
    return (pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=number)).to_pydatetime()


def unadjusted(frame: pd.DataFrame, actions: list[Action]) -> pd.DataFrame:
    """Bars as they would have been traded, where `frame` is what is left once splits are adjusted for."""
    raw = frame.copy()
    for action in actions:
        before = raw.index < action.time
        raw.loc[before, ["open", "high", "low", "close"]] *= action.ratio
    return raw


class TestActions:
    def test_a_split_by_hand(self) -> None:
        """B17: 10 at 100; two for one: 20 at 50, of which each is sold at 60."""
        bars = flat(100, 100, 50, 60, 60)
        costs = Costs(actions={"A": [Action(day(2), ratio=2.0)]})
        result = run({1: trade(10), 3: lambda s: s.close()}, costs, {"A": bars})
        assert list(result.equity) == [1_000.0, 1_000.0, 1_000.0, 1_200.0, 1_200.0]
        assert list(result.fills["size"]) == [10.0, -20.0]
        row = result.trades.iloc[0]
        assert (row["size"], row["entry_price"], row["exit_price"], row["pnl"]) == (20.0, 50.0, 60.0, 200.0)

    def test_open_orders_are_split(self) -> None:
        """B17: a stop for 10 at 90 becomes one for 20 at 45, a trailing one's 8 become 4."""
        bars = flat(100, 100, 50, 45, 45)
        costs = Costs(actions={"A": [Action(day(2), ratio=2.0)]})
        stop = run({1: trade(10), 2: trade(-10, exectype=bt.Order.Stop, price=90.0)}, costs, {"A": bars})
        assert list(stop.fills[["size", "price"]].iloc[1]) == [-20.0, 45.0]
        trail = run(
            {1: trade(10), 2: trade(-10, exectype=bt.Order.StopTrail, trailamount=8.0)}, costs, {"A": bars}
        )
        assert list(trail.fills[["size", "price"]].iloc[1]) == [-20.0, 45.0]  # its trigger is 46

    def test_a_dividend_by_hand(self) -> None:
        """B17: 10 units of 2; the buy limit of 90 goes down to 88, the sell limit of 99 stays."""
        bars = flat(100, 100, 98, 89, 88, 99)
        costs = Costs(actions={"A": [Action(day(2), amount=2.0)]})

        def limits(strategy: Any) -> None:
            strategy.buy(size=1, exectype=bt.Order.Limit, price=90.0)
            strategy.sell(size=1, exectype=bt.Order.Limit, price=99.0)

        result = run({1: trade(9), 2: limits}, costs, {"A": bars})
        assert list(result.cash)[1:3] == [100.0, 118.0]
        assert list(result.equity)[1:3] == [1_000.0, 1_000.0]
        assert result.costs["dividends_received"] == 18.0
        assert list(result.fills["price"]) == [100.0, 88.0, 99.0]
        short = run({1: trade(-9)}, costs, {"A": bars})
        assert list(short.equity)[1:3] == [1_000.0, 1_000.0]

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_raw_prices_and_splits_give_the_run_on_adjusted_prices(self, seed: int) -> None:
        """B17: buy and hold, with a protective stop."""
        actions = [Action(day(15), ratio=4.0), Action(day(30), ratio=0.5), Action(day(45), ratio=3.0)]
        smooth = walk(seed)
        raw = unadjusted(smooth, actions)
        assert raw["close"].iloc[0] != smooth["close"].iloc[0]
        stop = {"exectype": bt.Order.StopTrail, "trailpercent": 0.15}
        held = run({1: trade(6), 3: trade(-6, **stop)}, Costs(actions={"A": actions}), {"A": raw}, 10_000.0)
        scale = 4.0 * 0.5 * 3.0
        plain = run({1: trade(6 * scale), 3: trade(-6 * scale, **stop)}, Costs(), {"A": smooth}, 10_000.0)
        assert list(held.equity) == pytest.approx(list(plain.equity), rel=ROUNDING)
        assert len(held.trades) == len(plain.trades)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_raw_prices_and_dividends_put_back_give_the_run_on_adjusted_prices(self, seed: int) -> None:
        """B17: what vendors call adjusted: dividends reinvested, splits undone."""
        actions = [
            Action(day(10), amount=1.5),
            Action(day(25), ratio=2.0),
            Action(day(40), amount=0.8),
            Action(day(50), ratio=2.0, amount=0.3),
        ]
        raw = walk(seed)
        for action in actions:  # the price falls by what is split off and paid out
            after = raw.index >= action.time
            raw.loc[after, ["open", "high", "low", "close"]] /= action.ratio
            raw.loc[after, ["open", "high", "low", "close"]] -= action.amount
        smooth = adjusted(raw, actions)
        costs = Costs(actions={"A": actions}, dividends="reinvest")
        held = run({1: trade(6)}, costs, {"A": raw}, 10_000.0)
        factor = smooth["close"].iloc[0] / raw["close"].iloc[0]
        plain = run({1: trade(6 / factor)}, Costs(), {"A": smooth}, 10_000.0)
        assert list(held.equity) == pytest.approx(list(plain.equity), rel=ROUNDING)

    def test_raw_prices_and_dividends_in_cash_give_the_run_on_prices_with_them_added(self) -> None:
        """B17: each later price raised by what has been paid until then."""
        actions = [Action(day(10), amount=1.5), Action(day(40), amount=0.8)]
        total = walk(4)
        raw = total.copy()
        for action in actions:
            raw.loc[raw.index >= action.time, ["open", "high", "low", "close"]] -= action.amount
        held = run({1: trade(6)}, Costs(actions={"A": actions}), {"A": raw}, 10_000.0)
        plain = run({1: trade(6)}, Costs(), {"A": total}, 10_000.0)
        assert list(held.equity) == pytest.approx(list(plain.equity), rel=ROUNDING)
