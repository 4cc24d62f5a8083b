import backtrader as bt


class EveryStatus(bt.Strategy):
    """Counts statuses and shrinks its size when an order is refused."""

    params = (('size', 900),)

    def __init__(self):
        self.counts = {'submitted': 0, 'accepted': 0, 'completed': 0, 'canceled': 0, 'margin': 0, 'other': 0}
        self.size = self.p.size
        self.limit = None

    def notify_order(self, order):
        if order.status == bt.Order.Submitted:
            self.counts['submitted'] += 1
        elif order.status == bt.Order.Accepted:
            self.counts['accepted'] += 1
        elif order.status == bt.Order.Completed:
            self.counts['completed'] += 1
            if order.issell():
                self.size += 100
        elif order.status == bt.Order.Canceled:
            self.counts['canceled'] += 1
        elif order.status == bt.Order.Margin:
            self.counts['margin'] += 1
            self.size = max(100, self.size - 200)
        else:
            self.counts['other'] += 1

    def next(self):
        n = len(self)
        if n % 7 == 0:
            self.buy(size=self.size)
        elif n % 7 == 2:
            self.limit = self.buy(size=100, exectype=bt.Order.Limit, price=self.data.low[0])
        elif n % 7 == 4 and self.limit is not None:
            self.cancel(self.limit)
            self.limit = None
        elif n % 7 == 5:
            self.close()

    def stop(self):
        for name, count in self.counts.items():
            print(name, count)
