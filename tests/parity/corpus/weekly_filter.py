import backtrader as bt


class WeeklyFilter(bt.Strategy):
    """Daily entries in the direction of the weekly average."""

    params = (('weekly', 4), ('daily', 5), ('stake', 18))

    def __init__(self):
        self.weekly_sma = bt.ind.SMA(self.data1.close, period=self.p.weekly)
        self.daily_sma = bt.ind.SMA(self.data0.close, period=self.p.daily)

    def next(self):
        weekly_up = self.data1.close[0] >= self.weekly_sma[0]
        if weekly_up and self.data0.close[0] > self.daily_sma[0] and not self.getposition(self.data0).size:
            self.buy(data=self.data0, size=self.p.stake)
        elif self.getposition(self.data0).size and self.data0.close[0] < self.daily_sma[0]:
            self.close(data=self.data0)
