from dataclasses import dataclass, field

import backtrader as bt


@dataclass
class Part:
    size: int
    target_price: float
    stop: bt.Order = None
    target: bt.Order = None

    @property
    def orders(self):
        return [order for order in (self.stop, self.target) if order is not None]

    @property
    def closed(self):
        return any(order.status == bt.Order.Completed for order in self.orders)


@dataclass
class Trade:
    entry_price: float
    bar: int
    stop_price: float
    parts: list = field(default_factory=list)
    highest: float = 0.0

    def __post_init__(self):
        self.highest = self.entry_price

    @property
    def risk(self):
        return self.entry_price - self.stop_price

    @property
    def open_size(self):
        return sum(part.size for part in self.parts if not part.closed)


class TradeRecords(bt.Strategy):
    params = (("fast", 5), ("slow", 15), ("size", 30))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))
        self.atr = bt.ind.ATR(period=7)
        self.trade = None
        self.entry = None
        self.done = []

    def log(self, text):
        print(f"{self.data.datetime.date(0)} {text}")

    def notify_order(self, order):
        if order.status != order.Completed or self.entry is None or order.ref != self.entry.ref:
            return
        self.entry = None
        self.trade = Trade(order.executed.price, len(self), order.executed.price - 2 * self.atr[0])
        for share, reward in ((0.5, 1.0), (0.5, 2.5)):
            part = Part(int(self.p.size * share), self.trade.entry_price + reward * self.trade.risk)
            part.stop = self.sell(size=part.size, exectype=bt.Order.Stop, price=self.trade.stop_price)
            part.target = self.sell(
                size=part.size, exectype=bt.Order.Limit, price=part.target_price, oco=part.stop
            )
            self.trade.parts.append(part)
        self.log(f"opened at {self.trade.entry_price} {[part.size for part in self.trade.parts]}")

    def next(self):
        trade = self.trade
        if trade is not None:
            trade.highest = max(trade.highest, self.data.high[0])
            if not self.position.size:
                self.done.append(trade)
                self.trade = None
            elif self.cross[0] < 0 or len(self) - trade.bar > 25:
                for part in trade.parts:
                    for order in part.orders:
                        if order.alive():
                            self.cancel(order)
                self.close()
        elif self.entry is None and self.cross[0] > 0:
            fallen = [old for old in self.done[-3:] if old.highest - old.entry_price < old.risk]
            if len(fallen) < 3 or len(self) % 2:
                self.entry = self.buy(size=self.p.size)
