import backtrader as bt


class PercentSized(bt.Strategy):
    params = (('period', 6), ('percents', 30))

    def __init__(self):
        self.sizer = bt.sizers.PercentSizer(percents=self.p.percents)
        self.rsi = bt.ind.RSI_Safe(self.data, period=self.p.period)

    def next(self):
        if self.rsi < 40 and self.position.size <= 0:
            self.buy()
        elif self.rsi > 60 and self.position.size >= 0:
            self.sell()
