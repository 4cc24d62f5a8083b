import backtrader as bt


class IntradayVwap(bt.Strategy):
    params = (('band', 0.0015), ('stake', 10), ('last_hour', 15))

    def __init__(self):
        self.cum_pv = 0.0
        self.cum_volume = 0.0
        self.last_date = None

    def next(self):
        dt = self.data.datetime.datetime(0)
        if self.last_date is None or dt.date() != self.last_date:
            self.cum_pv, self.cum_volume = 0.0, 0.0
            self.last_date = dt.date()

        typical = (self.data.high[0] + self.data.low[0] + self.data.close[0]) / 3.0
        self.cum_pv += typical * self.data.volume[0]
        self.cum_volume += self.data.volume[0]
        if self.cum_volume == 0:
            return
        vwap = self.cum_pv / self.cum_volume

        if dt.hour >= self.p.last_hour:
            if self.position.size:
                self.close()
        elif self.position.size == 0:
            if self.data.close[0] < vwap * (1 - self.p.band):
                self.buy(size=self.p.stake)
            elif self.data.close[0] > vwap * (1 + self.p.band):
                self.sell(size=self.p.stake)
        elif self.position.size > 0 and self.data.close[0] >= vwap:
            self.close()
        elif self.position.size < 0 and self.data.close[0] <= vwap:
            self.close()
