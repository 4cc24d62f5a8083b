import backtrader as bt


class WeekdaySwing(bt.Strategy):
    """In on one weekday, out on another."""

    params = (('enter', 0), ('leave', 3), ('stake', 60))

    def __init__(self):
        self.held_since = None

    def next(self):
        weekday = self.data.datetime.date(0).weekday()
        if weekday == self.p.enter and not self.position:
            self.buy(size=self.p.stake)
            self.held_since = self.data.datetime.date(0)
        elif weekday == self.p.leave and self.position:
            days = (self.data.datetime.date(0) - self.held_since).days
            if days >= 1:
                self.close()
