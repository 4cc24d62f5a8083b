import backtrader as bt


class TimeframesCrossed(bt.Strategy):
    """A fast average through a slow one of the day's bars, with the week's direction."""

    params = (('fast', 3), ('slow', 4), ('calm', 0.08), ('stake', 15))

    def __init__(self):
        self.slow = bt.ind.SMA(self.data1, period=self.p.slow)
        self.cross = bt.ind.CrossOver(bt.ind.EMA(self.data, period=self.p.fast), self.slow())
        self.higher = bt.And(self.data.close > self.data1.close(), self.data.close > self.data.open)
        self.room = (self.data1.high - self.data1.low)() / self.data.close
        self.week = bt.ind.Highest(self.data2.high, period=2)

    def next(self):
        if self.cross > 0 or (not self.position and self.higher and self.room[0] < self.p.calm):
            self.buy(size=self.p.stake)
        elif self.position and (self.cross < 0 or self.data.close[0] >= self.week[0]):
            self.close()
        elif self.position and self.slow[0] < self.slow[-1] and len(self) % 3 == 0:
            self.sell(size=self.p.stake / 3, exectype=bt.Order.Stop, price=self.data1.low[0])
