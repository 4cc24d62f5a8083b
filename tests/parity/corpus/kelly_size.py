import backtrader as bt


class KellySize(bt.Strategy):
    params = (('lookback', 8), ('default', 0.2), ('cap', 0.5))

    def __init__(self):
        self.results = []
        self.cross = bt.ind.CrossOver(bt.ind.EMA(period=3), bt.ind.EMA(period=8))

    def notify_trade(self, trade):
        if not trade.isclosed:
            return
        self.results.append(trade.pnlcomm)
        if len(self.results) > self.p.lookback:
            del self.results[0]

    def fraction(self):
        wins = [r for r in self.results if r > 0]
        losses = [-r for r in self.results if r <= 0]
        if len(self.results) < 3 or not wins or not losses:
            return self.p.default
        win_rate = len(wins) / len(self.results)
        payoff = (sum(wins) / len(wins)) / (sum(losses) / len(losses) + 1e-9)
        kelly = win_rate - (1 - win_rate) / payoff
        return max(0.05, min(kelly, self.p.cap))

    def next(self):
        if self.cross > 0:
            self.buy(size=int(self.fraction() * self.broker.getvalue() / self.data.close[0]))
        elif self.cross < 0 and self.position:
            self.close()
