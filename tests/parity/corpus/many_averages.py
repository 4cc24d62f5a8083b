import backtrader as bt


class ManyAverages(bt.Strategy):
    """A vote of averages of every kind."""

    params = (('period', 6), ('size', 3))

    def __init__(self):
        kinds = [bt.ind.SMA, bt.ind.EMA, bt.ind.WMA, bt.ind.HMA, bt.ind.DEMA, bt.ind.TEMA, bt.ind.KAMA, bt.ind.ZLEMA]
        self.averages = [kind(self.data.close, period=self.p.period) for kind in kinds]

    def next(self):
        votes = sum(1 for average in self.averages if self.data.close[0] > average[0])
        target = (votes - len(self.averages) // 2) * self.p.size
        if target != self.position.size:
            self.order_target_size(target=target)
