import backtrader as bt


class Turning(bt.Indicator):
    """Above zero while the close stands over its average, below while under, zero near it."""

    lines = ('signal',)
    params = (('period', 7), ('band', 0.004))

    def __init__(self):
        mean = bt.ind.SMA(self.data, period=self.p.period)
        distance = self.data / mean - 1.0
        self.lines.signal = bt.If(bt.Cmp(distance, self.p.band) > 0, 1.0, bt.If(distance < -self.p.band, -1.0, 0.0))


class SignalClass(bt.SignalStrategy):
    params = (('exit_period', 3),)

    def __init__(self):
        entry = bt.Signal(Turning(self.data.close))
        exit_short = self.data.close - bt.ind.Highest(self.data.high(-1), period=self.p.exit_period)
        self.signal_add(bt.SIGNAL_LONGSHORT, entry)
        self.signal_add(bt.SIGNAL_SHORTEXIT, bt.Signal(exit_short))

    def notify_trade(self, trade):
        if trade.isclosed:
            print('%s: %.2f' % (self.data.datetime.date(0).isoformat(), trade.pnlcomm))
