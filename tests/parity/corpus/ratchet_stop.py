import backtrader as bt


class RatchetStop(bt.Strategy):
    """A working stop order that is cancelled and sent again, higher."""

    params = (('atr', 6), ('mult', 1.5), ('stake', 25))

    def __init__(self):
        self.atr = bt.ind.ATR(period=self.p.atr)
        self.stop_order = None
        self.stop_price = 0.0
        self.moves = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            if order.isbuy():
                self.stop_price = order.executed.price - self.p.mult * self.atr[0]
                self.stop_order = self.sell(exectype=bt.Order.Stop, price=self.stop_price, size=self.p.stake)
            elif self.stop_order and order.ref == self.stop_order.ref:
                self.stop_order = None

    def next(self):
        if not self.position:
            if not self.stop_order and self.data.close[0] > self.data.high[-1]:
                self.buy(size=self.p.stake)
            return
        wanted = self.data.close[0] - self.p.mult * self.atr[0]
        if self.stop_order and wanted > self.stop_price:
            self.broker.cancel(self.stop_order)
            self.stop_price = wanted
            self.stop_order = self.sell(exectype=bt.Order.Stop, price=wanted, size=self.p.stake)
            self.moves += 1
