import backtrader as bt


class VastPositions(bt.Strategy):
    """A token worth next to nothing: positions beyond 2 ** 53 units, which Python counts and floats do not."""

    params = dict(units=3002399751580331, most=5)

    def next(self):
        step = len(self) % 20
        if step < self.p.most:
            self.sell(size=self.p.units + step)
        elif 10 <= step < 10 + self.p.most:
            self.buy(size=self.p.units + step * step)
        elif step == 17:
            self.close()
