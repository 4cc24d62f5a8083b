import backtrader as bt


class PerDataOrders(bt.Strategy):
    """Bracket orders for several datas, kept by data."""

    params = dict(enter=[1, 3, 4], hold=[7, 10, 15], usebracket=True, rawbracket=True, pentry=0.005, plimits=0.02, valid=10)

    def notify_order(self, order):
        if order.status == order.Submitted:
            return

        dt, dn = self.datetime.date(), order.data._name
        print('{} {} Order {} Status {}'.format(dt, dn, order.ref, order.getstatusname()))

        whichord = ['main', 'stop', 'limit', 'close']
        if not order.alive():  # not alive - nullify
            dorders = self.o[order.data]
            idx = dorders.index(order)
            dorders[idx] = None
            print('-- No longer alive {} Ref'.format(whichord[idx]))

            if all(x is None for x in dorders):
                dorders[:] = []  # empty list - New orders allowed

    def __init__(self):
        self.o = dict()  # orders per data (main, stop, limit, manual-close)
        self.holding = dict()  # holding periods per data

    def next(self):
        for i, d in enumerate(self.datas):
            dt, dn = self.datetime.date(), d._name
            pos = self.getposition(d).size
            print('{} {} Position {}'.format(dt, dn, pos))

            if not pos and not self.o.get(d, None):  # no market / no orders
                if dt.weekday() == self.p.enter[i % 3]:
                    if self.p.usebracket:
                        p = d.close[0] * (1.0 - self.p.pentry)
                        pstp, plmt = p * (1.0 - self.p.plimits), p * (1.0 + self.p.plimits)
                        self.o[d] = self.buy_bracket(data=d, price=p, stopprice=pstp, limitprice=plmt, size=6)
                    else:
                        self.o[d] = [self.buy(data=d)]
                    print('{} {} Buy {}'.format(dt, dn, [x.ref for x in self.o[d]]))
                    self.holding[d] = 0

            elif pos:  # exiting can also happen after a number of days
                self.holding[d] += 1
                if self.holding[d] >= self.p.hold[i % 3]:
                    o = self.close(data=d)
                    self.o[d].append(o)  # manual order to list of orders
                    print('{} {} Manual Close {}'.format(dt, dn, o.ref))
                    if self.p.usebracket:
                        self.cancel(self.o[d][1])  # cancel stop side
                        print('{} {} Cancel {}'.format(dt, dn, self.o[d][1]))
