import backtrader as bt


class BollingerZ(bt.Strategy):
    """z-score from a mean and a deviation line; bands by arithmetic on lines."""

    params = (('period', 12), ('entry', 1.2), ('exit', 0.2))

    def __init__(self):
        sma = bt.ind.SMA(self.data, period=self.p.period)
        std = bt.ind.StdDev(self.data, period=self.p.period)
        self.upper = sma + self.p.entry * std
        self.lower = sma - 2 * std
        self.mid = sma
        self.below = self.data.close < sma - self.p.entry * std
        self.back = self.data.close > sma - self.p.exit * std

    def next(self):
        if not self.position.size and self.below[0]:
            self.buy(size=int(self.broker.getcash() * 0.5 / self.data.close[0]))
        elif self.position.size > 0 and self.back[0]:
            self.close()
        elif self.position.size > 0 and self.data.low[0] < self.lower[0]:
            self.log_event('deep')

    def log_event(self, what):
        print('%s: %s at %.3f' % (self.data.datetime.date(0).isoformat(), what, self.data.close[0]))
