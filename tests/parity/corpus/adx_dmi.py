import backtrader as bt


class AdxDmi(bt.Strategy):
    params = (('period', 6), ('threshold', 18))

    def __init__(self):
        self.dmi = bt.ind.DirectionalMovementIndex(self.data, period=self.p.period)
        self.psar = bt.ind.ParabolicSAR(self.data)

    def next(self):
        strong = self.dmi.adx[0] > self.p.threshold
        plus, minus = self.dmi.plusDI[0], self.dmi.minusDI[0]
        size = self.position.size
        if strong and plus > minus and size <= 0:
            self.buy(size=10 + abs(size))
        elif strong and plus < minus and size >= 0:
            self.sell(size=10 + abs(size))
        elif size > 0 and self.data.close[0] < self.psar[0]:
            self.close()
        elif size < 0 and self.data.close[0] > self.psar[0]:
            self.close()
