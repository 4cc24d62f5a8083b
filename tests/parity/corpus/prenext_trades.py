import backtrader as bt


class PrenextTrades(bt.Strategy):
    """Datas that begin at different times: act on those that are there."""

    params = (('period', 10),)

    def __init__(self):
        self.smas = [bt.ind.SMA(d.close, period=self.p.period) for d in self.datas]
        self.calls = 0

    def prenext(self):
        self.calls += 1
        self.trade(self.datas[0], self.smas[0])

    def next(self):
        for d, sma in zip(self.datas, self.smas):
            self.trade(d, sma)

    def trade(self, d, sma):
        if len(d) < self.p.period:
            return
        size = self.getposition(d).size
        if d.close[0] > sma[0] and size == 0:
            self.buy(data=d, size=10)
        elif d.close[0] < sma[0] and size > 0:
            self.close(data=d)
