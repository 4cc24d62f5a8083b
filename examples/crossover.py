"""A strategy that knows nothing of Tradewright: any `backtrader.Strategy` of yours runs as it is.

python -m live.run examples/crossover.py:Crossover
python -m engine.backtest examples/crossover.py:Crossover --param fast=5
python -m engine.parity examples/crossover.py:Crossover
"""

import backtrader as bt


class Crossover(bt.Strategy):
    params = (("fast", 10), ("slow", 30))

    def __init__(self):
        fast = bt.indicators.SMA(period=self.p.fast)
        slow = bt.indicators.SMA(period=self.p.slow)
        self.cross = bt.indicators.CrossOver(fast, slow)

    def next(self):
        if self.cross > 0:
            self.order_target_percent(target=0.9)
        elif self.cross < 0:
            self.close()
