import backtrader as bt


class Martingale(bt.Strategy):
    """Doubles after a loss, back to the base size after a win."""

    params = (('base', 5), ('factor', 2), ('limit', 80), ('hold', 3))

    def __init__(self):
        self.size = self.p.base
        self.entered = 0
        self.mom = self.data.close - self.data.close(-2)

    def notify_trade(self, trade):
        if not trade.isclosed:
            return
        if trade.pnlcomm < 0:
            self.size = min(self.size * self.p.factor, self.p.limit)
        else:
            self.size = self.p.base

    def next(self):
        if not self.position:
            if self.mom[0] > 0:
                self.buy(size=self.size)
                self.entered = len(self)
        elif len(self) - self.entered > self.p.hold:
            self.close()
