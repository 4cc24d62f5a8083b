import backtrader as bt

STAKE = 12
COOLDOWN_BARS = 3


class LoggingMixin:
    printlog = False

    def log(self, txt, dt=None):
        if self.printlog:
            dt = dt or self.data.datetime.date(0)
            print('%s, %s' % (dt.isoformat(), txt))


class BaseStrategy(bt.Strategy):
    params = (('stake', STAKE),)

    def __init__(self):
        super().__init__()
        self.order = None
        self.last_exit = -COOLDOWN_BARS

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status == order.Completed and order.issell():
            self.last_exit = len(self)
        self.order = None

    def can_enter(self):
        return self.order is None and len(self) - self.last_exit >= COOLDOWN_BARS

    def should_buy(self):
        raise NotImplementedError

    def should_sell(self):
        raise NotImplementedError

    def next(self):
        if self.order:
            return
        if not self.position:
            if self.can_enter() and self.should_buy():
                self.order = self.buy(size=self.p.stake)
        elif self.should_sell():
            self.order = self.close()


class MovingAverageBase(BaseStrategy):
    params = (('period', 9),)
    threshold = 1.0

    def __init__(self):
        super().__init__()
        self.ma = bt.ind.SMA(self.data.close, period=self.p.period)

    def should_sell(self):
        return self.data.close[0] < self.ma[0]


class AboveAverage(LoggingMixin, MovingAverageBase):
    params = (('stake', 20),)
    threshold = 1.004

    def should_buy(self):
        self.log('asked')
        return self.data.close[0] > self.threshold * self.ma[0]
