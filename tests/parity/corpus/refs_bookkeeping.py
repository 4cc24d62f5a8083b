from collections import defaultdict

import backtrader as bt


class RefsBookkeeping(bt.Strategy):
    """What each order was for, kept by its ref."""

    def __init__(self):
        self.purpose = {}
        self.fills = defaultdict(int)
        self.pending = set()

    def notify_order(self, order):
        if order.ref not in self.purpose:
            return
        if order.status == order.Completed:
            self.fills[self.purpose[order.ref]] += 1
        if not order.alive():
            self.pending.discard(order.ref)
            purpose = self.purpose.pop(order.ref)
            if purpose == 'entry' and order.status == order.Completed:
                self.send(self.sell(exectype=bt.Order.Limit, price=order.executed.price * 1.012, size=9), 'target')

    def send(self, order, purpose):
        self.purpose[order.ref] = purpose
        self.pending.add(order.ref)
        return order

    def next(self):
        if self.pending or self.position:
            return
        if self.data.close[0] < self.data.close[-1]:
            self.send(self.buy(size=9), 'entry')
        elif self.data.close[0] > self.data.open[0]:
            self.send(self.buy(size=9, exectype=bt.Order.Limit, price=self.data.low[0]), 'entry')
