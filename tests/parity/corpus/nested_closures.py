import backtrader as bt


def threshold_rule(threshold):
    def rule(value):
        return value > threshold
    return rule


class NestedClosures(bt.Strategy):
    def __init__(self):
        self.rsi = bt.ind.RSI(period=5, safediv=True)
        self.rules = {'buy': lambda x: x < 45, 'sell': threshold_rule(58)}
        self.memory = {}

    def next(self):
        def remember(key, value):
            self.memory.setdefault(key, []).append(value)
            return len(self.memory[key])

        if self.rules['buy'](self.rsi[0]) and not self.position:
            n = remember('buys', self.data.close[0])
            self.buy(size=5 + n % 3)
        elif self.rules['sell'](self.rsi[0]) and self.position:
            remember('sells', self.data.close[0])
            self.close()
