import backtrader as bt


class MonthlyRebalance(bt.Strategy):
    """Equal weights at the turn of the month."""

    params = (('reserve', 0.05),)

    def __init__(self):
        self.last_month = -1
        self.rebalances = 0

    def prenext(self):
        self.next()

    def next(self):
        month = self.data.datetime.date(0).month
        if month == self.last_month:
            return
        self.last_month = month
        self.rebalances += 1
        available = [d for d in self.datas if len(d)]
        weight = (1.0 - self.p.reserve) / len(available)
        for d in available:
            self.order_target_percent(d, target=weight)
