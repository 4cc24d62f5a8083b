import datetime

import backtrader as bt


class MinuteScalper(bt.Strategy):
    params = (('fast', 3), ('slow', 8), ('start_hour', 10), ('end_hour', 15), ('max_trades', 4))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.EMA(period=self.p.fast), bt.ind.EMA(period=self.p.slow))
        self.trades_today = 0
        self.today = datetime.date(2000, 1, 1)

    def in_session(self, dt):
        return self.p.start_hour <= dt.hour < self.p.end_hour

    def next(self):
        dt = self.data.datetime.datetime(0)
        if dt.date() != self.today:
            self.today = dt.date()
            self.trades_today = 0

        if not self.in_session(dt):
            if self.position:
                self.close()
            return

        if not self.position and self.trades_today < self.p.max_trades:
            if self.cross > 0:
                self.buy_bracket(size=10, limitprice=self.data.close[0] * 1.004,
                                 stopprice=self.data.close[0] * 0.996, exectype=bt.Order.Market)
                self.trades_today += 1
