import backtrader as bt


class CheatOnClose(bt.Strategy):
    def __init__(self):
        self.broker.set_coc(True)
        self.broker.set_slippage_fixed(0.03, slip_open=True)
        self.stoch = bt.ind.Stochastic(self.data, period=7, period_dfast=3, safediv=True)

    def next(self):
        k, d = self.stoch.percK[0], self.stoch.percD[0]
        if k > d and k < 40 and not self.position:
            self.buy(size=30)
        elif (k < d and k > 60) and self.position:
            self.close()
