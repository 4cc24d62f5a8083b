import backtrader as bt


class Recursion(bt.Strategy):
    """Sizes along Fibonacci numbers after losses; the number by recursion."""

    def __init__(self):
        self.step = 1
        self.entered = 0

    def fibonacci(self, n):
        return n if n < 2 else self.fibonacci(n - 1) + self.fibonacci(n - 2)

    def notify_trade(self, trade):
        if trade.isclosed:
            self.step = max(1, self.step + (1 if trade.pnl < 0 else -2))

    def next(self):
        if not self.position and self.data.close[0] >= self.data.close[-1]:
            self.buy(size=self.fibonacci(min(self.step, 9) + 2))
            self.entered = len(self)
        elif self.position and len(self) - self.entered > 2:
            self.close()
