"""Costs in a backtest, fill by fill, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from brokers.costs import Costs
from brokers.slippage import PerUnit, SquareRoot, Volatility, VolumeShare
from core.errors import ConfigError, UserError
from core.results import RunResult
from engine import backtest

LAST_BITS = 1e-12
"""Room for the rounding of a few sums and products."""
BARS = [
    (10.0, 10.5, 9.5, 10.0, 1000.0),
    (11.0, 12.5, 10.5, 12.0, 1000.0),
    (13.0, 14.5, 12.5, 14.0, 500.0),
    (15.0, 16.5, 14.5, 16.0, 2000.0),
    (17.0, 18.5, 16.5, 18.0, 1000.0),
    (18.0, 18.5, 17.5, 18.0, 1000.0),
]
"""Opens at 10, 11, 13, 15, 17, 18."""
Act = Callable[[Any], Any]


def frame_of(rows: list[tuple[float, ...]] = BARS, spacing: str = "D") -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(rows), freq=spacing, tz="UTC", name="time")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close", "volume"], dtype="float64")


class Script(bt.Strategy):
    """Does what its class says on each bar, counted from 1."""

    acts: dict[int, Act] = {}

    def next(self) -> None:
        act = self.acts.get(len(self))
        if act is not None:
            act(self)


def run(
    acts: dict[int, Act], costs: Costs, rows: Any = BARS, cash: float = 100_000.0, **given: Any
) -> RunResult:
    strategy = type("Scripted", (Script,), {"acts": acts})
    data = rows if isinstance(rows, (pd.DataFrame, dict)) else frame_of(rows)
    return backtest(strategy, data, cash=cash, commission=given.pop("commission", 0.0), costs=costs, **given)


def fills(result: RunResult) -> list[tuple[int, float, float]]:
    """Bar from 1, signed size and price of each fill."""
    times = list(result.equity.index)
    rows = result.fills[["time", "size", "price"]].itertuples(index=False)
    return [(times.index(time) + 1, size, pytest.approx(price, rel=LAST_BITS)) for time, size, price in rows]


def buy(size: float = 100, **order: Any) -> Act:
    return lambda strategy: strategy.buy(size=size, **order)


def sell(size: float = 100, **order: Any) -> Act:
    return lambda strategy: strategy.sell(size=size, **order)


class TestPrices:
    @pytest.mark.parametrize(
        ("costs", "bought", "sold"),
        [
            (Costs(slippage=0.01), 11.11, 12.87),  # 11 + 1%, 13 - 1%
            (Costs(slippage=PerUnit(0.2)), 11.2, 12.8),
            (Costs(spread=0.02), 11.11, 12.87),  # half of 2%
            (Costs(spread=0.02, slippage=PerUnit(0.2)), 11.31, 12.67),
            (
                Costs(slippage=VolumeShare(1.0)),
                11.11,
                12.5,
            ),  # 11 x 0.1 ** 2; 13 x 0.2 ** 2 = 0.52, but the low
            (Costs(slippage=VolumeShare(0.5)), 11.055, 12.74),
            # True ranges 1, then 12.5 - 10 = 2.5, then 14.5 - 12 = 2.5: averages 1.75 and 2.
            (Costs(slippage=Volatility(0.1)), 11.175, 12.8),
            (Costs(slippage=Volatility(0.1, bars=1)), 11.25, 12.75),
            (Costs(slippage=Volatility(0.1, bars=2)), 11.175, 12.7875),  # (1.75 + 2.5) / 2 = 2.125
            (Costs(slippage=SquareRoot(1.0)), 11.0 + 1.75 * 0.1**0.5, 13.0 - 2.0 * 0.2**0.5 + 0.0),
        ],
    )
    def test_market_orders(self, costs: Costs, bought: float, sold: float) -> None:
        """B14: 100 of a volume of 1,000 bought at an open of 11, sold of a volume of 500 at 13."""
        sold = max(sold, 12.5)
        result = run({1: buy(), 2: sell()}, costs)
        assert fills(result) == [(2, 100.0, bought), (3, -100.0, sold)]
        paid = 100 * (bought - 11.0) + 100 * (13.0 - sold)
        assert result.costs["slippage_paid"] == pytest.approx(paid)
        assert result.equity.iloc[-1] == pytest.approx(100_000.0 + 100 * (sold - bought))
        assert result.trades["pnl"].iloc[0] == pytest.approx(100 * (sold - bought))

    def test_a_fill_ends_at_the_bar_unless_asked(self) -> None:
        """B14: 11 + 50% is beyond the high of 12.5."""
        assert fills(run({1: buy()}, Costs(slippage=0.5))) == [(2, 100.0, 12.5)]
        assert fills(run({1: buy()}, Costs(slippage=0.5, beyond_bar=True))) == [(2, 100.0, 16.5)]

    def test_a_limit_holds(self) -> None:
        """B14: at the open of 11 with a limit of 11.05; touched inside the bar at 10.75."""
        limit = bt.Order.Limit
        costs = Costs(slippage=0.01)
        assert fills(run({1: buy(exectype=limit, price=11.05)}, costs)) == [(2, 100.0, 11.05)]
        assert fills(run({1: buy(exectype=limit, price=10.75)}, costs)) == [(2, 100.0, 10.75)]
        assert fills(run({1: sell(exectype=limit, price=10.95)}, costs)) == [(2, -100.0, 10.95)]

    def test_a_stop_slips_and_a_stop_limit_keeps_its_limit(self) -> None:
        """B14: touched at 11.5; the stop limit's limit is 11.55."""
        stop = {"exectype": bt.Order.Stop, "price": 11.5}
        costs = Costs(slippage=0.01)
        assert fills(run({1: buy(**stop)}, costs)) == [(2, 100.0, 11.615)]
        limited = {"exectype": bt.Order.StopLimit, "price": 11.5, "plimit": 11.55}
        assert fills(run({1: buy(**limited)}, costs)) == [(2, 100.0, 11.55)]

    def test_spreads_by_time(self) -> None:
        """B14: 2% until the third bar, then 4%; half of it is paid."""
        index = frame_of().index
        costs = Costs(spread=pd.Series([0.02, 0.04], [index[0], index[2]]))
        assert fills(run({1: buy(), 2: sell()}, costs)) == [(2, 100.0, 11.11), (3, -100.0, 12.74)]
        by_name = Costs(spread={"data": costs.spread})
        assert fills(run({1: buy()}, by_name, {"data": frame_of()})) == [(2, 100.0, 11.11)]

    def test_commission_is_on_the_price_paid(self) -> None:
        result = run({1: buy(), 2: sell()}, Costs(slippage=0.01), commission=0.001)
        assert list(result.fills["commission"]) == pytest.approx([1.111, 1.287])
        assert result.costs["fees_paid"] == pytest.approx(2.398)
        assert result.trades["pnl_net"].iloc[0] == pytest.approx(176.0 - 2.398)


