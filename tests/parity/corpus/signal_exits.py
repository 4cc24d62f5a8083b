import backtrader as bt


class CloseOverMean(bt.Indicator):
    lines = ('signal',)
    params = (('period', 9),)

    def __init__(self):
        self.lines.signal = self.data - bt.indicators.SMA(self.data, period=self.p.period)


class SignalExits(bt.SignalStrategy):
    params = (('stake', 17), ('_accumulate', False))

    def __init__(self):
        self.setsizer(bt.sizers.FixedSize(stake=self.p.stake))
        self.signal_add(bt.SIGNAL_LONGSHORT, CloseOverMean(self.data, period=9))
        self.signal_add(bt.SIGNAL_LONGEXIT, -1.0 * (bt.ind.RSI_EMA(period=5, safediv=True) > 80.0))
