import backtrader as bt


class RsiReversion(bt.Strategy):
    params = dict(rsi_period=7, oversold=35, overbought=62, stake=25, stop_loss=0.05)

    def __init__(self):
        self.rsi = bt.indicators.RSI_SMA(self.data.close, period=self.p.rsi_period, safediv=True)
        self.entry_price = 0.0

    def notify_order(self, order):
        if order.status == order.Completed:
            if order.isbuy():
                self.entry_price = order.executed.price
            else:
                self.entry_price = 0.0

    def next(self):
        if not self.position:
            if self.rsi[0] < self.p.oversold:
                self.buy(size=self.p.stake)
        else:
            stopped = self.entry_price and self.data.close[0] < self.entry_price * (1.0 - self.p.stop_loss)
            if self.rsi[0] > self.p.overbought or stopped:
                self.sell(size=self.p.stake)
