import backtrader as bt


class PerShare(bt.CommInfoBase):
    params = (('stocklike', True), ('commtype', bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size, price, pseudoexec):
        return max(1.0, abs(size) * self.p.commission)


class CommissionScheme(bt.Strategy):
    def __init__(self):
        self.broker.addcommissioninfo(PerShare(commission=0.02))
        self.roc = bt.ind.ROC(self.data, period=4)

    def next(self):
        if self.roc[0] > 0 and not self.position:
            self.buy(size=70)
        elif self.roc[0] < 0 and self.position:
            self.close()
