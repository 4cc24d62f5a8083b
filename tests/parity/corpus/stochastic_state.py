import backtrader as bt


class StochasticState(bt.Strategy):
    """A small machine of three states."""

    WAITING, ARMED, HOLDING = range(3)

    params = (('period', 9), ('low', 25.0), ('high', 75.0), ('patience', 6))

    def __init__(self):
        self.stoch = bt.ind.StochasticSlow(self.data, period=self.p.period, safediv=True)
        self.state = self.WAITING
        self.since = 0

    def go(self, state):
        self.state = state
        self.since = len(self)

    def next(self):
        k = self.stoch.percK[0]
        if self.state == self.WAITING and k < self.p.low:
            self.go(self.ARMED)
        elif self.state == self.ARMED:
            if k > self.p.low:
                self.buy(size=24)
                self.go(self.HOLDING)
            elif len(self) - self.since > self.p.patience:
                self.go(self.WAITING)
        elif self.state == self.HOLDING:
            if k > self.p.high or (self.position.size and self.data.close[0] < self.position.price * 0.96):
                self.close()
                self.go(self.WAITING)
