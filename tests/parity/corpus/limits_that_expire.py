import datetime

import backtrader as bt


class ExpiringLimits(bt.Strategy):
    """`valid` in each of its forms."""

    def __init__(self):
        self.expired = 0
        self.filled = 0

    def notify_order(self, order):
        if order.status == order.Expired:
            self.expired += 1
        elif order.status == order.Completed:
            self.filled += 1

    def next(self):
        n = len(self)
        close = self.data.close[0]
        if n % 6 == 0:
            self.buy(exectype=bt.Order.Limit, price=close * 0.99, valid=datetime.timedelta(days=4), size=8)
        elif n % 6 == 2:
            until = self.data.datetime.datetime(0) + datetime.timedelta(days=3)
            self.sell(exectype=bt.Order.Limit, price=close * 1.012, valid=until, size=6)
        elif n % 6 == 4:
            self.buy(exectype=bt.Order.Limit, price=close * 0.985, valid=0, size=3)
        elif n % 12 == 5:
            self.sell(exectype=bt.Order.Stop, price=close * 0.98, valid=self.data.datetime[0] + 2.5, size=4)

    def stop(self):
        print('expired %d, filled %d' % (self.expired, self.filled))
