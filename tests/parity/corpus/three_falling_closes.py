import backtrader as bt


class ThreeFalling(bt.Strategy):
    """Buy after falling closes in a row, leave after some bars."""

    params = (('exitbars', 5),)

    def log(self, txt, dt=None):
        dt = dt or self.datas[0].datetime.date(0)
        print(f'{dt.isoformat()}, {txt}')

    def __init__(self):
        self.dataclose = self.datas[0].close
        self.order = None

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status == order.Completed:
            side = 'BUY' if order.isbuy() else 'SELL'
            self.log(f'{side} EXECUTED, {order.executed.price:.2f}')
            self.bar_executed = len(self)
        self.order = None

    def next(self):
        if self.order:
            return

        if not self.position:
            if self.dataclose[0] < self.dataclose[-1]:
                if self.dataclose[-1] < self.dataclose[-2]:
                    self.log('BUY CREATE, %.2f' % self.dataclose[0])
                    self.order = self.buy()
        elif len(self) >= (self.bar_executed + self.params.exitbars):
            self.order = self.sell()
