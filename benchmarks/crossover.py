"""The strategy the benchmarks run; it knows nothing of this project."""

from __future__ import annotations

import backtrader as bt


class Crossover(bt.Strategy):
    """All in above, all out below."""

    params = (("fast", 10), ("slow", 30))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=100)
        elif self.cross < 0 and self.position:
            self.close()
