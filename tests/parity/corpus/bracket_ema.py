import datetime

import backtrader as bt


class BracketEma(bt.Strategy):
    params = dict(
        ma=bt.ind.EMA,
        p1=4,
        p2=11,
        limit=0.005,
        limdays=3,
        limdays2=30,
        hold=10,
    )

    def notify_order(self, order):
        print('{}: Order ref: {} / Type {} / Status {}'.format(
            self.data.datetime.date(0),
            order.ref, 'Buy' * order.isbuy() or 'Sell',
            order.getstatusname()))

        if order.status == order.Completed:
            self.holdstart = len(self)

        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)

    def __init__(self):
        ma1, ma2 = self.p.ma(period=self.p.p1), self.p.ma(period=self.p.p2)
        self.cross = bt.ind.CrossOver(ma1, ma2)
        self.orefs = list()

    def next(self):
        if self.orefs:
            return  # pending orders do nothing

        if not self.position:
            if self.cross > 0.0:  # crossing up
                close = self.data.close[0]
                p1 = close * (1.0 - self.p.limit)
                p2 = p1 - 0.02 * close
                p3 = p1 + 0.02 * close

                valid1 = datetime.timedelta(self.p.limdays)
                valid2 = valid3 = datetime.timedelta(self.p.limdays2)

                os = self.buy_bracket(
                    size=10,
                    price=p1, valid=valid1,
                    stopprice=p2, stopargs=dict(valid=valid2),
                    limitprice=p3, limitargs=dict(valid=valid3),
                )
                self.orefs = [o.ref for o in os]
            elif self.cross < 0.0:
                close = self.data.close[0]
                os = self.sell_bracket(size=10, exectype=bt.Order.Market, stopprice=close * 1.02, limitprice=close * 0.98)
                self.orefs = [o.ref for o in os]
        else:  # in the market
            if (len(self) - self.holdstart) >= self.p.hold:
                pass  # do nothing in this case
