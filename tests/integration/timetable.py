"""A strategy that uses every kind of order on a fixed timetable, and the market it trades."""

from __future__ import annotations

import backtrader as bt

CLOSES = [100, 101, 103, 99, 96, 98, 102, 104, 101, 97, 95, 99]


class Timetable(bt.Strategy):
    """Brackets, a cancel, a trail and a market order, decided by the bars alone."""

    def __init__(self) -> None:
        self.seen = 0
        self.resting: bt.Order | None = None

    def next(self) -> None:
        self.seen += 1
        if self.seen == 2:
            self.buy_bracket(size=5, exectype=bt.Order.Market, stopprice=97, limitprice=110)
        elif self.seen == 3:
            self.resting = self.buy(size=2, exectype=bt.Order.Limit, price=50)
        elif self.seen == 5:
            self.cancel(self.resting)
        elif self.seen == 6:
            self.buy(size=3)
            self.sell(size=3, exectype=bt.Order.StopTrail, trailamount=4)
        elif self.seen == 11:
            self.buy(size=1, exectype=bt.Order.Limit, price=96)
