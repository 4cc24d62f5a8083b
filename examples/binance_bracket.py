"""A stock Cerebro that trades at Binance with our data and our broker; here at the simulated one.

    python -m brokers.simulators binance --market random:7 --symbols BTC/USDT --speed 60
    python examples/binance_bracket.py 127.0.0.1:PORT account.db

PORT is the one the simulator prints. Bars of the past are shown to the strategy, and entries on them are refused.
Kill the script at any moment and start it again with the same file: no order is made twice. At Binance itself, leave
the addresses of the settings out, and read your key from the environment.
"""

import sys

import backtrader as bt

import brokers
import feeds
from feeds.live.binance import StreamSettings

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
                size=0.01, exectype=bt.Order.Market, stopprice=price * 0.98, limitprice=price * 1.04
            )
        if self.seen == BARS:
            self.env.runstop()


address, file = sys.argv[1:3]
rest, streams, api = f"http://{address}/api/v3", f"ws://{address}/ws", f"ws://{address}/ws-api/v3"
settings = brokers.BinanceSettings("rehearsal-key", "rehearsal-secret", rest, streams, api)

cerebro = bt.Cerebro(quicknotify=True)
cerebro.addstrategy(Breakout)
cerebro.adddata(
    feeds.BinanceData(
        dataname="BTC/USDT",
        timeframe=bt.TimeFrame.Minutes,
        backfill=20,
        remember=f"{file}.began",
        settings=StreamSettings(rest, streams),
    )
)
cerebro.setbroker(brokers.BinanceBroker(settings=settings, cash=10_000, file=file))
cerebro.run()
print(f"account {cerebro.broker.getvalue():,.2f}")
