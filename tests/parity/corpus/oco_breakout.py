import datetime

import backtrader as bt


class OcoBreakout(bt.Strategy):
    """A stop above, a stop below, one cancels other; then a target and a stop against each other."""

    params = (('span', 5), ('stake', 10), ('days', 6))

    def __init__(self):
        self.hi = bt.ind.Highest(self.data.high, period=self.p.span)
        self.lo = bt.ind.Lowest(self.data.low, period=self.p.span)
        self.entry = None
        self.exit = None

    def next(self):
        if self.position.size == 0:
            if self.entry is None or not self.entry.alive():
                valid = datetime.timedelta(days=self.p.days)
                self.entry = self.buy(exectype=bt.Order.Stop, price=self.hi[0], size=self.p.stake, valid=valid)
                self.sell(exectype=bt.Order.Stop, price=self.lo[0], size=self.p.stake, valid=valid, oco=self.entry)
            self.exit = None
        elif self.exit is None:
            width = self.hi[0] - self.lo[0]
            price = self.position.price
            if self.position.size > 0:
                self.exit = self.sell(exectype=bt.Order.Limit, price=price + width, size=self.p.stake)
                self.sell(exectype=bt.Order.Stop, price=price - 0.7 * width, size=self.p.stake, oco=self.exit)
            else:
                self.exit = self.buy(exectype=bt.Order.Limit, price=price - width, size=self.p.stake)
                self.buy(exectype=bt.Order.Stop, price=price + 0.7 * width, size=self.p.stake, oco=self.exit)
