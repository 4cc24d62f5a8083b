import backtrader as bt


class Channel(bt.Indicator):
    """Average of the typical price with bands of the true range."""

    lines = ('mid', 'top', 'bot', 'position')
    params = dict(period=9, mult=1.0)

    def __init__(self):
        typical = (self.data.high + self.data.low + self.data.close) / 3.0
        self.l.mid = mid = bt.ind.EMA(typical, period=self.p.period)
        band = self.p.mult * bt.ind.ATR(self.data, period=self.p.period)
        self.l.top = mid + band
        self.l.bot = mid - band
        self.l.position = (self.data.close - self.l.bot) / (self.l.top - self.l.bot)


class KeltnerStyle(bt.Strategy):
    params = (('period', 9), ('mult', 1.1))

    def __init__(self):
        self.channel = Channel(self.data, period=self.p.period, mult=self.p.mult)
        self.order = None

    def notify_order(self, order):
        if order.status not in [order.Submitted, order.Accepted]:
            self.order = None

    def next(self):
        if self.order:
            return
        where = self.channel.position[0]
        if not self.position and where > 1.0:
            self.order = self.buy(size=10)
        elif self.position and self.data.close[0] < self.channel.lines.mid[0]:
            self.order = self.sell(size=10)
