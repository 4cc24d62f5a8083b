"""The Backtrader analyzer in a plain script."""

from __future__ import annotations

import math
import subprocess
import sys

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import analyzers

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


def test_importing_the_package_loads_neither_backtrader_nor_pandas():
    code = "import analyzers, sys; sys.exit('backtrader' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
