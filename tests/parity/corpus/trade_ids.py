import itertools

import backtrader as bt


class TradeIds(bt.Strategy):
    params = dict(period=6, stake=4)

    def __init__(self):
        self.order = None
        sma = bt.ind.SMA(self.data, period=self.p.period)
        self.signal = bt.ind.CrossOver(self.data.close, sma)
        self.tradeid = itertools.cycle([0, 1, 2])
        self.curtradeid = 0

    def notify_order(self, order):
        if order.status == bt.Order.Completed:
            print('%s executed, trade %d' % ('BUY' if order.isbuy() else 'SELL', order.tradeid))
        self.order = None

    def next(self):
        if self.order:
            return
        if self.signal > 0.0:
            if self.position:
                self.close(tradeid=self.curtradeid)
            self.curtradeid = next(self.tradeid)
            self.buy(size=self.p.stake, tradeid=self.curtradeid)
        elif self.signal < 0.0:
            if self.position:
                self.close(tradeid=self.curtradeid)
            self.curtradeid = next(self.tradeid)
            self.sell(size=self.p.stake, tradeid=self.curtradeid)
