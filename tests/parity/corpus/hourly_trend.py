import backtrader as bt


class HourlyTrend(bt.Strategy):
    params = (('fast', 3), ('slow', 6), ('stop', 0.004), ('target', 0.006), ('last_hour', 15))

    def __init__(self):
        self.hourly = bt.ind.EMA(self.data1.close, period=self.p.fast)
        self.quarters = bt.ind.CrossOver(bt.ind.EMA(self.data0, period=self.p.fast),
                                         bt.ind.SMA(self.data0, period=self.p.slow))
        self.hours = 0
        self.trades_this_hour = 0

    def next(self):
        if len(self.data1) != self.hours:
            self.hours = len(self.data1)
            self.trades_this_hour = 0

        if self.data.datetime.time(0).hour >= self.p.last_hour:
            if self.position:
                self.close()
            return

        if self.position or self.trades_this_hour:
            return
        trend = self.hourly[0] - self.hourly[-1]
        price = self.data0.close[0]
        if trend > 0 and self.quarters > 0:
            self.buy_bracket(size=20, exectype=bt.Order.Market,
                             stopprice=price * (1 - self.p.stop), limitprice=price * (1 + self.p.target))
            self.trades_this_hour += 1
        elif trend < 0 and self.quarters < 0:
            self.sell(size=20, exectype=bt.Order.StopTrail, trailpercent=self.p.stop)
            self.trades_this_hour += 1
