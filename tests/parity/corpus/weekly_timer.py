import backtrader as bt


class WeeklyTimer(bt.Strategy):
    params = (('weekdays', [1]), ('stake', 6))

    def __init__(self):
        self.add_timer(when=bt.timer.SESSION_START, weekdays=self.p.weekdays, weekcarry=True)
        self.sma = bt.ind.SMA(period=10)

    def notify_timer(self, timer, when, *args, **kwargs):
        if self.data.close[0] > self.sma[0]:
            self.buy(size=self.p.stake)
        elif self.position.size > 0:
            self.close()

    def next(self):
        if self.position.size > 30:
            self.order_target_size(target=15)
