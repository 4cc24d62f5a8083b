import backtrader as bt


class Oscillators(bt.Strategy):
    def __init__(self):
        self.cci = bt.ind.CCI(self.data, period=8)
        self.will = bt.ind.WilliamsR(self.data, period=8)
        self.aroon = bt.ind.AroonOscillator(self.data, period=8)
        self.trix = bt.ind.Trix(self.data, period=4)
        self.points = 0

    def next(self):
        self.points = 0
        self.points += 1 if self.cci[0] > 0 else -1
        self.points += 1 if self.will[0] > -50 else -1
        self.points += 1 if self.aroon[0] > 0 else -1
        self.points += 1 if self.trix[0] > 0 else -1
        if self.points >= 2 and self.position.size <= 0:
            self.order_target_value(target=9000)
        elif self.points <= -2 and self.position.size >= 0:
            self.order_target_value(target=-4000)
