"""The Backtrader analyzer in a plain script."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import analyzers
from tests.unit.analyzers.runs import finished

SUMMED_DIFFERENTLY = 1e-12


class BuyAndSell(bt.Strategy):
    def next(self) -> None:
        if len(self) % 20 == 5:
            self.buy(size=10)
        elif len(self) % 20 == 15 and self.position:
            self.close()


@pytest.fixture
def market() -> pd.DataFrame:
    steps = np.random.default_rng(11).normal(0.001, 0.02, 250)
    close = 100 * np.exp(np.cumsum(steps))
    open_ = np.concatenate(([100.0], close[:-1]))
    frame = {"open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close}
    return pd.DataFrame({**frame, "volume": 1e6}, index=pd.bdate_range("2020-01-01", periods=250))


def run(market: pd.DataFrame, strategy: type[bt.Strategy], **params: object) -> bt.Strategy:
    cerebro = bt.Cerebro()
    cerebro.broker.setcommission(0.001)
    cerebro.adddata(bt.feeds.PandasData(dataname=market))
    cerebro.addstrategy(strategy)
    cerebro.addanalyzer(analyzers.Metrics, **params)
    cerebro.addanalyzer(bt.analyzers.DrawDown)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer)
    return cerebro.run()[0]


def test_agrees_with_backtraders_own_analyzers(market: pd.DataFrame):
    strategy = run(market, BuyAndSell)
    found = strategy.analyzers.metrics.get_analysis()
    drawdown = strategy.analyzers.drawdown.get_analysis()
    trades = strategy.analyzers.tradeanalyzer.get_analysis()
    assert found["end_value"] == strategy.broker.getvalue()
    assert found["max_drawdown"] == pytest.approx(drawdown.max.drawdown / 100, rel=SUMMED_DIFFERENTLY)
    assert found["max_drawdown_bars"] == drawdown.max.len
    assert found["trades"] == trades.total.closed > 5
    assert found["win_rate"] == trades.won.total / trades.total.closed
    assert found["expectancy"] == pytest.approx(trades.pnl.net.average, rel=SUMMED_DIFFERENTLY)
    still_open = 5
    assert found["exposure"] == (trades.len.total + still_open) / 250
    assert found["periods_per_year"] == 252
    assert found["bars"] == 250


def test_a_strategy_that_never_trades_gives_no_error(market: pd.DataFrame):
    found = run(market, bt.Strategy, periods=365).analyzers.metrics.get_analysis()
    assert found["total_return"] == 0
    assert found["periods_per_year"] == 365
    assert math.isnan(found["sharpe"])


def test_the_further_figures_are_there_and_fit_the_bars(market: pd.DataFrame):
    """R1 to R5, R13, B18: the definitions of `analyzers.metrics`, on what Backtrader tells."""
    strategy = run(market, BuyAndSell, benchmark=market["close"])
    found = strategy.analyzers.metrics.get_analysis()
    trades = strategy.analyzers.tradeanalyzer.get_analysis()
    assert found["average_bars"] == trades.len.average
    payoff = trades.won.pnl.average / -trades.lost.pnl.average
    assert found["payoff_ratio"] == pytest.approx(payoff, rel=SUMMED_DIFFERENTLY)
    assert found["benchmark_return"] == pytest.approx(market["close"].iloc[-1] / market["close"].iloc[0] - 1)
    assert 0 < found["beta"] < 1
    assert found["turnover"] > 0
    assert 0 < found["time_under_water"] < 1
    expected = list(analyzers.figures(finished([1000.0, 1001.0])))
    assert list(found) == expected


def test_excursions_are_those_of_the_bars_between_entry_and_exit(market: pd.DataFrame):
    found = run(market, BuyAndSell).analyzers.metrics.get_analysis()
    against, favour = [], []
    for decided in range(4, 240, 20):  # bought at the open after bar 5 of each twenty, sold ten bars on
        entry, left = market["open"].iloc[decided + 1], market["open"].iloc[decided + 11]
        held = market.iloc[decided + 1 : decided + 11]
        against.append(1 - min(held["low"].min(), left) / entry)
        favour.append(max(held["high"].max(), left) / entry - 1)
    assert found["trades"] == len(against)
    assert found["mae"] == pytest.approx(np.mean(against), rel=SUMMED_DIFFERENTLY)
    assert found["mfe"] == pytest.approx(np.mean(favour), rel=SUMMED_DIFFERENTLY)


class Shorts(bt.Strategy):
    """Sells short and buys back, so that what is against it is above."""

    def next(self) -> None:
        if len(self) == 5:
            self.sell(size=10)
        elif len(self) == 15:
            self.close()


def test_a_short_trade_suffers_from_what_rises(market: pd.DataFrame):
    found = run(market, Shorts).analyzers.metrics.get_analysis()
    entry, left, held = market["open"].iloc[5], market["open"].iloc[15], market.iloc[5:15]
    assert found["mae"] == pytest.approx(max(held["high"].max(), left) / entry - 1, rel=SUMMED_DIFFERENTLY)
    assert found["mfe"] == pytest.approx(1 - min(held["low"].min(), left) / entry, rel=SUMMED_DIFFERENTLY)


def carlo(market: pd.DataFrame, strategy: type[bt.Strategy], **params: object) -> Any:
    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=market))
    cerebro.addstrategy(strategy)
    cerebro.addanalyzer(analyzers.MonteCarlo, _name="carlo", **params)
    cerebro.addanalyzer(analyzers.Metrics)
    return cerebro.run()[0].analyzers


@pytest.mark.parametrize("method", ["stationary", "iid", "trades"])
def test_monte_carlo_of_a_plain_run(market: pd.DataFrame, method: str):
    """R6, E5"""
    found = carlo(market, BuyAndSell, method=method, paths=300, seed=3, ruin=0.999)
    told = found.carlo.get_analysis()
    whole = found.carlo.drawn()
    assert told["ruin_probability"] == whole.ruin_probability > 0
    assert told["max_drawdown"]["p95"] == np.percentile(whole.max_drawdown, 95)
    assert whole.steps == (249 if method != "trades" else found.metrics.get_analysis()["trades"])
    middle = told["total_return"]
    assert middle["p5"] <= found.metrics.get_analysis()["total_return"] + 0.05
    assert (
        told == carlo(market, BuyAndSell, method=method, paths=300, seed=3, ruin=0.999).carlo.get_analysis()
    )


def test_monte_carlo_of_a_run_without_trades_is_empty(market: pd.DataFrame):
    assert carlo(market, bt.Strategy, method="trades").carlo.get_analysis() == {}
    assert carlo(market, bt.Strategy, paths=10).carlo.get_analysis()["max_drawdown"]["p95"] == 0


def test_importing_the_package_loads_neither_backtrader_nor_pandas():
    code = "import analyzers, sys; sys.exit('backtrader' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
