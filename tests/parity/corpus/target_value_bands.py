import backtrader as bt


class TargetValueBands(bt.Strategy):
    params = (('period', 10), ('value', 20000.0))

    def __init__(self):
        self.mean = bt.ind.WMA(self.data.close, period=self.p.period)
        self.ratio = self.data.close / self.mean

    def next(self):
        r = self.ratio[0]
        if r < 0.98:
            target = 1.5 * self.p.value
        elif 0.98 <= r < 1.0:
            target = self.p.value
        elif 1.0 <= r < 1.02:
            target = 0.5 * self.p.value
        else:
            target = 0.0
        held = self.position.size * self.data.close[0]
        if abs(held - target) > 0.2 * self.p.value:
            self.order_target_value(target=target)
