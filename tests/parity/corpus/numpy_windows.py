import backtrader as bt
import numpy as np


class NumpyWindows(bt.Strategy):
    '''Statistics of the last bars, by numpy, without any indicator.'''

    params = dict(window=10, entry=1.2, leave=0.2, quiet=0.03, stake=8)

    def __init__(self):
        self.ranges = []
        self.pnls = []

    def notify_trade(self, trade):
        if trade.isclosed:
            self.pnls.append(trade.pnlcomm)

    def zscore(self):
        closes = np.array(self.data.close.get(size=self.p.window))
        if len(closes) < self.p.window:
            return 0.0
        spread = closes.std(ddof=1)
        if spread == 0:
            return 0.0
        return (closes[-1] - closes.mean()) / spread

    def next(self):
        self.ranges.append(self.data.high[0] - self.data.low[0])
        recent = np.asarray(self.ranges)[-5:]
        z = self.zscore()
        highs = np.array(self.data.high.get(ago=-1, size=self.p.window))
        lows = np.array([self.data.low[-i] for i in range(3)])
        returns = np.diff(np.log(np.array(self.data.close.get(size=self.p.window))))
        calm = returns.size > 3 and np.std(returns) < self.p.quiet
        down = returns[returns < 0]

        if not self.position:
            if z < -self.p.entry and calm and recent[-1] <= np.max(recent):
                self.buy(size=self.p.stake + int(np.clip(np.floor(-z * 3), 0, 5)))
            elif highs.size and self.data.close[0] > highs.max() and np.median(recent) > 0:
                size = self.p.stake if np.argmax(recent) == len(recent) - 1 else 3
                self.buy(size=size, exectype=bt.Order.Limit, price=float(np.mean(lows)), valid=None)
            elif len(down) > 6 and (np.abs(down) < 0.02).all() and np.sum(returns > 0) < 3:
                self.sell(size=2)
            return
        losses = np.minimum(np.sum(self.pnls[-3:]), 0.0)
        edge = np.sqrt(np.mean((lows - lows.min()) ** 2)) * np.sign(z)
        if abs(z) < self.p.leave or losses < -100 or self.data.close[0] < np.exp(np.log(lows).mean()) - 2 * abs(edge):
            self.close()
