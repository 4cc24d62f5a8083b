import backtrader as bt


class CancelStale(bt.Strategy):
    """Buys a dip with a limit, gives up after a few bars, sells at the close of the session."""

    params = (('wait', 3), ('dip', 0.99), ('stake', 22))

    def __init__(self):
        self.order = None
        self.bars_waiting = 0
        self.cancelled = 0

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status == order.Canceled:
            self.cancelled += 1
        self.order = None
        self.bars_waiting = 0

    def next(self):
        if self.order:
            self.bars_waiting += 1
            if self.bars_waiting >= self.p.wait:
                self.cancel(self.order)
            return
        if not self.position:
            self.order = self.buy(size=self.p.stake, price=self.data.close[0] * self.p.dip, exectype=bt.Order.Limit)
        elif self.data.close[0] > self.position.price:
            self.order = self.close(exectype=bt.Order.Close)
        elif self.data.close[0] < 0.95 * self.position.price:
            self.order = self.close()
