import backtrader as bt
import numpy as np


class NumpyScalars(bt.Strategy):
    """Numbers by numpy functions, one at a time."""

    def __init__(self):
        self.ema = bt.ind.EMA(self.data.close, period=10)
        self.best = -np.inf

    def next(self):
        distance = np.log(self.data.close[0] / self.ema[0])
        if np.isnan(distance):
            return
        self.best = np.maximum(self.best, self.broker.getvalue())
        drawdown = 1.0 - self.broker.getvalue() / self.best
        stake = int(np.clip(np.floor(np.sqrt(1.0 / (0.0001 + abs(distance))) * 2), 5, 60))
        if distance > 0.004 and self.position.size == 0 and drawdown < 0.1:
            self.buy(size=stake)
        elif np.abs(distance) < 0.002 and self.position.size:
            self.close()
        elif distance < -0.01 and self.position.size:
            self.close()
