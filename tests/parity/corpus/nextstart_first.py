import backtrader as bt


class FirstPosition(bt.Strategy):
    """Buys the first half at its first bar, trades the rest around a mean."""

    def __init__(self):
        self.mean = bt.ind.SmoothedMovingAverage(self.data.close, period=7)
        self.first_close = None

    def start(self):
        print('starting with %.2f' % self.broker.getcash())

    def nextstart(self):
        self.first_close = self.data.close[0]
        self.buy(size=int(self.broker.getcash() * 0.4 / self.data.close[0]))
        self.next()

    def next(self):
        extra = self.position.size % 100
        if self.data.close[0] < 0.99 * self.mean[0]:
            self.buy(size=9)
        elif self.data.close[0] > 1.01 * self.mean[0] and self.position.size > 9:
            self.sell(size=9)

    def stop(self):
        change = self.data.close[0] / self.first_close - 1
        print('Strategy stopped, %.2f%%' % (100 * change))
