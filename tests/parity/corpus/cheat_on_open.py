import backtrader as bt


class CheatOnOpen(bt.Strategy):
    """Decides at the open, before the broker works."""

    params = (('period', 6),)

    def __init__(self):
        self.broker.set_coo(True)
        self.sma = bt.ind.SMA(period=self.p.period)
        self.ready = False

    def next_open(self):
        if not self.ready:
            return
        if not self.position and self.data.open[0] > self.sma[-1]:
            self.buy(size=10)
        elif self.position and self.data.open[0] < self.sma[-1]:
            self.close()

    def next(self):
        self.ready = True
