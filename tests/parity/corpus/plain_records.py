import backtrader as bt


class Leg:
    def __init__(self, strategy_bar, price, size):
        self.bar = strategy_bar
        self.price = price
        self.size = size
        self.order = None
        self.exit_order = None

    def gain(self, close):
        return (close - self.price) * self.size

    def waiting(self):
        return self.exit_order is not None and self.exit_order.alive()


class Ladder(Leg):
    """A leg that is given up sooner the later it came."""

    def __init__(self, strategy_bar, price, size, number):
        super().__init__(strategy_bar, price, size)
        self.number = number

    @property
    def patience(self):
        return 12 - 2 * self.number


class PlainRecords(bt.Strategy):
    params = (("most", 4), ("step", 0.01))

    def __init__(self):
        self.low = bt.ind.Lowest(self.data.low, period=6)
        self.legs = []
        self.best = None

    def next(self):
        close = self.data.close[0]
        self.legs = [leg for leg in self.legs if leg.exit_order is None or leg.waiting()]
        for leg in self.legs:
            if leg.exit_order is None and (
                leg.gain(close) > 3 * leg.size * self.p.step * close or len(self) - leg.bar > leg.patience
            ):
                leg.exit_order = self.sell(size=leg.size)
                if self.best is None or leg.gain(close) > self.best.gain(self.best.price):
                    self.best = leg
        lowest = min((leg.price for leg in self.legs), default=close * 2)
        if len(self.legs) < self.p.most and close <= self.low[0] * 1.02 and close < lowest * (1 - self.p.step):
            leg = Ladder(len(self), close, 10, len(self.legs))
            leg.order = self.buy(size=leg.size)
            self.legs.append(leg)
        if len(self) % 40 == 0 and self.legs:
            first = self.legs[0]
            self.legs.remove(first)
            self.close(size=first.size) if self.position.size >= first.size else None
