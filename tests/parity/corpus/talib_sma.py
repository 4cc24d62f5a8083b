import backtrader as bt


class TalibCross(bt.Strategy):
    params = (('fast', 4), ('slow', 12))

    def __init__(self):
        self.fast = bt.talib.SMA(self.data.close, timeperiod=self.p.fast)
        self.slow = bt.talib.EMA(self.data.close, timeperiod=self.p.slow)
        self.rsi = bt.talib.RSI(self.data.close, timeperiod=7)

    def next(self):
        if not self.position and self.fast[0] > self.slow[0] and self.rsi[0] < 80:
            self.buy(size=13)
        elif self.position and self.fast[0] < self.slow[0]:
            self.close()
