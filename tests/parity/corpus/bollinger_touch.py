import backtrader as bt
import backtrader.indicators as btind


class BollingerTouch(bt.Strategy):
    params = (
        ("period", 14),
        ("devfactor", 1.6),
        ("size", 20),
        ("debug", False),
    )

    def __init__(self):
        self.boll = btind.BollingerBands(period=self.p.period, devfactor=self.p.devfactor)
        self.redline = None
        self.blueline = None

    def next(self):
        orders = self.broker.get_orders_open()

        # Cancel open orders so we can track the median line
        if orders:
            for order in orders:
                self.broker.cancel(order)

        if not self.position:
            if self.data.close > self.boll.lines.top:
                self.sell(exectype=bt.Order.Stop, price=self.boll.lines.top[0], size=self.p.size)

            if self.data.close < self.boll.lines.bot:
                self.buy(exectype=bt.Order.Stop, price=self.boll.lines.bot[0], size=self.p.size)
        else:
            if self.position.size > 0:
                self.sell(exectype=bt.Order.Limit, price=self.boll.lines.mid[0], size=self.p.size)
            else:
                self.buy(exectype=bt.Order.Limit, price=self.boll.lines.mid[0], size=self.p.size)

        if self.p.debug:
            print('-' * 5, 'position', self.position.size)
