import backtrader as bt


class Leg:
    def __init__(self, size, target):
        self.size, self.target = size, target
        self.order = None
        self.bars = 0

    @property
    def done(self):
        return self.bars > 6


class StateObjects(bt.Strategy):
    """Keeps objects of its own class in a list."""

    def __init__(self):
        self.legs = []

    def next(self):
        for leg in self.legs:
            leg.bars += 1
        for leg in [x for x in self.legs if x.done or self.data.close[0] > x.target]:
            self.sell(size=leg.size)
            self.legs.remove(leg)
        if len(self.legs) < 3 and self.data.close[0] < self.data.open[0]:
            leg = Leg(5 + len(self.legs), self.data.close[0] * 1.01)
            leg.order = self.buy(size=leg.size)
            self.legs.append(leg)
