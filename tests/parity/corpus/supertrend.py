import backtrader as bt


class SuperTrend(bt.Indicator):
    """Bands of the average true range that only tighten, switched by the close."""

    lines = ('trend', 'band')
    params = (('period', 6), ('mult', 1.5))

    def __init__(self):
        self.atr = bt.ind.ATR(self.data, period=self.p.period)
        self.mid = (self.data.high + self.data.low) / 2.0

    def nextstart(self):
        self.l.trend[0] = 1.0
        self.l.band[0] = self.mid[0] - self.p.mult * self.atr[0]

    def next(self):
        upper = self.mid[0] + self.p.mult * self.atr[0]
        lower = self.mid[0] - self.p.mult * self.atr[0]
        before, trend = self.l.band[-1], self.l.trend[-1]
        if trend > 0:
            if self.data.close[0] < before:
                self.l.trend[0], self.l.band[0] = -1.0, upper
            else:
                self.l.trend[0], self.l.band[0] = 1.0, max(before, lower)
        elif self.data.close[0] > before:
            self.l.trend[0], self.l.band[0] = 1.0, lower
        else:
            self.l.trend[0], self.l.band[0] = -1.0, min(before, upper)


class SuperTrendStrategy(bt.Strategy):
    params = (('period', 6), ('mult', 1.2), ('risk', 0.02))

    def __init__(self):
        self.st = SuperTrend(self.data, period=self.p.period, mult=self.p.mult)
        self.turn = bt.ind.CrossOver(self.data.close, self.st.band)

    def next(self):
        risk = abs(self.data.close[0] - self.st.band[0])
        if risk == 0:
            return
        size = min(int(self.p.risk * self.broker.getvalue() / risk), int(self.broker.getcash() / self.data.close[0]))
        if self.st.trend[0] > 0 and not self.position and size > 0:
            self.buy(size=size)
        elif self.st.trend[0] < 0 and self.position:
            self.close()