class TestVolume:
    def test_an_order_fills_over_bars(self) -> None:
        """B14: a tenth of 1,000, 500, 2,000: 100 at 11, 50 at 13, the last 150 of 300 at 15."""
        result = run({1: buy(300)}, Costs(volume_share=0.1))
        assert fills(result) == [(2, 100.0, 11.0), (3, 50.0, 13.0), (4, 150.0, 15.0)]
        assert list(result.orders["status"]) == ["filled"]
        assert "2 fills took only a part of what was left" in result.notes[-1]

    def test_orders_of_a_bar_share_its_volume(self) -> None:
        """B14: 60 and 60 of 100; the second has 20 left for the next bar."""
        result = run({1: lambda s: (s.buy(size=60), s.sell(size=60))}, Costs(volume_share=0.1))
        assert fills(result) == [(2, 60.0, 11.0), (2, -40.0, 11.0), (3, -20.0, 13.0)]

    def test_the_rest_ends_with_the_time_in_force(self) -> None:
        """B14: good until the second bar, of which it fills 100; market orders end so as well."""
        until = frame_of().index[1].to_pydatetime().replace(tzinfo=None)
        for order in ({}, {"exectype": bt.Order.Limit, "price": 20.0}):
            result = run({1: buy(300, valid=until, **order)}, Costs(volume_share=0.1))
            assert fills(result) == [(2, 100.0, 11.0)]
            assert list(result.orders["status"]) == ["expired"]
            assert list(result.orders["filled"]) == [100.0]

    def test_the_rest_can_be_cancelled(self) -> None:
        def cancel(strategy: Any) -> None:
            strategy.cancel(strategy.order)

        def order(strategy: Any) -> None:
            strategy.order = strategy.buy(size=300)

        result = run({1: order, 2: cancel}, Costs(volume_share=0.1))
        assert fills(result) == [(2, 100.0, 11.0)]
        assert list(result.orders["status"]) == ["cancelled"]

    def test_a_stop_that_was_reached_goes_on_at_the_market(self) -> None:
        """B14: touched at 11.5 on the second bar; later bars are above it, and a falling one below."""
        rows = [*BARS[:2], (10.0, 10.5, 9.0, 9.5, 5000.0)]
        result = run({1: buy(300, exectype=bt.Order.Stop, price=11.5)}, Costs(volume_share=0.1), rows)
        assert fills(result) == [(2, 100.0, 11.5), (3, 200.0, 10.0)]

    def test_a_limit_waits_for_its_price_again(self) -> None:
        """B14: 10.75 is touched on the second bar alone."""
        limit = {"exectype": bt.Order.Limit, "price": 10.75}
        result = run({1: buy(300, **limit)}, Costs(volume_share=0.1))
        assert fills(result) == [(2, 100.0, 10.75)]

    def test_nothing_fills_on_a_bar_without_volume(self) -> None:
        rows = [BARS[0], (*BARS[1][:4], 0.0), *BARS[2:]]
        assert fills(run({1: buy(20)}, Costs(volume_share=0.1), rows)) == [(3, 20.0, 13.0)]

    def test_fractions_fill_in_fractions_and_leave_nothing_over(self) -> None:
        """0.3 in three parts of 0.1, each way: no dust is left of order or position."""
        rows = [(10.0, 10.0, 10.0, 10.0, 1.0)] * 10
        costs = Costs(volume_share=0.1)
        result = run({1: buy(0.3), 5: lambda s: s.close()}, costs, rows)
        assert [size for _, size, _ in fills(result)] == pytest.approx([0.1] * 3 + [-0.1] * 3)
        assert list(result.orders["status"]) == ["filled", "filled"]
        assert len(result.trades) == 1
        assert result.meta["open_trades"] == 0

    def test_no_volume_at_all_is_refused(self) -> None:
        rows = [(*bar[:4], 0.0) for bar in BARS]
        with pytest.raises(ConfigError, match="has no volume"):
            run({1: buy()}, Costs(volume_share=0.1), rows)


