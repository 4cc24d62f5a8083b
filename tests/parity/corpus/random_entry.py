import random

import backtrader as bt


class RandomEntry(bt.Strategy):
    """A coin with a seed decides; a trailing stop leaves."""

    params = (('seed', 7), ('trail', 0.02))

    def __init__(self):
        self.coin = random.Random(self.p.seed)

    def notify_order(self, order):
        if order.status == order.Completed and order.exectype == bt.Order.Market:
            leave = self.sell if order.isbuy() else self.buy
            leave(size=8, exectype=bt.Order.StopTrail, trailpercent=self.p.trail)

    def next(self):
        if self.position:
            return
        if self.coin.random() < 0.3:
            if self.coin.choice(['long', 'short']) == 'long':
                self.buy(size=8)
            else:
                self.sell(size=8)
