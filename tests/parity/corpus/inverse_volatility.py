import backtrader as bt


class InverseVolatility(bt.Strategy):
    """Weights by inverse volatility, rebalanced every some bars, sells before buys."""

    params = (('period', 10), ('every', 8), ('invest', 0.9))

    def __init__(self):
        self.vols = {d: bt.ind.StdDev(d.close, period=self.p.period) for d in self.datas}
        self.counter = 0

    def next(self):
        self.counter += 1
        if self.counter % self.p.every:
            return
        inverse = {d: d.close[0] / self.vols[d][0] for d in self.datas if self.vols[d][0] > 0}
        total = sum(inverse.values())
        if total == 0:
            return
        weights = {d: self.p.invest * w / total for d, w in inverse.items()}
        value = self.broker.getvalue()
        for d in self.datas:
            if self.broker.getvalue([d]) / value > weights.get(d, 0.0):
                self.order_target_percent(data=d, target=weights.get(d, 0.0))
        for d, w in weights.items():
            if self.broker.getvalue([d]) / value <= w:
                self.order_target_percent(data=d, target=w)
