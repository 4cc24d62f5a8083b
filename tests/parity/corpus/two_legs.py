import backtrader as bt


class TwoLegs(bt.Strategy):
    """A fast and a slow leg on one data, told apart by trade id numbers."""

    def __init__(self):
        self.fast = bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=4))
        self.slow = bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=12))
        self.open_fast = False
        self.open_slow = False
        self.fast_pnl = 0.0

    def notify_trade(self, trade):
        if trade.isclosed and trade.tradeid == 1:
            self.fast_pnl += trade.pnl

    def next(self):
        if self.fast > 0 and not self.open_fast:
            self.buy(size=7, tradeid=1)
            self.open_fast = True
        elif self.fast < 0 and self.open_fast:
            self.sell(size=7, tradeid=1)
            self.open_fast = False
        if self.slow > 0 and not self.open_slow:
            self.buy(size=11 if self.fast_pnl >= 0 else 6, tradeid=2)
            self.open_slow = True
        elif self.slow < 0 and self.open_slow:
            self.order_target_size(target=7 if self.open_fast else 0, tradeid=2)
            self.open_slow = False
