import backtrader as bt


class CloseOrders(bt.Strategy):
    """Close orders on minute data, time parts from the float."""

    params = (('every', 9),)

    def __init__(self):
        self.last_day = 0

    def next(self):
        stamp = self.data.datetime[0]
        day = int(stamp)
        minute = round((stamp - day) * 1440)
        if day != self.last_day:
            self.last_day = day
            self.buy(size=6, exectype=bt.Order.Close)
        elif minute == 14 * 60 and self.position.size:
            self.close()
        elif len(self) % self.p.every == 0 and self.position.size < 20:
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] - 0.05, valid=bt.date2num(
                self.data.num2date(stamp)) + 1.0 / 24)
