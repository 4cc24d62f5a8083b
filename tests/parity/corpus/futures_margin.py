import backtrader as bt


class FuturesTrend(bt.Strategy):
    params = (('margin', 2000.0), ('mult', 10.0), ('contracts', 3))

    def __init__(self):
        self.broker.setcommission(commission=2.0, margin=self.p.margin, mult=self.p.mult)
        self.fast = bt.ind.SMA(period=5)
        self.slow = bt.ind.SMA(period=15)

    def next(self):
        wanted = self.p.contracts if self.fast[0] > self.slow[0] else -self.p.contracts
        if self.position.size != wanted:
            self.order_target_size(target=wanted)