class TestLatency:
    def test_bars(self) -> None:
        """B14: made on the first bar, two bars late: the fourth bar's open."""
        assert fills(run({1: buy()}, Costs(latency=2))) == [(4, 100.0, 15.0)]

    @pytest.mark.parametrize(("seconds", "bar"), [(1.0, 2), (3600.0, 2), (3601.0, 3), (7200.5, 4)])
    def test_seconds(self, seconds: float, bar: int) -> None:
        """B14: bars an hour apart."""
        result = run({1: buy()}, Costs(latency_seconds=seconds), frame_of(spacing="h"))
        assert fills(result) == [(bar, 100.0, BARS[bar - 1][0])]

    def test_a_limit_does_not_fill_while_it_is_on_its_way(self) -> None:
        """B14: 10.75 is touched on the second bar, before it arrives."""
        limit = {"exectype": bt.Order.Limit, "price": 10.75}
        assert fills(run({1: buy(**limit)}, Costs())) == [(2, 100.0, 10.75)]
        assert fills(run({1: buy(**limit)}, Costs(latency=1))) == []

    def test_a_cancel_can_come_too_late(self) -> None:
        """B14: the limit of 13.2 is touched on the fifth bar; the cancel of bar 2 or 3 is two bars on its way."""
        rows = [BARS[0], BARS[3], BARS[3], BARS[4], BARS[2], BARS[5]]

        def order(strategy: Any) -> None:
            strategy.order = strategy.buy(size=100, exectype=bt.Order.Limit, price=13.2)

        def cancel(strategy: Any) -> None:
            strategy.cancel(strategy.order)

        late = run({1: order, 3: cancel}, Costs(latency=2), rows)
        assert fills(late) == [(5, 100.0, 13.0)]
        early = run({1: order, 2: cancel}, Costs(latency=2), rows)
        assert fills(early) == []
        assert list(early.orders["status"]) == ["cancelled"]
        assert early.orders["closed_time"].iloc[0] == early.equity.index[4]

    def test_a_late_cancel_spares_what_joined_its_group_since(self) -> None:
        """The stop of bar 1 is given up on bar 3 for a sale at the market, which one of the two is to be."""

        def leave(strategy: Any) -> None:
            strategy.cancel(strategy.stop_order)
            strategy.sell(size=100, oco=strategy.stop_order)

        def stop(strategy: Any) -> None:
            strategy.stop_order = strategy.sell(size=100, exectype=bt.Order.Stop, price=5.0)

        result = run({1: stop, 3: leave}, Costs(latency=1))
        assert list(result.orders["status"]) == ["cancelled", "filled"]
        assert fills(result) == [(5, -100.0, 17.0)]


