import backtrader as bt


class TargetSizeLadder(bt.Strategy):
    """Holds the day of the month in shares, the second half of the month backwards."""

    def __init__(self):
        self.order = None

    def notify_order(self, order):
        if not order.alive():
            self.order = None

    def start(self):
        self.val_start = self.broker.get_cash()

    def next(self):
        dt = self.data.datetime.date()
        if self.order:
            return
        size = dt.day
        if (dt.month % 2) == 0:
            size = 31 - size
        self.order = self.order_target_size(target=size)

    def stop(self):
        self.roi = (self.broker.get_value() / self.val_start) - 1.0
        print('ROI:        {:.2f}%'.format(100.0 * self.roi))
