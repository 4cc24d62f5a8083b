import backtrader as bt


class DonchianChannels(bt.Indicator):
    alias = ('DCH', 'DonchianChannel',)
    lines = ('dcm', 'dch', 'dcl',)
    params = dict(period=8, lookback=-1)

    plotinfo = dict(subplot=False)

    def __init__(self):
        hi, lo = self.data.high, self.data.low
        if self.p.lookback:  # move backwards as needed
            hi, lo = hi(self.p.lookback), lo(self.p.lookback)

        self.l.dch = bt.ind.Highest(hi, period=self.p.period)
        self.l.dcl = bt.ind.Lowest(lo, period=self.p.period)
        self.l.dcm = (self.l.dch + self.l.dcl) / 2.0  # avg of the above


class Donchian(bt.Strategy):
    params = (('period', 8), ('stake', 21))

    def __init__(self):
        self.myind = DonchianChannels(period=self.p.period)

    def next(self):
        if self.data[0] > self.myind.dch[0] and self.position.size <= 0:
            self.close()
            self.buy(size=self.p.stake)
        elif self.data[0] < self.myind.dcl[0] and self.position.size >= 0:
            self.close()
            self.sell(size=self.p.stake)
