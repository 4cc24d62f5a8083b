import backtrader as bt


class CashAndValue(bt.Strategy):
    """Takes less risk the deeper the account stands under its best value."""

    params = (('full', 0.8), ('period', 5))

    def __init__(self):
        self.sma = bt.ind.SMA(self.data.close, period=self.p.period)
        self.peak = None
        self.drawdown = 0.0
        self.cash_seen = 0.0

    def notify_cashvalue(self, cash, value):
        self.cash_seen = cash
        if self.peak is None or value > self.peak:
            self.peak = value
        self.drawdown = 1.0 - value / self.peak

    def next(self):
        share = self.p.full if self.drawdown < 0.01 else self.p.full / 2 if self.drawdown < 0.05 else 0.1
        if self.data.close[0] > self.sma[0]:
            if self.position.size == 0 and self.cash_seen > 0:
                self.order_target_percent(target=share)
        elif self.position.size:
            self.order_target_percent(target=0.0)
