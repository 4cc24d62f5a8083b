import backtrader as bt


class OpenOrdersLadder(bt.Strategy):
    """A ladder of limits, looked after through broker.get_orders_open() and what addinfo says of each."""

    params = (('rungs', 3), ('step', 0.006), ('patience', 6), ('units', 5))

    def __init__(self):
        self.ema = bt.ind.EMA(period=6)
        self.filled = {'rung': 0, 'exit': 0, 'stop': 0}
        self.gone = dict(rung=0, exit=0, stop=0)

    def notify_order(self, order):
        kind = order.info['kind']
        if order.status == order.Completed:
            self.filled[kind] += 1
            if kind == 'rung':
                price = order.executed.price
                first = self.sell(exectype=bt.Order.Limit, price=price * 1.011, size=order.executed.size)
                first.addinfo(kind='exit')
                first.addinfo(made=len(self), price=price)
                second = self.sell(exectype=bt.Order.Stop, price=price * 0.975, size=order.executed.size, oco=first)
                second.addinfo(kind='stop', made=len(self))
        elif order.status in [order.Canceled, order.Expired, order.Margin]:
            self.gone[kind] += 1

    def next(self):
        waiting = self.broker.get_orders_open()
        if len(waiting) >= self.p.rungs:
            buys = [o for o in waiting if o.isbuy()]
            if buys and len(self) % self.p.patience == 0:
                self.broker.cancel(buys[0])
            return
        for order in waiting:
            if order.created.price > self.data.close[0] * 1.05 and order.alive():
                self.cancel(order)
        if self.data.close[0] > self.ema[0] and self.filled['rung'] - self.filled['exit'] - self.filled['stop'] < 6:
            for rung in range(self.p.rungs):
                order = self.buy(exectype=bt.Order.Limit, size=self.p.units, kind='rung',
                                 price=self.data.close[0] * (1 - self.p.step * (rung + 1)))
                order.addinfo(rung=rung)
        elif not waiting and self.gone['exit'] > self.filled['exit'] and self.position:
            self.close(kind='stop')
