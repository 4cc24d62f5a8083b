import backtrader as bt


class CandlePatterns(bt.Strategy):
    def __init__(self):
        self.body = self.data.close - self.data.open
        self.span = self.data.high - self.data.low
        self.prev_close = self.data.close(-1)
        self.bought_at = None

    def is_engulfing(self):
        return (self.data.close[-1] < self.data.open[-1]
                and self.data.close[0] > self.data.open[0]
                and self.data.close[0] >= self.data.open[-1]
                and self.data.open[0] <= self.data.close[-1])

    def is_hammer(self):
        if self.span[0] == 0:
            return False
        lower = min(self.data.open[0], self.data.close[0]) - self.data.low[0]
        return lower / self.span[0] > 0.5 and abs(self.body[0]) / self.span[0] < 0.4

    def next(self):
        if self.position.size == 0:
            if self.is_engulfing() or self.is_hammer():
                self.buy(size=23)
                self.bought_at = len(self)
        else:
            gain = self.data.close[0] / self.position.price - 1.0
            if not -0.02 < gain < 0.025 or len(self) > self.bought_at + 8:
                self.close()
