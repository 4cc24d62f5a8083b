import backtrader as bt


class GapFade(bt.Strategy):
    """Fades opening gaps, with a stop and a target sent when the entry fills."""

    params = dict(gap=0.004, stop=0.012, target=0.01, stake=14)

    def __init__(self):
        self.gap = self.data.open / self.data.close(-1) - 1.0
        self.stop_order, self.target_order, self.entry_order = None, None, None

    def notify_order(self, order):
        if order.status != order.Completed:
            if self.entry_order is not None and order.ref == self.entry_order.ref and not order.alive():
                self.entry_order = None
            return
        if self.entry_order is not None and order.ref == self.entry_order.ref:
            self.entry_order = None
            price, sign = order.executed.price, 1 if order.isbuy() else -1
            leave = self.sell if order.isbuy() else self.buy
            self.stop_order = leave(exectype=bt.Order.Stop, price=price * (1 - sign * self.p.stop), size=self.p.stake)
            self.target_order = leave(
                exectype=bt.Order.Limit, price=price * (1 + sign * self.p.target), size=self.p.stake)
        elif self.stop_order is not None and order.ref == self.stop_order.ref:
            self.cancel(self.target_order)
            self.stop_order = self.target_order = None
        elif self.target_order is not None and order.ref == self.target_order.ref:
            self.cancel(self.stop_order)
            self.stop_order = self.target_order = None

    def next(self):
        if self.position or self.entry_order or self.stop_order:
            return
        if self.gap[0] < -self.p.gap:
            self.entry_order = self.buy(size=self.p.stake)
        elif self.gap[0] > self.p.gap:
            self.entry_order = self.sell(size=self.p.stake)
