import backtrader as bt


class AllIn(bt.Strategy):
    params = (('fast', 3), ('slow', 8))

    def __init__(self):
        self.sizer = bt.sizers.AllInSizerInt()
        self.fast = bt.ind.EMA(self.data.close, period=self.p.fast)
        self.slow = bt.ind.EMA(self.data.close, period=self.p.slow)
        self.margins = 0

    def notify_order(self, order):
        if order.status == order.Margin:
            self.margins += 1

    def next(self):
        up = self.fast[0] > self.slow[0]
        if up and not self.position:
            self.buy()
        elif not up and self.position:
            self.close()
