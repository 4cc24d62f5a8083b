import backtrader as bt


class TrailLimit(bt.Strategy):
    """A trailing stop with a limit after each entry, with an amount in points."""

    params = (('mom', 5), ('amount', 2.0), ('offset', 0.3))

    def __init__(self):
        self.momentum = bt.ind.Momentum(self.data.close, period=self.p.mom)
        self.exit_order = None
        self.entry_bar = 0

    def notify_order(self, order):
        if order.status == order.Completed and order.isbuy() and order.exectype == bt.Order.Market:
            price = self.data.close[0]
            self.entry_bar = len(self)
            self.exit_order = self.sell(
                size=order.executed.size,
                exectype=bt.Order.StopTrailLimit,
                price=price,
                plimit=price - self.p.amount - self.p.offset,
                trailamount=self.p.amount,
            )

    def next(self):
        if not self.position and self.momentum[0] > 0:
            self.buy(size=12)
        elif self.position and self.exit_order and len(self) - self.entry_bar > 15:
            if self.exit_order.alive():
                self.cancel(self.exit_order)
            self.close()
            self.exit_order = None
