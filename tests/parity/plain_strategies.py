"""Strategies as people write them for plain Backtrader; nothing in this file knows this project."""

import datetime

import backtrader as bt


class KnownCross(bt.Strategy):
    params = (("fast", 2), ("slow", 3), ("size", 100))

    def __init__(self):
        fast = bt.ind.SMA(self.data.close, period=self.p.fast)
        slow = bt.ind.SMA(self.data.close, period=self.p.slow)
        self.crossover = bt.ind.CrossOver(fast, slow)

    def next(self):
        if self.crossover > 0:
            self.buy(size=self.p.size)
        elif self.crossover < 0:
            self.close()


class OneOrderAtATime(bt.Strategy):
    """The tutorial's pattern: remember the order, wait until it is done."""

    params = (("period", 15), ("exitbars", 5))

    def __init__(self):
        self.dataclose = self.datas[0].close
        self.order = None
        self.buyprice = None
        self.sma = bt.indicators.SimpleMovingAverage(self.datas[0], period=self.params.period)

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status in [order.Completed]:
            if order.isbuy():
                self.buyprice = order.executed.price
            self.bar_executed = len(self)
        self.order = None

    def next(self):
        if self.order:
            return
        if not self.position:
            if self.dataclose[0] > self.sma[0]:
                self.order = self.buy(size=37)
        elif len(self) >= self.bar_executed + self.p.exitbars or self.dataclose[0] < self.sma[0]:
            self.order = self.sell(size=37)


class Brackets(bt.Strategy):
    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.EMA(period=5), bt.ind.EMA(period=13))
        self.refs = []

    def notify_order(self, order):
        if not order.alive() and order.ref in self.refs:
            self.refs.remove(order.ref)

    def next(self):
        if self.refs or self.position:
            return
        close = self.data.close[0]
        if self.cross > 0:
            orders = self.buy_bracket(
                size=20,
                price=close * 0.995,
                stopprice=close * 0.96,
                limitprice=close * 1.05,
                exectype=bt.Order.Limit,
            )
        elif self.cross < 0:
            orders = self.sell_bracket(
                size=20, stopprice=close * 1.03, limitprice=close * 0.97, exectype=bt.Order.Market
            )
        else:
            return
        self.refs = [o.ref for o in orders]


class Trailing(bt.Strategy):
    def __init__(self):
        self.high = bt.ind.Highest(self.data.high(-1), period=10)
        self.stop_order = None

    def notify_order(self, order):
        if order.status == order.Completed and order.isbuy():
            self.stop_order = self.sell(
                exectype=bt.Order.StopTrail, trailpercent=0.03, size=order.executed.size
            )

    def next(self):
        if not self.position and self.data.close[0] > self.high[0]:
            self.buy(size=11)
            self.buy(size=4)


class LimitsThatExpire(bt.Strategy):
    def next(self):
        close = self.data.close[0]
        if len(self) % 4 == 0:
            self.buy(exectype=bt.Order.Limit, price=close * 0.98, valid=datetime.timedelta(days=3), size=7)
        if len(self) % 7 == 0:
            self.sell(exectype=bt.Order.StopLimit, price=close * 0.97, plimit=close * 0.965, size=5)
        if len(self) % 9 == 0:
            first = self.sell(exectype=bt.Order.Limit, price=close * 1.02, size=3)
            self.sell(exectype=bt.Order.Stop, price=close * 0.95, size=3, oco=first)


class Targets(bt.Strategy):
    def __init__(self):
        self.rsi = bt.ind.RSI(period=7)

    def next(self):
        if self.rsi < 35:
            self.order_target_percent(target=0.9)
        elif self.rsi > 65:
            self.order_target_percent(target=-0.4)
        elif len(self) % 10 == 0:
            self.order_target_percent(target=0.1)


class Pairs(bt.Strategy):
    """Several datas, of which one starts late and has holes."""

    def __init__(self):
        self.means = {d: bt.ind.SMA(d, period=10) for d in self.datas}

    def prenext(self):
        self.next()

    def next(self):
        for d in self.datas:
            if len(d) <= 10:
                continue
            position = self.getposition(d).size
            if d.close[0] > self.means[d][0] and not position:
                self.buy(data=d, size=5)
            elif d.close[0] < self.means[d][0] and position:
                self.close(data=d)
        self.order_target_value(data=self.data1, target=1000.0 * (len(self) % 5))


class Signals(bt.SignalStrategy):
    def __init__(self):
        self.signal_add(bt.SIGNAL_LONGSHORT, bt.ind.CrossOver(bt.ind.SMA(period=6), bt.ind.SMA(period=19)))


class OwnSizer(bt.Strategy):
    def __init__(self):
        self.setsizer(bt.sizers.PercentSizer(percents=45))
        self.macd = bt.ind.MACDHisto()

    def next(self):
        if self.macd.histo[0] > 0 and self.position.size <= 0:
            self.buy()
        elif self.macd.histo[0] < 0 and self.position.size >= 0:
            self.sell()


class TooLarge(bt.Strategy):
    """Orders the cash does not allow, closes at the session's end, cancels."""

    def __init__(self):
        self.waiting = []

    def next(self):
        n = len(self)
        if n % 6 == 0:
            self.buy(size=800)
        if n % 6 == 1:
            self.buy(size=5, exectype=bt.Order.Close)
        if n % 6 == 3:
            self.waiting.append(self.buy(size=5, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9))
        if n % 6 == 5:
            self.close()
            while self.waiting:
                self.cancel(self.waiting.pop())


class Weekly(bt.Strategy):
    def __init__(self):
        self.mean = bt.ind.SMA(self.data1.close, period=4)

    def next(self):
        if self.data1.close[0] > self.mean[0] and not self.position:
            self.buy(size=9)
        elif self.data1.close[0] < self.mean[0] and self.position:
            self.close()
