import backtrader as bt


class TrailingByHand(bt.Strategy):
    params = (('period', 9), ('trail', 0.03), ('stake', 40))

    def __init__(self):
        self.ema = bt.ind.ExponentialMovingAverage(self.data.close, period=self.p.period)
        self.stop_price = None
        self.highest = 0.0
        self.trades_done = 0

    def next(self):
        close = self.data.close[0]

        if not self.position:
            self.stop_price = None
            if close > self.ema[0] and self.data.close[-1] <= self.ema[-1]:
                self.buy(size=self.p.stake)
                self.highest = close
                self.stop_price = close * (1 - self.p.trail)
            return

        if close > self.highest:
            self.highest = close
            self.stop_price = self.highest * (1 - self.p.trail)

        if self.stop_price is not None and close < self.stop_price:
            self.close()
            self.trades_done += 1

    def stop(self):
        print('trades: %d' % self.trades_done)
