"""Sweeps of what strategies do besides indicators and orders: signals, numpy, open orders; each combination as stock runs it."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest

from analyzers.metrics import summarize
from engine.cerebro import assemble, history_feed, run, stock_broker
from engine.sweep import sweep
from engine.sweep_metrics import METRICS
from feeds.market import load
from tests.parity.markets import frames

LAST_BITS = 1e-12
"""Sums of few trades are not paired as numpy pairs them."""


class Signalled(bt.SignalStrategy):
    params = {"fast": 3, "slow": 9, "stake": 10}

    def __init__(self):
        self.setsizer(bt.sizers.FixedSize(stake=self.p.stake))
        averages = [bt.ind.EMA(period=period) for period in (self.p.fast, self.p.slow)]
        self.signal_add(bt.SIGNAL_LONGSHORT, averages[0] - averages[1])


class Numpy(bt.Strategy):
    params = {"window": 6, "entry": 1.0}

    def next(self):
        closes = np.array(self.data.close.get(size=self.p.window))
        if closes.size < self.p.window:
            return
        distance = np.log(closes[-1] / closes.mean()) / (np.diff(np.log(closes)).std() + 0.001)
        if distance < -self.p.entry and not self.position:
            self.buy(size=10)
        elif distance > self.p.entry and self.position:
            self.close()


class Ladder(bt.Strategy):
    params = {"rungs": 2, "step": 0.01}

    def next(self):
        waiting = self.broker.get_orders_open()
        if len(waiting) < self.p.rungs:
            price = self.data.close[0] * (1 - self.p.step * (len(waiting) + 1))
            self.buy(size=2, exectype=bt.Order.Limit, price=price, kind="rung").addinfo(bar=len(self))
        elif len(self) % 9 == 0:
            for order in waiting:
                self.cancel(order)
        if self.position.size > 8:
            self.close()


SPACES = {
    Signalled: {"fast": [2, 4], "slow": [7, 12], "stake": [5, 9]},
    Numpy: {"window": [5, 8], "entry": [0.5, 1.0]},
    Ladder: {"rungs": [1, 3], "step": [0.005, 0.02]},
}


@pytest.mark.parametrize("strategy", SPACES)
def test_every_combination_is_its_own_run_on_stock(strategy: type[bt.Strategy]) -> None:
    market = load(frames("gappy", 4, 200))
    found = sweep(strategy, market, SPACES[strategy], metrics=METRICS)
    assert found.engine == "compiled", found.reason
    for row in found.table.to_dict("records"):
        params = {name: row[name] for name in SPACES[strategy]}
        feeds = {name: history_feed(name, frame) for name, frame in market.frames.items()}
        stock = run(assemble(strategy, params, feeds, stock_broker(100_000.0, 0.001)))
        wanted = summarize(stock.equity, stock.trades, fills=stock.fills)
        assert len(stock.fills) > 3
        assert row["error"] == ""
        for name in METRICS:
            assert row[name] == pytest.approx(wanted[name], rel=LAST_BITS, abs=LAST_BITS, nan_ok=True), name
