import backtrader as bt


class WeeklyBreakout(bt.Strategy):
    """Counts new weekly bars by len(self.data1); stop orders at last week's range."""

    def __init__(self):
        self.weeks = 0
        self.orders = []

    def next(self):
        if len(self.data1) == self.weeks:
            return
        self.weeks = len(self.data1)
        for order in self.orders:
            if order.alive():
                self.cancel(order)
        self.orders = []
        if self.position:
            self.close()
        high, low = self.data1.high[0], self.data1.low[0]
        if high > low:
            self.orders.append(self.buy(exectype=bt.Order.Stop, price=high, size=8))
            self.orders.append(self.sell(exectype=bt.Order.Stop, price=low, size=8))
