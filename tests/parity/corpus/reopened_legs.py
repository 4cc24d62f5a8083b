import backtrader as bt


class ReopenedLegs(bt.Strategy):
    """A leg whose trade has ended and which sells again out of what other legs hold: its trade is taken up again."""

    params = dict(core=9, leg=2)

    def next(self):
        step = len(self) % 12
        if step == 1:
            self.buy(size=self.p.core)
        elif step in (3, 7):
            self.sell(size=self.p.leg, tradeid=2)
        elif step == 5:
            self.buy(size=self.p.leg, tradeid=2)
        elif step == 10:
            self.close()
