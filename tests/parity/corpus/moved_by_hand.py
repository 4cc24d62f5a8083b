import bisect

import backtrader as bt


def pull(orders, close, share):
    '''Moves limits that wait part of the way to the close.'''
    for order in orders:
        order.created.price += (close - order.created.price) * share


class MovedByHand(bt.Strategy):
    '''Many orders that wait, for several datas; their prices and ends are changed on the orders themselves.'''

    params = dict(away=0.03, rungs=4, share=0.25, most=24)

    def __init__(self):
        self.fills = []
        self.gone = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            bisect.insort(self.fills, (order.ref, order.executed.price))
        elif order.status in (order.Canceled, order.Expired):
            self.gone += 1

    def next(self):
        waiting = self.broker.get_orders_open(safe=False)
        if len(self) % 6 == 0 and len(waiting) < self.p.most:
            for d in self.datas:
                for rung in range(1, self.p.rungs + 1):
                    self.buy(data=d, size=rung, price=d.close[0] * (1 - self.p.away * rung), exectype=bt.Order.Limit)
                    self.sell(data=d, size=rung, price=d.close[0] * (1 + self.p.away * rung), exectype=bt.Order.Limit,
                              valid=d.datetime[0] + 30)
        elif len(self) % 6 == 3:
            for d in self.datas:
                pull([o for o in waiting if o.data is d and o.isbuy()], d.close[0], self.p.share)
        elif len(self) % 6 == 5:
            for order in waiting[::5]:
                order.valid = self.data.datetime[0] + 1
