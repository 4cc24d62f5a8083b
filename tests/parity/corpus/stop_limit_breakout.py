import backtrader as bt


class StopLimitBreakout(bt.Strategy):
    params = (('lookback', 6), ('buffer', 0.001), ('slack', 0.006), ('hold', 4))

    def __init__(self):
        self.highest = bt.ind.MaxN(self.data.high, period=self.p.lookback)
        self.entry_order = None
        self.entry_len = None

    def notify_order(self, order):
        if order.status == order.Completed:
            self.entry_len = len(self) if order.isbuy() else None
        if order.status in (order.Completed, order.Canceled, order.Expired, order.Margin, order.Rejected):
            self.entry_order = None

    def next(self):
        if self.position:
            if self.entry_len is not None and len(self) - self.entry_len >= self.p.hold:
                self.close()
            return

        if self.entry_order:
            self.cancel(self.entry_order)
            return

        trigger = self.highest[0] * (1 + self.p.buffer)
        self.entry_order = self.buy(
            exectype=bt.Order.StopLimit,
            price=trigger,
            plimit=trigger * (1 + self.p.slack),
            size=18,
        )
