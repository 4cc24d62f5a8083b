import backtrader as bt


class StopTrailer(bt.Strategy):
    params = dict(ma=bt.ind.SMA, p1=5, p2=13, stoptype=bt.Order.StopTrail, trailamount=0.0, trailpercent=0.02)

    def __init__(self):
        ma1, ma2 = self.p.ma(period=self.p.p1), self.p.ma(period=self.p.p2)
        self.crup = bt.ind.CrossUp(ma1, ma2)
        self.order = None

    def next(self):
        if not self.position:
            if self.crup or self.data.close[0] > self.data.close[-3]:
                o = self.buy(size=15)
                self.order = None
                print('*' * 50)

        elif self.order is None:
            self.order = self.sell(exectype=self.p.stoptype, size=15,
                                   trailamount=self.p.trailamount,
                                   trailpercent=self.p.trailpercent)

            if self.p.trailamount:
                tcheck = self.data.close - self.p.trailamount
            else:
                tcheck = self.data.close * (1.0 - self.p.trailpercent)
            print(','.join(
                map(str, [self.datetime.date(), self.data.close[0],
                          self.order.created.price, tcheck])
            ))
        elif not self.order.alive():
            self.order = None
