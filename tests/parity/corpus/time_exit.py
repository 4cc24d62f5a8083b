import backtrader as bt


class TimeExit(bt.Strategy):
    params = (('hold', 4), ('lookback', 3))

    def __init__(self):
        self.bar_executed = None
        self.order = None

    def notify_order(self, order):
        if order.status in [order.Completed]:
            if order.isbuy():
                self.bar_executed = len(self)
        if order.status in [order.Completed, order.Canceled, order.Margin]:
            self.order = None

    def next(self):
        if self.order:
            return
        if self.position.size == 0:
            closes = self.data.close.get(size=self.p.lookback)
            if len(closes) == self.p.lookback and closes[-1] < min(closes[:-1]):
                self.order = self.buy(size=28)
        elif (len(self) - self.bar_executed) >= self.p.hold:
            self.order = self.close()
