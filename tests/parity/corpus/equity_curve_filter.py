import backtrader as bt


class EquityCurveFilter(bt.Strategy):
    """Trades small while its own equity is under the average of its last values."""

    params = dict(window=10, full=40, small=10, period=5)

    def __init__(self):
        self.equity = []
        self.sma = bt.ind.SMA(period=self.p.period)
        self.above = self.data.close > self.sma

    def next(self):
        value = self.broker.getvalue()
        self.equity.append(value)
        recent = self.equity[-self.p.window:]
        healthy = value >= sum(recent) / len(recent)
        stake = self.p.full if healthy else self.p.small
        if self.above[0] and not self.position:
            self.buy(size=stake)
        elif not self.above[0] and self.position:
            self.close()
