import backtrader as bt


class LongOnly(bt.Sizer):
    params = (('stake', 21), ('reverse', False))

    def _getsizing(self, comminfo, cash, data, isbuy):
        if isbuy:
            affordable = int(cash * 0.2 / data.close[0])
            return min(self.p.stake, affordable)

        # Sell situation
        position = self.broker.getposition(data)
        if not position.size:
            return 0  # do not sell if nothing is open

        return position.size


class OwnSizer(bt.Strategy):
    params = (('period', 8),)

    def __init__(self):
        self.sizer = LongOnly()
        sma = bt.ind.SMA(self.data, period=self.p.period)
        self.crossover = bt.ind.CrossOver(self.data, sma)

    def next(self):
        if self.crossover > 0:
            self.buy()
        elif self.crossover < 0:
            self.sell()
