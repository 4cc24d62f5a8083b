import backtrader as bt


class Turtle(bt.Strategy):
    """Breakouts, up to four units, half an ATR apart."""

    params = (('entry', 10), ('leave', 5), ('atr', 8), ('max_units', 4), ('risk', 0.01))

    def __init__(self):
        self.high_line = bt.ind.Highest(self.data.high(-1), period=self.p.entry)
        self.low_line = bt.ind.Lowest(self.data.low(-1), period=self.p.leave)
        self.atr = bt.ind.AverageTrueRange(self.data, period=self.p.atr)
        self.units = 0
        self.last_price = 0
        self.order = None

    def unit_size(self):
        size = int(self.broker.getvalue() * self.p.risk / self.atr[0])
        return max(1, min(size, 200))

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status == order.Completed:
            if order.isbuy():
                self.units += 1
                self.last_price = order.executed.price
            else:
                self.units = 0
        self.order = None

    def next(self):
        if self.order is not None:
            return
        price = self.data.close[0]
        if self.units == 0:
            if price > self.high_line[0]:
                self.order = self.buy(size=self.unit_size())
        elif price < self.low_line[0] or price < self.last_price - 2 * self.atr[0]:
            self.order = self.close()
        elif self.units < self.p.max_units and price > self.last_price + 0.5 * self.atr[0]:
            self.order = self.buy(size=self.unit_size())
