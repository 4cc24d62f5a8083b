import backtrader as bt


class ModeStrategy(bt.Strategy):
    params = (('mode', 'both'), ('ma_type', 'ema'), ('period', 8), ('exit_on', 'cross'), ('verbose', None))

    def __init__(self):
        if self.p.ma_type == 'sma':
            self.ma = bt.ind.SMA(self.data.close, period=self.p.period)
        elif self.p.ma_type == 'ema':
            self.ma = bt.ind.EMA(self.data.close, period=self.p.period)
        else:
            raise ValueError('unknown average %s' % self.p.ma_type)
        self.state = 'flat'
        self.size = getattr(self.p, 'size', 14)
        self.slack = getattr(self.p, 'slack', 0.002)

    def next(self):
        close = self.data.close[0]
        above = close > self.ma[0] * (1 + self.slack)
        below = close < self.ma[0] * (1 - self.slack)

        if self.state == 'flat':
            if above and self.p.mode in ('long', 'both'):
                self.buy(size=self.size)
                self.state = 'long'
            elif below and self.p.mode in ('short', 'both'):
                self.sell(size=self.size)
                self.state = 'short'
        elif self.state == 'long' and self.leave(below):
            self.close()
            self.state = 'flat'
        elif self.state == 'short' and self.leave(above):
            self.close()
            self.state = 'flat'

    def leave(self, crossed):
        if self.p.exit_on == 'cross':
            return crossed
        return abs(self.data.close[0] / self.position.price - 1) > 0.02
