import backtrader as bt


class ScaleOut(bt.Strategy):
    """Leaves in three parts, then trails the rest."""

    params = (('size', 30), ('targets', (1.01, 1.02)), ('trail', 0.025))

    def __init__(self):
        self.hl = bt.ind.Highest(self.data.close, period=5)
        self.entry, self.stage, self.peak = None, 0, 0.0

    def next(self):
        close = self.data.close[0]
        if not self.position.size:
            self.entry, self.stage, self.peak = None, 0, 0.0
            if close >= self.hl[0]:
                self.buy(size=self.p.size)
            return
        self.entry = self.entry or self.position.price
        self.peak = max(self.peak, close)
        if self.stage < len(self.p.targets) and close > self.entry * self.p.targets[self.stage]:
            self.sell(size=self.p.size // 3)
            self.stage += 1
        elif close < self.peak * (1 - self.p.trail):
            self.close()
