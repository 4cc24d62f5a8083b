import copy

import backtrader as bt


class OrderParts(bt.Strategy):
    '''Writes down whatever its orders and their copies hold, and what they share.'''

    params = dict(stake=7, reach=0.006, life=4.5)

    def __init__(self):
        self.seen = []
        self.sent = {}
        self.twins = []

    def note(self, what, order):
        asked, made, done = order.p, order.created, order.executed
        self.seen.append([
            what, order.ref, order.status, order.ordtype, order.exectype, order.size, order.tradeid, order.valid,
            asked.size, asked.price, asked.pricelimit, asked.exectype, asked.tradeid, asked.transmit, order.simulated,
            asked.trailamount, asked.trailpercent, order.price, order.pricelimit, order.trailpercent, order.plimit,
        ])
        self.seen.append([
            made.dt, made.size, made.remsize, made.price, made.pricelimit, made.pclose, made.value, made.p2, len(made),
            done.dt, done.size, done.remsize, done.price, done.pricelimit, done.value, done.comm, done.margin, done.pnl,
            done.psize, done.pprice, done.p1, done.p2, done.plimit, done.pclose, len(done), len(done.getpending()),
        ])
        self.seen.append([order.dteos, order.triggered, order.active(), order.position, order.transmit, len(order.info)])

    def notify_order(self, order):
        self.note('told', order)
        mine = self.sent.get(order.ref)
        if mine is not None:
            shared = [order.info is mine.info, order.p is mine.params, order.created is mine.created]
            self.seen.append([order is mine, order == mine, order.executed is mine.executed, *shared])
            self.note('held', mine)
        if order.status == order.Accepted:
            order.addinfo(accepted=len(self))
        if order.status == order.Completed:
            order.info.exit_reason = 'stop_loss' if order.issell() else ''
            self.twins.append(copy.copy(order))
            if mine is not None:
                self.twins.append(mine.clone())
            last = self.twins[-1]
            self.seen.append([last.info is order.info, last.executed is order.executed, isinstance(last, bt.BuyOrder)])
        self.seen.append(str(order).split('CommInfo')[0])

    def keep(self, order):
        if order is not None:
            self.sent[order.ref] = order
            self.note('sent', order)

    def next(self):
        close, turn = self.data.close[0], len(self) % 10
        if turn == 1:
            self.keep(self.buy(size=self.p.stake))
        elif turn == 3:
            self.keep(self.sell(size=2, price=close * (1 + self.p.reach), exectype=bt.Order.Limit, valid=self.data.datetime[0] + self.p.life))
        elif turn == 4:
            self.keep(self.sell(size=1, price=close, plimit=close * 0.99, exectype=bt.Order.StopLimit, tradeid=2))
        elif turn == 5:
            self.keep(self.sell(size=3, exectype=bt.Order.StopTrail, trailpercent=self.p.reach, made='trail'))
        elif turn == 6:
            for order in self.buy_bracket(size=4, price=close * 0.998, stopprice=close * 0.98, limitprice=close * 1.01):
                self.keep(order)
        elif turn == 8:
            for order in list(self.broker.get_orders_open())[:2]:
                self.cancel(order)
            self.keep(self.close(exectype=bt.Order.Close))
        elif turn == 9:
            self.keep(self.buy(size=1e7))

    def stop(self):
        for order in self.twins[:40]:
            self.note('twin', order)
