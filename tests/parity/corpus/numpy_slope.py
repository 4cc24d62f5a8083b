import backtrader as bt
import numpy as np


class NumpySlope(bt.Strategy):
    params = (('window', 8),)

    def __init__(self):
        self.slope = 0.0

    def next(self):
        if len(self.data) < self.p.window:
            return
        closes = np.array(self.data.close.get(size=self.p.window))
        returns = np.diff(np.log(closes))
        x = np.arange(self.p.window)
        self.slope = np.sum((x - x.mean()) * (closes - closes.mean())) / np.sum((x - x.mean()) ** 2)
        volatility = np.std(returns)

        if self.slope > 0 and volatility < 0.05 and not self.position:
            self.buy(size=17)
        elif self.slope < 0 and self.position:
            self.close()
