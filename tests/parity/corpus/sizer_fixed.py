import backtrader as bt


class FixedSizeCross(bt.Strategy):
    params = (('pfast', 4), ('pslow', 12), ('stake', 33))

    def __init__(self):
        self.setsizer(bt.sizers.FixedSize(stake=self.p.stake))
        sma1 = bt.ind.SMA(period=self.p.pfast)
        sma2 = bt.ind.SMA(period=self.p.pslow)
        self.crossover = bt.ind.CrossOver(sma1, sma2)

    def next(self):
        if not self.position:
            if self.crossover > 0:
                self.buy()
        elif self.crossover < 0:
            self.close()
