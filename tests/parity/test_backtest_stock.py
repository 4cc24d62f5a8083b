"""`backtest` against a stock Cerebro that is put together by hand here, with nothing of ours in it."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from engine import backtest
from feeds import load

FILE = Path(__file__).with_name("plain_strategies.py")
CASH, COMMISSION = 50_000.0, 0.0015
CENT = 0.005


def class_of(name: str) -> type[bt.Strategy]:
    spec = importlib.util.spec_from_file_location("plain_strategies_for_stock", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Backtrader looks a class's module up there.
    spec.loader.exec_module(module)
    return getattr(module, name)


def market(seed: int, bars: int = 260, start: str = "2019-01-01", spacing: str = "B") -> pd.DataFrame:
    random = np.random.default_rng(seed)
    index = pd.date_range(start, periods=bars, freq=spacing, tz="UTC", name="time")
    close = 80.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, bars)))
    opening = close * np.exp(random.normal(0.0, 0.01, bars))
    high = np.maximum(opening, close) * np.exp(np.abs(random.normal(0.0, 0.01, bars)))
    low = np.minimum(opening, close) * np.exp(-np.abs(random.normal(0.0, 0.01, bars)))
    prices = {"open": opening, "high": high, "low": low, "close": close}
    frame = pd.DataFrame(prices, index=index).round(2)
    return frame.assign(volume=np.floor(random.uniform(1e3, 1e5, bars)))


class Watch(bt.Analyzer):
    """Equity as any Backtrader user would collect it."""

    def start(self) -> None:
        self.rows: list[tuple[Any, float, float]] = []

    def next(self) -> None:
        broker = self.strategy.broker
        self.rows.append((self.strategy.datetime.datetime(), broker.getvalue(), broker.getcash()))


def stock(name: str, frames: dict[str, pd.DataFrame], weekly: bool) -> tuple[Any, list[bt.Order]]:
    """Run stock Backtrader; rows of (time, value, cash), and the broker's own orders."""
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)), name=symbol)
    if weekly:
        cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Weeks, compression=1)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION)
    cerebro.addstrategy(class_of(name))
    cerebro.addanalyzer(Watch)
    (strategy,) = cerebro.run()
    return strategy.analyzers.watch.rows, list(cerebro.broker.orders)


def seconds(number: float | None) -> pd.Timestamp:
    return pd.NaT if number is None else pd.Timestamp(bt.num2date(number)).tz_localize("UTC")


def stock_orders(orders: list[bt.Order]) -> list[tuple[Any, ...]]:
    return [
        (
            number,
            seconds(order.created.dt),
            order.data._name,
            order.getordername()
            .lower()
            .replace("stoptrail", "stop_trail")
            .replace("stoplimit", "stop_limit"),
            order.ordtypename().lower(),
            abs(order.created.size),
            {"Completed": "filled", "Canceled": "cancelled"}.get(
                order.getstatusname(), order.getstatusname().lower()
            ),
            abs(order.executed.size),
            order.executed.price if order.executed.size else None,
            order.executed.comm,
        )
        for number, order in enumerate(orders, 1)
    ]


def our_orders(result: RunResult) -> list[tuple[Any, ...]]:
    columns = [
        "order_id",
        "time",
        "symbol",
        "type",
        "side",
        "size",
        "status",
        "filled",
        "average_price",
        "commission",
    ]
    rows = result.orders[columns].astype(object)
    return [tuple(row) for row in rows.where(rows.notna(), None).to_numpy().tolist()]


def stock_fills(orders: list[bt.Order]) -> list[tuple[Any, ...]]:
    fills = [
        (seconds(bit.dt), order.data._name, bit.size, bit.price, bit.comm, number)
        for number, order in enumerate(orders, 1)
        for bit in order.executed.exbits
    ]
    return sorted(fills, key=lambda fill: (fill[0], fill[-1]))


def our_fills(result: RunResult) -> list[tuple[Any, ...]]:
    fills = [tuple(row) for row in result.fills.astype(object).to_numpy().tolist()]
    return sorted(fills, key=lambda fill: (fill[0], fill[-1]))


def two_markets() -> dict[str, pd.DataFrame]:
    late = market(5, bars=150, start="2019-04-15").drop(
        index=market(5, bars=150, start="2019-04-15").index[40:46]
    )
    return {"A": market(4), "LATE": late}


