"""A stock Cerebro over bars that arrive one by one, as they do live, with our paper broker.

    python examples/live_feed.py

A source of your own is a subclass of `feeds.BarSource`; this one replays a quarter of the sample market at thirty market days a second.
"""

import backtrader as bt

import brokers
import feeds
from feeds.replay import Pacer

DAY = 24 * 60 * 60


class Breakout(bt.Strategy):
    """Buys a ten-day high, and leaves by a trailing stop that rests at the venue."""

    def __init__(self):
        self.highest = bt.indicators.Highest(self.data.high(-1), period=10)
        self.trail = None

    def next(self):
        if not self.position and self.data.close[0] > self.highest[0] and self.trail is None:
            self.buy(size=50)
            self.trail = self.sell(size=50, exectype=bt.Order.StopTrail, trailpercent=0.05)

    def notify_order(self, order):
        if order.status == order.Completed:
            done = order.executed
            print(f"{bt.num2date(done.dt):%Y-%m-%d}  {done.size:+} at {done.price:,.2f}", flush=True)
        if order is self.trail and not order.alive():
            self.trail = None


bars = feeds.load("sample:goog", start="2004-09-01", end="2004-11-30").frames["GOOG"]

cerebro = bt.Cerebro()
cerebro.addstrategy(Breakout)
cerebro.adddata(feeds.LiveData(source=feeds.Replay("GOOG", bars, pacer=Pacer(30 * DAY))), name="GOOG")
broker = brokers.PaperBroker(cash=50_000)
broker.setcommission(commission=0.001)
cerebro.setbroker(broker)
cerebro.run()
print(f"account {broker.getvalue():,.2f}")
