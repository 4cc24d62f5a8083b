import math

import backtrader as bt


class LogReturn(bt.Indicator):
    lines = ('ret',)
    params = (('period', 3),)

    def __init__(self):
        self.addminperiod(self.p.period + 1)

    def next(self):
        self.lines.ret[0] = math.log(self.data[0] / self.data[-self.p.period])

    def once(self, start, end):
        src = self.data.array
        dst = self.lines.ret.array
        period = self.p.period
        for i in range(start, end):
            dst[i] = math.log(src[i] / src[i - period])


class OwnIndicatorOnce(bt.Strategy):
    def __init__(self):
        self.ret = LogReturn(self.data, period=3)
        self.vol = bt.ind.StdDev(self.ret, period=8)

    def next(self):
        if self.vol[0] == 0.0:
            return
        score = self.ret[0] / self.vol[0]
        if score > 1.0 and self.position.size == 0:
            self.buy(size=19)
        elif score < -0.5 and self.position.size > 0:
            self.close()
