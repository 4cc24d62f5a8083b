import backtrader as bt
import backtrader.indicators as btind


class Base(bt.Strategy):
    params = (('p1', 5), ('p2', 14), ('onlylong', False))

    def __init__(self):
        ma1 = btind.MovAv.SMA(self.data, period=self.p.p1)
        ma2 = btind.MovAv.EMA(self.data, period=self.p.p2)
        self.signal = btind.CrossOver(ma1, ma2)
        self.order = None

    def notify_order(self, order):
        if order.status in [bt.Order.Submitted, bt.Order.Accepted]:
            return  # Await further notifications
        self.order = None

    def next(self):
        if self.order:
            return
        if self.signal > 0.0:
            if self.position:
                self.close()
            self.order = self.enter_long()
        elif self.signal < 0.0:
            if self.position:
                self.close()
            if not self.p.onlylong:
                self.order = self.enter_short()

    def enter_long(self):
        return self.buy(size=1)

    def enter_short(self):
        return self.sell(size=1)


class Bigger(Base):
    def __init__(self):
        super(Bigger, self).__init__()
        self.scale = 1 if self.p.onlylong else 2

    def enter_long(self):
        return self.buy(size=10 * self.scale)

    def enter_short(self):
        return self.sell(size=5 * self.scale)
