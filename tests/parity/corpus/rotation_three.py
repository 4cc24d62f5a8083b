import backtrader as bt


class Rotation(bt.Strategy):
    """Holds the strongest of several datas."""

    params = (('momentum', 10), ('every', 5), ('keep', 1))

    def __init__(self):
        self.inds = {}
        for d in self.datas:
            self.inds[d] = bt.ind.RateOfChange(d.close, period=self.p.momentum)

    def next(self):
        if len(self) % self.p.every:
            return
        ranking = sorted(self.datas, key=lambda d: self.inds[d][0], reverse=True)
        winners = ranking[:self.p.keep]
        for d in self.datas:
            if d not in winners and self.getposition(d).size:
                self.close(data=d)
        for d in winners:
            if not self.getposition(d).size:
                size = int(self.broker.getvalue() * 0.9 / self.p.keep / d.close[0])
                self.buy(data=d, size=size)
