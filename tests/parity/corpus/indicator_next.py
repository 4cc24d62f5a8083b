import backtrader as bt


class DecayedMean(bt.Indicator):
    lines = ('mean',)
    params = (('alpha', 0.25),)

    def __init__(self):
        self.addminperiod(4)

    def nextstart(self):
        self.lines.mean[0] = sum(self.data.get(size=4)) / 4.0

    def next(self):
        self.lines.mean[0] = self.lines.mean[-1] + self.p.alpha * (self.data[0] - self.lines.mean[-1])


class OwnIndicatorNext(bt.Strategy):
    params = (('alpha', 0.2),)

    def __init__(self):
        self.decayed = DecayedMean(self.data.close, alpha=self.p.alpha)

    def next(self):
        if self.data.close[0] > self.decayed.mean[0] and self.position.size <= 0:
            self.order_target_size(target=11)
        elif self.data.close[0] < self.decayed[0] * 0.995 and self.position.size >= 0:
            self.order_target_size(target=-6)
