import backtrader as bt


class UsesEnvironment(bt.Strategy):
    """Looks at Cerebro and at the datas by their names."""

    def __init__(self):
        self.count = len(self.env.datas)
        self.main = self.getdatabyname(self.dnames.keys().__iter__().__next__()) if self.count else None
        self.second = self.getdatabyname('BETA')
        self.ratio = self.data0_close / self.data1_close
        self.mean = bt.ind.SMA(self.ratio, period=8)

    def next(self):
        alpha = self.getpositionbyname('ALPHA')
        beta = self.getposition(self.dnames.BETA)
        if self.ratio[0] > self.mean[0] * 1.01 and not beta.size:
            self.close(data=self.main)
            self.buy(data='BETA', size=14)
        elif self.ratio[0] < self.mean[0] * 0.99 and not alpha.size:
            self.close(data=self.second)
            self.buy(data=self.dnames.ALPHA, size=14)
