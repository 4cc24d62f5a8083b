import backtrader as bt


class TryExcept(bt.Strategy):
    """Divides by the volume, which may be nothing."""

    def __init__(self):
        self.average = bt.ind.SMA(self.data.volume, period=5)
        self.skipped = 0

    def next(self):
        try:
            surge = self.average[0] / self.data.volume[0]
        except ZeroDivisionError:
            self.skipped += 1
            return
        if surge < 0.9 and not self.position:
            self.buy(size=20)
        elif surge > 1.1 and self.position:
            self.close()
