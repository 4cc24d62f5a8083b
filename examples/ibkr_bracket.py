"""A stock Cerebro that trades at IBKR with our data and our broker; here at a simulated TWS.

    python -m brokers.simulators tws --market random:7 --symbols AAPL --speed 60
    python examples/ibkr_bracket.py PORT account.db

PORT is the one the simulator prints; that of a real TWS or IB Gateway works as well, and trades there. Bars of the past
are shown to the strategy, and entries on them are refused. Kill the script at any moment and start it again with the
same file: no order is made twice.
"""

import sys

import backtrader as bt

import brokers
import feeds
from feeds.live.ibkr import IBKRStreamSettings

BARS = 5


class Breakout(bt.Strategy):
    """Buys a five-minute high with a stop and a target that rest at the venue."""

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
                size=10, exectype=bt.Order.Market, stopprice=price * 0.98, limitprice=price * 1.04
            )
        if self.seen == BARS:
            self.env.runstop()


port, file = int(sys.argv[1]), sys.argv[2]

cerebro = bt.Cerebro(quicknotify=True)
cerebro.addstrategy(Breakout)
cerebro.adddata(
    feeds.IBKRData(
        dataname="AAPL",
        timeframe=bt.TimeFrame.Minutes,
        backfill=20,
        remember=f"{file}.began",
        settings=IBKRStreamSettings(port=port, client_id=71),
    )
)
cerebro.setbroker(brokers.IBKRBroker(settings=brokers.IBKRSettings(port=port), cash=50_000, file=file))
cerebro.run()
print(f"account {cerebro.broker.getvalue():,.2f}")
