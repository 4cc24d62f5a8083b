import backtrader as bt


class SignalAccumulate(bt.SignalStrategy):
    """Signals of one data trade the other; own next, own notify_order, a hedge beside the signals."""

    params = (('_accumulate', True), ('_data', 1), ('most', 30), ('stake', 4))

    def __init__(self):
        fast, slow = bt.ind.EMA(self.data0, period=3), bt.ind.EMA(self.data0, period=8)
        self.signal_add(bt.SIGNAL_LONG, fast - slow)
        self.signal_add(bt.SIGNAL_SHORT, bt.ind.CrossOver(fast, slow))
        self.signal_add(bt.SIGNAL_LONGEXIT, self.data0.close - bt.ind.Highest(self.data0.close(-1), period=6))
        self.setsizer(bt.sizers.FixedSize(stake=self.p.stake))
        self.done = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            self.done += 1

    def next(self):
        held = self.getposition(self.data1).size
        if abs(held) > self.p.most:
            self.order_target_size(data=self.data1, target=0)
        if self.done % 4 == 3 and not self.getposition(self.data0).size:
            self.sell(data=self.data0, size=2, exectype=bt.Order.Limit, price=self.data0.high[0])
        elif self.getposition(self.data0).size and len(self) % 9 == 0:
            self.close(data=self.data0)
