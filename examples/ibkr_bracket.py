"""A stock Cerebro that trades at IBKR with our data and our broker; here at a simulated TWS.

    python -m brokers.simulators tws --market random:7 --symbols AAPL --speed 60
    python examples/ibkr_bracket.py PORT account.db

PORT is the one the simulator prints; that of a real TWS or IB Gateway works as well, and trades there. Bars of the past
are shown to the strategy, and entries on them are refused. Kill the script at any moment and start it again with the
same file: no order is made twice.
"""

import sys

import backtrader as bt
from breakout import Breakout

import brokers
import feeds
from feeds.live.ibkr import IBKRStreamSettings

port, file = int(sys.argv[1]), sys.argv[2]

cerebro = bt.Cerebro(quicknotify=True)
cerebro.addstrategy(Breakout, size=10)
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
