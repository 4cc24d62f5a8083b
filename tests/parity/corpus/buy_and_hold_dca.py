import backtrader as bt


class DollarCostAveraging(bt.Strategy):
    """The same money every month, more when the price is under its average."""

    params = (('monthly', 4000.0),)

    def __init__(self):
        self.sma = bt.ind.SMA(self.data.close, period=5)
        self.month = 0
        self.invested = 0.0

    def next(self):
        dt = self.data.datetime.date(0)
        if dt.month != self.month:
            self.month = dt.month
            money = self.p.monthly * (2 if self.data.close[0] < self.sma[0] else 1)
            size = int(money / self.data.close[0])
            if size > 0 and self.broker.getcash() > money:
                self.buy(size=size)
                self.invested += money
        elif dt.day >= 25 and self.position.size and self.data.close[0] > 1.05 * self.position.price:
            self.sell(size=max(1, self.position.size // 4))

    def stop(self):
        print('invested {:,.2f}, worth {:,.2f}'.format(self.invested, self.broker.getvalue()))
