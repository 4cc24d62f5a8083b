import backtrader as bt


class TypeChecks(bt.Strategy):
    """A param may be a number or a fraction of the account; hasattr guards the first bar."""

    params = (('stake', 0.25), ('ma', 7))

    def __init__(self):
        self.ma = bt.ind.SMA(self.datas[0].close, period=self.p.ma) if isinstance(self.p.ma, int) else self.p.ma

    def size_for(self, price):
        if isinstance(self.p.stake, float):
            return int(self.p.stake * self.broker.get_value() / price)
        return self.p.stake

    def next(self):
        if not hasattr(self, 'extreme'):
            self.extreme = self.data.close[0]
        self.extreme = self.data.close[0] if self.data.close[0] > self.extreme else self.extreme * 0.999
        if self.position.size == 0 and self.data.close[0] > self.ma[0]:
            assert self.size_for(self.data.close[0]) > 0
            self.buy(size=self.size_for(self.data.close[0]))
        elif self.position.size != 0 and self.data.close[0] < 0.985 * self.extreme:
            self.close()
            self.extreme = self.data.close[0]
