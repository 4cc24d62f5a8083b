import backtrader as bt


class CrowdedBook(bt.Strategy):
    '''Many orders of every kind that wait, for several datas: most bars touch none of them.'''

    params = dict(step=0.012, rungs=3, most=30)

    def __init__(self):
        self.counts = {}
        self.resting = []

    def notify_order(self, order):
        name = order.getstatusname()
        self.counts[name] = self.counts.get(name, 0) + 1

    def rungs(self, d, kind, **kwargs):
        close = d.close[0]
        for rung in range(1, self.p.rungs + 1):
            reach = self.p.step * rung
            below, above = close * (1 - reach), close * (1 + reach)
            if kind == bt.Order.StopLimit:
                self.resting.append(self.buy(data=d, price=above, plimit=above * 1.002, exectype=kind, **kwargs))
            else:
                up, down = (below, above) if kind == bt.Order.Limit else (above, below)
                self.resting.append(self.buy(data=d, price=up, exectype=kind, **kwargs))
                self.resting.append(self.sell(data=d, price=down, exectype=kind, **kwargs))

    def next(self):
        bar = len(self)
        room = len(self.broker.pending) < self.p.most
        for d in self.datas:
            if bar % 9 == 0 and room:
                self.rungs(d, bt.Order.Limit, valid=d.datetime[0] + 25)
            elif bar % 9 == 2 and room:
                self.rungs(d, bt.Order.Stop)
            elif bar % 9 == 4 and room:
                self.rungs(d, bt.Order.StopLimit, size=2)
            elif bar % 9 == 6:
                self.buy_bracket(data=d, size=2, price=d.close[0] * 0.97, limitprice=d.close[0] * 1.02,
                                 stopprice=d.close[0] * 0.95)
            elif bar % 36 == 7:
                self.sell(data=d, size=3, exectype=bt.Order.StopTrail, trailamount=d.close[0] * 0.05)
        if bar % 11 == 5:
            for order in self.resting[::7]:
                self.cancel(order)
