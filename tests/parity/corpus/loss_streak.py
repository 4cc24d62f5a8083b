import backtrader as bt


class LossStreak(bt.Strategy):
    """Pauses after losses in a row and counts what it made."""

    params = (('period', 6), ('max_losses', 2), ('pause', 8))

    def __init__(self):
        self.sma = bt.ind.SMA(self.data.close, period=self.p.period)
        self.losses = 0
        self.wins = 0
        self.total_pnl = 0.0
        self.pause_until = 0

    def notify_trade(self, trade):
        if trade.justopened:
            return
        if trade.isclosed:
            self.total_pnl += trade.pnlcomm
            if trade.pnl <= 0:
                self.losses += 1
            else:
                self.wins += 1
                self.losses = 0
            if self.losses >= self.p.max_losses:
                self.pause_until = len(self) + self.p.pause
                self.losses = 0

    def next(self):
        if len(self) < self.pause_until:
            return
        if self.data.close[0] > self.sma[0] and not self.position:
            self.buy(size=16)
        elif self.data.close[0] < self.sma[0] and self.position:
            self.sell(size=16)

    def stop(self):
        print('wins %d, pnl %.2f' % (self.wins, self.total_pnl))
