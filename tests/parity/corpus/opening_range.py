import datetime

import backtrader as bt


class OpeningRange(bt.Strategy):
    """Range of the first half hour, breakout after it, flat before the close."""

    params = dict(
        session_start=datetime.time(9, 30),
        range_end=datetime.time(10, 0),
        flat_at=datetime.time(15, 45),
        stake=15,
    )

    def __init__(self):
        self.range_high = None
        self.range_low = None
        self.day = None
        self.traded_today = False

    def next(self):
        now = self.data.datetime.time(0)
        today = self.data.datetime.date(0)

        if today != self.day:
            self.day = today
            self.range_high = self.data.high[0]
            self.range_low = self.data.low[0]
            self.traded_today = False

        if self.p.session_start <= now < self.p.range_end:
            self.range_high = max(self.range_high, self.data.high[0])
            self.range_low = min(self.range_low, self.data.low[0])
            return

        if now >= self.p.flat_at:
            if self.position:
                self.close()
            return

        if not self.position and not self.traded_today:
            if self.data.close[0] > self.range_high:
                self.buy(size=self.p.stake)
                self.traded_today = True
            elif self.data.close[0] < self.range_low:
                self.sell(size=self.p.stake)
                self.traded_today = True
