"""A stock Cerebro that trades at Binance with our data and our broker; here at the simulated one.

    python -m brokers.simulators binance --market random:7 --symbols BTC/USDT --speed 60
    python examples/binance_bracket.py 127.0.0.1:PORT account.db

PORT is the one the simulator prints. Bars of the past are shown to the strategy, and entries on them are refused.
Kill the script at any moment and start it again with the same file: no order is made twice. At Binance itself, leave
the addresses of the settings out, and read your key from the environment.
"""

import sys

import backtrader as bt
from breakout import Breakout

import brokers
import feeds
from feeds.live.binance import StreamSettings

address, file = sys.argv[1:3]
rest, streams, api = f"http://{address}/api/v3", f"ws://{address}/ws", f"ws://{address}/ws-api/v3"
settings = brokers.BinanceSettings("rehearsal-key", "rehearsal-secret", rest, streams, api)

cerebro = bt.Cerebro(quicknotify=True)
cerebro.addstrategy(Breakout, size=0.01)
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
