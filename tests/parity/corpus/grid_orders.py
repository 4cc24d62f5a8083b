import backtrader as bt


class GridOrders(bt.Strategy):
    """A ladder of limit orders under the price; each fill is answered by a limit above."""

    params = dict(levels=4, step=0.01, stake=5, refresh=12)

    def __init__(self):
        self.ladder = []
        self.sells = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            if order in self.ladder:
                self.ladder.remove(order)
                self.sell(exectype=bt.Order.Limit, price=order.executed.price * (1 + self.p.step), size=self.p.stake)
            elif order.issell():
                self.sells += 1
        elif order.status in [order.Canceled, order.Margin, order.Rejected]:
            if order in self.ladder:
                self.ladder.remove(order)

    def next(self):
        if len(self) % self.p.refresh == 1:
            for order in list(self.ladder):
                self.cancel(order)
        if not self.ladder:
            price = self.data.close[0]
            level = 1
            while level <= self.p.levels:
                limit = price * (1 - level * self.p.step)
                self.ladder.append(self.buy(exectype=bt.Order.Limit, price=limit, size=self.p.stake))
                level += 1
