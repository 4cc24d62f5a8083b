import backtrader as bt


class PairsZ(bt.Strategy):
    """Spread of two datas, normalised; long one and short the other."""

    params = dict(period=12, upper=1.3, lower=-1.3, exit=0.4, qty=30)

    def __init__(self):
        self.spread = self.data0.close - self.data1.close
        self.mean = bt.ind.SMA(self.spread, period=self.p.period)
        self.std = bt.ind.StdDev(self.spread, period=self.p.period)
        self.status = 0

    def next(self):
        if not self.std[0]:
            return
        zscore = (self.spread[0] - self.mean[0]) / self.std[0]

        if zscore > self.p.upper and self.status != 1:
            if self.status == 2:
                self.close(self.data0)
                self.close(self.data1)
            self.sell(data=self.data0, size=self.p.qty)
            self.buy(data=self.data1, size=self.p.qty)
            self.status = 1
        elif zscore < self.p.lower and self.status != 2:
            if self.status == 1:
                self.close(self.data0)
                self.close(self.data1)
            self.buy(data=self.data0, size=self.p.qty)
            self.sell(data=self.data1, size=self.p.qty)
            self.status = 2
        elif -self.p.exit < zscore < self.p.exit and self.status:
            self.close(self.data0)
            self.close(self.data1)
            self.status = 0
