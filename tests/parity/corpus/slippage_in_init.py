import backtrader as bt


class SlippageInInit(bt.Strategy):
    params = dict(perc=0.002, period=7)

    def __init__(self):
        self.broker.set_slippage_perc(self.p.perc, slip_open=True, slip_limit=True, slip_match=True, slip_out=False)
        self.broker.setcommission(commission=0.002)
        self.roc = bt.ind.RateOfChange(self.data.close, period=self.p.period)

    def next(self):
        close = self.data.close[0]
        if self.position.size == 0:
            if self.roc[0] > 0.01:
                self.buy(size=25)
                self.sell(size=25, exectype=bt.Order.Limit, price=close * 1.015)
            elif self.roc[0] < -0.01:
                self.sell(size=25)
        elif len(self) % 5 == 0:
            self.close()
