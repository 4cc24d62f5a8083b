"""The figures of a plain Cerebro with our analyzers, and those of `backtest()`, on every engine."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest

import analyzers
from analyzers.montecarlo import FIGURES, monte_carlo
from engine.backtest import backtest
from feeds.market import load

SUMMED_DIFFERENTLY = (
    1e-9  # times of stock's bars are rounded days, ours nanoseconds; prices and money are the same
)
CASH, COMMISSION = 100_000.0, 0.001


class Reverses(bt.Strategy):
    """Long, then short without a pause, then flat."""

    def next(self) -> None:
        if len(self) % 40 == 5:
            self.buy(size=30)
        elif len(self) % 40 == 17:
            self.sell(size=50)
        elif len(self) % 40 == 33:
            self.close()


@pytest.fixture(scope="module")
def plain() -> bt.Strategy:
    frame = next(iter(load("sample:goog").frames.values()))
    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)))
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(COMMISSION)
    cerebro.addstrategy(Reverses)
    cerebro.addanalyzer(analyzers.Metrics, benchmark=frame["close"])
    cerebro.addanalyzer(analyzers.MonteCarlo, paths=50, seed=3)
    cerebro.addanalyzer(analyzers.MonteCarlo, paths=50, seed=3, method="trades", _name="shuffled")
    return cerebro.run()[0]


@pytest.mark.parametrize("engine", ["cerebro", "lean", "compiled"])
def test_a_plain_script_and_a_backtest_have_the_same_figures(plain: bt.Strategy, engine: str) -> None:
    """R1 to R5, R13, B18"""
    result = backtest(Reverses, "sample:goog", cash=CASH, commission=COMMISSION, engine=engine)
    ours = analyzers.figures(result, benchmark=result.prices["GOOG"]["close"])
    theirs = plain.analyzers.metrics.get_analysis()
    assert theirs == pytest.approx(ours, rel=SUMMED_DIFFERENTLY, nan_ok=True)
    assert ours["trades"] > 40
    assert not np.isnan([ours[name] for name in ("mae", "mfe", "beta", "kelly_trades", "turnover")]).any()


def test_a_plain_script_and_a_backtest_have_the_same_monte_carlo(plain: bt.Strategy) -> None:
    """R6, E5"""
    result = backtest(Reverses, "sample:goog", cash=CASH, commission=COMMISSION)
    for name, method in (("montecarlo", "stationary"), ("shuffled", "trades")):
        ours = monte_carlo(result, method=method, paths=50, seed=3)  # type: ignore[arg-type]
        theirs = getattr(plain.analyzers, name).drawn()
        for figure in FIGURES:
            assert getattr(theirs, figure) == pytest.approx(getattr(ours, figure), rel=SUMMED_DIFFERENTLY), (
                figure
            )
