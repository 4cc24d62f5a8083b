import backtrader as bt


class HeikinByHand(bt.Strategy):
    """Heikin-Ashi candles kept in scalars."""

    params = (('run', 2), ('stake', 19))

    def __init__(self):
        self.ha_open = self.ha_close = None
        self.up = self.down = 0

    def next(self):
        o, h, l, c = self.data.open[0], self.data.high[0], self.data.low[0], self.data.close[0]
        ha_close = (o + h + l + c) / 4
        ha_open = (o + c) / 2 if self.ha_open is None else (self.ha_open + self.ha_close) / 2
        self.ha_open, self.ha_close = ha_open, ha_close

        if ha_close > ha_open:
            self.up, self.down = self.up + 1, 0
        elif ha_close < ha_open:
            self.up, self.down = 0, self.down + 1

        if self.up >= self.p.run and not self.position.size:
            self.buy(size=self.p.stake)
        elif self.down >= self.p.run and self.position.size:
            self.close()