CASES = {
    "market orders and a remembered order": ("OneOrderAtATime", {"A": market(1)}),
    "bracket orders": ("Brackets", {"A": market(2)}),
    "trailing stop": ("Trailing", {"A": market(3)}),
    "limits with an end, stop limits, one cancels other": ("LimitsThatExpire", {"A": market(4)}),
    "order_target_percent": ("Targets", {"A": market(5)}),
    "several datas": ("Pairs", two_markets()),
    "signals": ("Signals", {"A": market(6)}),
    "own sizer": ("OwnSizer", {"A": market(7)}),
    "hourly bars": ("OwnSizer", {"A": market(8, spacing="1h")}),
    "margin, close and cancel": ("TooLarge", {"A": market(9)}),
    "weekly bars beside daily": ("Weekly", {"A": market(10)}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_backtest_equals_stock(case: str) -> None:
    """E1: orders, fills, equity and cash of an unmodified strategy, exactly."""
    name, frames = CASES[case]
    weekly = name == "Weekly"
    rows, orders = stock(name, frames, weekly)
    # Stock goes round once more on the last bar when it resamples: one bar, one value.
    bars = {pd.Timestamp(time).tz_localize("UTC"): (value, cash) for time, value, cash in rows}
    loaded = load({"A": frames["A"]})
    result = backtest(
        f"{FILE}:{name}",
        replace(loaded, frames=frames),
        cash=CASH,
        commission=COMMISSION,
        resample=["1W"] if weekly else (),
    )
    assert len(orders) > 3
    assert our_orders(result) == stock_orders(orders)
    assert our_fills(result) == stock_fills(orders)
    assert result.equity.index.tolist() == list(bars)
    assert list(zip(result.equity, result.cash, strict=True)) == list(bars.values())


def known_market() -> pd.DataFrame:
    """Closes chosen so that the averages cross four times; opens are what the orders fill at.

    bar     1   2   3     4      5     6   7     8     9   10    11    12  13   14
    close   12  11  10    13     16    16  13    10    10  13    16    16  10   10
    mean 2          10.5  11.5   14.5  16  14.5  11.5  10  11.5  14.5  16  13   10
    mean 3          11    11.33  13    15  15    13    11  11    13    15  14   12
    cross                 up               down            up              down
    """
    close = [12, 11, 10, 13, 16, 16, 13, 10, 10, 13, 16, 16, 10, 10]
    opening = [12, 12, 11, 10, 14, 16, 16, 12.5, 10, 10, 13.2, 16, 16, 9.8]
    index = pd.date_range("2024-03-04", periods=len(close), freq="B", tz="UTC", name="time")
    frame = pd.DataFrame({"open": opening, "close": close}, index=index, dtype="float64")
    frame["high"], frame["low"] = frame.max(axis=1) + 0.5, frame.min(axis=1) - 0.5
    return frame[["open", "high", "low", "close"]].assign(volume=1000.0)


# By hand, 100 shares at 0.1%, from 100,000.00:
# bar 5   buy at 14.00:   1,400.00 and 1.40 paid; cash 98,598.60
# bar 8   sell at 12.50:  1,250.00 less 1.25;     cash 99,847.35; lost 150.00, net 152.65
# bar 11  buy at 13.20:   1,320.00 and 1.32 paid; cash 98,526.03
# bar 14  sell at 9.80:   980.00 less 0.98;       cash 99,505.05; lost 340.00, net 342.30
# While the shares are held, equity is cash and 100 closes: 16 -> 100,198.60, 13 -> 99,898.60; then
# 16 -> 100,126.03, 10 -> 99,526.03.
EQUITY_BY_HAND = [
    *[100_000.00] * 4,
    *[100_198.60, 100_198.60, 99_898.60],
    *[99_847.35] * 3,
    *[100_126.03, 100_126.03, 99_526.03],
    99_505.05,
]
TRADES_BY_HAND = [
    {
        "entry_bar": 5,
        "exit_bar": 8,
        "entry_price": 14.00,
        "exit_price": 12.50,
        "pnl": -150.00,
        "pnl_net": -152.65,
    },
    {
        "entry_bar": 11,
        "exit_bar": 14,
        "entry_price": 13.20,
        "exit_price": 9.80,
        "pnl": -340.00,
        "pnl_net": -342.30,
    },
]


def test_known_cross_to_the_cent() -> None:
    """E1"""
    frame = known_market()
    result = backtest(f"{FILE}:KnownCross", frame)
    assert result.equity.tolist() == pytest.approx(EQUITY_BY_HAND, abs=CENT)
    assert len(result.trades) == len(TRADES_BY_HAND)
    for trade, known in zip(result.trades.to_dict("records"), TRADES_BY_HAND, strict=True):
        assert trade["entry_time"] == frame.index[known["entry_bar"] - 1]
        assert trade["exit_time"] == frame.index[known["exit_bar"] - 1]
        assert (trade["size"], trade["bars"], trade["exit_reason"]) == (100.0, 3, "signal")
        for column in ("entry_price", "exit_price", "pnl", "pnl_net"):
            assert trade[column] == pytest.approx(known[column], abs=CENT)
    assert result.cash.iloc[-1] == pytest.approx(99_505.05, abs=CENT)


def test_the_result_is_typed() -> None:
    """E3: one call gives statistics, trades, equity and orders."""
    result = backtest(
        class_of("KnownCross"),
        known_market(),
        params={"size": 10},
        cash=5_000,
        commission=0.0,
        engine="cerebro",
    )
    assert isinstance(result, RunResult)
    assert (result.kind, result.engine, result.engine_reason) == ("backtest", "cerebro", "asked for by name")
    assert dict(result.params) == {"fast": 2, "slow": 3, "size": 10}
    assert result.equity.index.equals(result.cash.index)
    assert str(result.equity.index.tz) == "UTC"
    assert tuple(result.trades.columns) == TRADE_COLUMNS
    assert tuple(result.orders.columns) == ORDER_COLUMNS
    assert tuple(result.fills.columns) == FILL_COLUMNS
    assert all(isinstance(value, (int, float)) for value in result.metrics.values())
    assert result.metrics["total_return"] == pytest.approx(result.equity.iloc[-1] / 5_000 - 1)
    assert dict(result.costs) == {"cash": 5_000.0, "commission": 0.0}
    assert not math.isnan(result.equity.iloc[0])
    (prices,) = result.prices.values()
    assert len(prices) == len(result.equity) == result.data.bars
