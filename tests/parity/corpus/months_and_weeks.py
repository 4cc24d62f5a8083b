import backtrader as bt


class MonthsAndWeeks(bt.Strategy):
    '''Daily orders; weeks say the direction, months how much.'''

    params = dict(week_period=3, stake=5, pullback=0.01)

    def __init__(self):
        self.week, self.month = self.datas[1], self.datas[2]
        self.macd = bt.ind.MACDHisto(self.data, period_me1=4, period_me2=9, period_signal=3)
        self.mean = {d: bt.ind.EMA(d, period=self.p.week_period) for d in (self.data, self.week)}
        self.seen_months = 0
        self.order = None

    def log(self, text):
        print(f'{self.data.datetime.date(0).isoformat()}, {text}')

    def notify_order(self, order):
        if order.status in [order.Completed, order.Canceled, order.Margin, order.Expired]:
            self.order = None

    def prenext(self):
        if len(self.month) == 1 and not self.position:
            self.buy(size=1)

    def next(self):
        if len(self.month) > self.seen_months:
            self.seen_months = len(self.month)
            self.log(f'{self.seen_months} months, close {self.month.close[0]:.2f}')
            if self.order:
                self.cancel(self.order)
                return
        if self.order:
            return
        up = self.week.close[0] > self.mean[self.week][0]
        units = self.p.stake * (2 if self.month.close[0] > self.month.open[0] else 1)
        size = self.getposition(self.data0).size
        if up and size < 4 * units and self.macd.histo[0] > self.macd.histo[-1]:
            self.order = self.buy(exectype=bt.Order.Limit, size=units,
                                  price=self.data.close[0] * (1 - self.p.pullback))
        elif not up and size > 0 and self.data.close[0] < self.week.low[0]:
            self.order = self.close()
        elif not up and size == 0 and self.data.high[0] >= self.week.high[-1]:
            self.order = self.order_target_percent(target=-0.1)
