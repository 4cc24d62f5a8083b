import backtrader as bt


class OpeningGaps(bt.Strategy):
    '''Buys gaps down at the open it is shown, for every data; leaves in next.'''

    params = (('gap', 0.004), ('period', 5), ('stake', 9), ('warm_up', True))

    def __init__(self):
        self.atr = {d: bt.ind.ATR(d, period=self.p.period) for d in self.datas}
        self.opened = dict.fromkeys(self.datas, 0)
        self.fills = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills += 1

    def prenext_open(self):
        if self.p.warm_up and len(self) == 2:
            self.buy(data=self.data0, size=1, exectype=bt.Order.Limit, price=self.data0.open[0])

    def nextstart_open(self):
        self.sell(data=self.data0, size=2)

    def next_open(self):
        for d in self.datas:
            gap = d.close[-1] - d.open[0]
            if gap > self.p.gap * d.close[-1] and self.getposition(d).size <= 0:
                self.buy(data=d, size=self.p.stake)
                self.opened[d] = len(self)
            elif gap < -self.atr[d][0] and self.getposition(d).size > 0:
                self.close(data=d)
            elif self.broker.getvalue() < 99000 and len(self.atr[d]) % 7 == 0:
                self.order_target_size(data=d, target=1)

    def next(self):
        for d in self.datas:
            held = self.getposition(d).size
            if held and len(self) - self.opened[d] > 4 and d.close[0] > d.open[0]:
                self.close(data=d)
            elif not held and self.fills % 5 == 1:
                self.buy(data=d, exectype=bt.Order.Stop, price=d.high[0], size=3)
