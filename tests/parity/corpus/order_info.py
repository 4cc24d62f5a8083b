import backtrader as bt


class OrderInfo(bt.Strategy):
    """Names its orders by keyword and by addinfo."""

    params = (('up', 1.015), ('down', 0.985))

    def __init__(self):
        self.reasons = dict(target=0, stop=0)
        self.working = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            if 'name' in order.info:
                if order.info.name == 'entry':
                    price = order.executed.price
                    target = self.sell(exectype=bt.Order.Limit, price=price * self.p.up, size=abs(order.executed.size))
                    target.addinfo(name='target')
                    stop = self.sell(exectype=bt.Order.Stop, price=price * self.p.down, size=abs(order.executed.size),
                                     oco=target, name='stop')
                    self.working = 2
                else:
                    self.reasons[order.info['name']] += 1
        if order.status in [order.Completed, order.Canceled] and order.issell():
            self.working -= 1

    def next(self):
        if not self.position and self.working == 0 and len(self) % 3 == 0:
            order = self.buy(size=16)
            order.addinfo(name='entry', bar=len(self))
            self.working = 1
