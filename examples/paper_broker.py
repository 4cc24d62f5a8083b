"""A stock Cerebro with our broker, analyzer and sizer, and everything else Backtrader's own.

    python examples/paper_broker.py
    python examples/paper_broker.py account.db

With a file, every order is written down before it is sent. Kill the script at any moment and start it again with
the same file: the strategy sees its bars again, no order is made twice, and the account ends as if undisturbed.
"""

import sys

import backtrader as bt

import analyzers
import brokers
import feeds
from strategies.sizers import PercentSizer


class Crossover(bt.Strategy):
    def __init__(self):
        self.cross = bt.indicators.CrossOver(bt.indicators.SMA(period=10), bt.indicators.SMA(period=30))

    def next(self):
        if self.cross > 0:
            self.buy()
        elif self.cross < 0:
            self.close()

    def notify_trade(self, trade):
        if trade.isclosed:
            print(f"{bt.num2date(trade.dtclose):%Y-%m-%d}  profit {trade.pnlcomm:>10,.2f}")


bars = feeds.load("sample:goog").frames["GOOG"]

cerebro = bt.Cerebro()
cerebro.addstrategy(Crossover)
# Backtrader calculates in naive UTC.
cerebro.adddata(bt.feeds.PandasData(dataname=bars.tz_localize(None)), name="GOOG")

broker = brokers.PaperBroker(cash=50_000, file=sys.argv[1] if len(sys.argv) > 1 else None)
broker.setcommission(commission=0.001)
cerebro.setbroker(broker)
cerebro.addsizer(PercentSizer, fraction=0.9)
cerebro.addanalyzer(analyzers.Metrics, _name="metrics")

(strategy,) = cerebro.run()

metrics = strategy.analyzers.metrics.get_analysis()
print(
    f"account {broker.getvalue():,.2f}, Sharpe {metrics['sharpe']:.2f}, max drawdown {metrics['max_drawdown']:.1%}"
)
