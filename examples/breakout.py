"""The strategy of `binance_bracket.py` and `ibkr_bracket.py`; it knows neither."""

import backtrader as bt


class Breakout(bt.Strategy):
    """Buys a five-minute high with a stop and a target that rest at the venue; ends after some bars of now."""

    params = (("size", 1), ("bars", 5))

    def __init__(self):
        self.highest = bt.indicators.Highest(self.data.high(-1), period=5)
        self.live = self.seen = 0
        self.bracket = []

    def notify_data(self, data, status, *args, **kwargs):
        self.live = status == data.LIVE

    def notify_order(self, order):
        if order.status in (order.Completed, order.Margin):
            print(f"{order.ordtypename()} {order.getstatusname()} {order.executed.size:+g}", flush=True)

    def next(self):
        self.seen += self.live
        price, busy = self.data.close[0], self.position or any(order.alive() for order in self.bracket)
        if self.live and not busy and price >= self.highest[0]:
            self.bracket = self.buy_bracket(
                size=self.p.size, exectype=bt.Order.Market, stopprice=price * 0.98, limitprice=price * 1.04
            )
        if self.seen == self.p.bars:
            self.env.runstop()