class TestTheCall:
    def test_no_costs_change_nothing(self) -> None:
        plain = run({1: buy(), 3: sell()}, Costs())
        assert plain.engine != "cerebro"
        assert set(plain.costs) == {"cash", "commission"}
        assert "costs" not in plain.meta

    def test_the_engine_says_why_it_is_cerebro(self) -> None:
        result = run({1: buy()}, Costs(spread=0.01))
        assert (result.engine, result.engine_reason) == (
            "cerebro",
            "realistic costs are charged on Cerebro alone",
        )
        assert result.costs["spread"] == 0.01
        assert result.meta["costs"]["text"] == "half of a spread of 1.0000%"

    @pytest.mark.parametrize("engine", ["compiled", "lean"])
    def test_the_fast_engines_refuse_by_name(self, engine: str) -> None:
        with pytest.raises(UserError, match="costs are charged on Cerebro alone"):
            run({1: buy()}, Costs(spread=0.01), engine=engine)

    def test_what_a_broker_sets_as_well_is_refused(self) -> None:
        broker = bt.brokers.BackBroker(slip_perc=0.01)
        with pytest.raises(ConfigError, match="slip_perc"):
            run({1: buy()}, Costs(spread=0.01), broker=broker)
        with pytest.raises(ConfigError, match="cheat_on_open"):
            run({1: buy()}, Costs(spread=0.01), cheat_on_open=True)

    def test_a_broker_of_another_kind_is_refused(self) -> None:
        class Own(bt.brokers.BackBroker):
            pass

        with pytest.raises(ConfigError, match="a Own is given too"):
            run({1: buy()}, Costs(spread=0.01), broker=Own())

    def test_a_brokers_schemes_count(self) -> None:
        broker = bt.brokers.BackBroker()
        broker.setcash(5_000.0)
        broker.setcommission(commission=2.0, margin=100.0, mult=10.0)
        result = run({1: buy(1), 2: sell(1)}, Costs(slippage=PerUnit(0.1)), broker=broker)
        assert result.equity.iloc[-1] == pytest.approx(5_000.0 + 10 * (12.9 - 11.1) - 4.0)

    def test_costs_of_a_symbol_that_is_not_there_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="costs are given for GOGO"):
            run({1: buy()}, Costs(spread={"GOGO": 0.01}), {"GOOG": frame_of()})
