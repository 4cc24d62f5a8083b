import backtrader as bt


class IchimokuCloud(bt.Strategy):
    params = dict(tenkan=4, kijun=9, senkou=18, senkou_lead=9, chikou=9, size=10)

    def __init__(self):
        self.ichi = bt.ind.Ichimoku(
            self.data, tenkan=self.p.tenkan, kijun=self.p.kijun, senkou=self.p.senkou,
            senkou_lead=self.p.senkou_lead, chikou=self.p.chikou)
        self.cross = bt.ind.CrossOver(self.ichi.tenkan_sen, self.ichi.kijun_sen)

    def next(self):
        top = max(self.ichi.senkou_span_a[0], self.ichi.senkou_span_b[0])
        bottom = min(self.ichi.senkou_span_a[0], self.ichi.senkou_span_b[0])
        close = self.data.close[0]
        if not self.position:
            if close > top and self.ichi.tenkan_sen[0] >= self.ichi.kijun_sen[0]:
                self.buy(size=self.p.size)
            elif close < bottom and self.cross < 0:
                self.sell(size=self.p.size)
        elif self.position.size > 0 and close < top:
            self.close()
        elif self.position.size < 0 and close > bottom:
            self.close()
