import backtrader as bt


class LineLogic(bt.Strategy):
    """All decisions as lines, made in __init__."""

    params = dict(fast=4, slow=11, rsi=6)

    def __init__(self):
        fast = bt.ind.SMA(self.data.close, period=self.p.fast)
        slow = bt.ind.SMA(self.data.close, period=self.p.slow)
        rsi = bt.ind.RSI(self.data.close, period=self.p.rsi, safediv=True)
        rising = self.data.close > self.data.close(-1)
        highest = bt.Max(self.data.high, self.data.high(-1))
        lowest = bt.Min(self.data.low, self.data.low(-1))
        self.width = highest - lowest
        self.long_entry = bt.And(fast > slow, rsi < 75.0, rising)
        self.long_exit = bt.Or(fast < slow, rsi > 88.0)
        self.stake = bt.If(self.width > bt.ind.SMA(self.width, period=5), 10.0, 20.0)

    def next(self):
        if self.position:
            if self.long_exit[0]:
                self.close()
        elif self.long_entry[0]:
            self.buy(size=int(self.stake[0]))
