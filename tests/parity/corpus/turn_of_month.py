import backtrader as bt


class TurnOfMonth(bt.Strategy):
    """Holds the last days of a month and the first of the next."""

    params = (('from_day', 26), ('to_day', 4))

    def __init__(self):
        self.prev_month = None
        self.count = 0

    def next(self):
        date = bt.num2date(self.data.datetime[0]).date()
        if self.prev_month != date.month:
            self.count = 0
        else:
            self.count += 1
        self.prev_month = date.month

        in_window = date.day >= self.p.from_day or date.day <= self.p.to_day
        if in_window and self.position.size == 0:
            self.buy(size=int(0.8 * self.broker.get_cash() / self.data.close[0]))
        elif not in_window and self.position.size > 0:
            self.close()
