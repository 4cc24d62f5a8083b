import datetime

import backtrader as bt


class ManualBracket(bt.Strategy):
    params = (('p1', 3), ('p2', 9), ('limit', 0.004), ('valid', 4))

    def __init__(self):
        ma1 = bt.ind.SMA(period=self.p.p1)
        ma2 = bt.ind.SMA(period=self.p.p2)
        self.cross = bt.ind.CrossOver(ma1, ma2)
        self.orefs = []

    def notify_order(self, order):
        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)

    def next(self):
        if self.orefs:
            return

        if not self.position and self.cross > 0.0:
            close = self.data.close[0]
            p1 = close * (1.0 - self.p.limit)
            p2 = p1 - 0.02 * close
            p3 = p1 + 0.03 * close
            valid1 = datetime.timedelta(days=self.p.valid)

            o1 = self.buy(exectype=bt.Order.Limit, price=p1, size=14, valid=valid1, transmit=False)
            print('{}: Oref {} / Buy at {}'.format(self.datetime.date(), o1.ref, p1))
            o2 = self.sell(exectype=bt.Order.Stop, price=p2, size=14, parent=o1, transmit=False)
            o3 = self.sell(exectype=bt.Order.Limit, price=p3, size=14, parent=o1, transmit=True)
            self.orefs = [o1.ref, o2.ref, o3.ref]
        elif self.position and self.cross < 0.0 and len(self.orefs) == 0:
            self.close()
