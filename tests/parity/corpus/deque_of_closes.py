from collections import deque

import backtrader as bt


class DequeOfCloses(bt.Strategy):
    params = (('maxlen', 7), ('stake', 12))

    def __init__(self):
        self.closes = deque(maxlen=self.p.maxlen)
        self.returns = []

    def next(self):
        if self.closes:
            self.returns.append(self.data.close[0] / self.closes[-1] - 1)
            if len(self.returns) > 5:
                self.returns.pop(0)
        self.closes.append(self.data.close[0])
        if len(self.closes) < self.p.maxlen:
            return

        average = sum(self.closes) / len(self.closes)
        momentum = sum(self.returns)
        if momentum > 0.01 and not self.position:
            self.buy(size=self.p.stake)
        elif self.position and (self.data.close[0] < average or momentum < -0.01):
            self.sell(size=self.position.size)
