import backtrader as bt


class SlicesOfLines(bt.Strategy):
    params = {'window': 6, 'size': 15}

    def next(self):
        if len(self) < self.p.window:
            return
        closes = self.data.close.get(size=self.p.window)
        highs = self.data.high.get(ago=-1, size=self.p.window - 1)
        mean = sum(closes) / len(closes)
        ups = sum(1 for i in range(1, len(closes)) if closes[i] > closes[i - 1])
        recent = [self.data.low[-i] for i in range(3)]

        if not self.position:
            if self.data.close[0] > max(highs) or (ups >= 4 and closes[-1] > mean):
                self.buy(size=self.p.size)
        elif self.data.close[0] < mean and self.data.low[0] <= min(recent):
            self.close()
