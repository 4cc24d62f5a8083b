import backtrader as bt


class ShortOnly(bt.Strategy):
    """Sells short under two averages, covers by a buy stop or at a profit."""

    params = (('a', 5), ('b', 13), ('profit', 0.03))

    def __init__(self):
        self.a, self.b = bt.ind.SMA(period=self.p.a), bt.ind.SMA(period=self.p.b)
        self.cover = None

    def notify_order(self, order):
        if order.status == order.Completed and order.issell():
            self.cover = self.buy(exectype=bt.Order.Stop, price=order.executed.price * 1.02, size=20)
        elif order.status == order.Completed and self.cover is not None:
            if order.ref == self.cover.ref:
                self.cover = None

    def next(self):
        c = self.data.close[0]
        if self.position.size == 0 and self.cover is None:
            if c < self.a[0] and c < self.b[0]:
                self.sell(size=20)
        elif self.position.size < 0 and c < self.position.price * (1 - self.p.profit):
            if self.cover is not None:
                self.cancel(self.cover)
                self.cover = None
            self.close()
