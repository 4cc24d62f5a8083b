import backtrader as bt
import pandas as pd


class PandasInNext(bt.Strategy):
    params = (('window', 10),)

    def next(self):
        window = self.p.window
        if len(self) < window:
            return
        frame = pd.DataFrame({
            'close': self.data.close.get(size=window),
            'volume': self.data.volume.get(size=window),
        })
        fast = frame['close'].ewm(span=3).mean().iloc[-1]
        slow = frame['close'].rolling(window).mean().iloc[-1]
        busy = frame['volume'].iloc[-1] > frame['volume'].median()
        if fast > slow and busy and not self.position:
            self.buy(size=10)
        elif fast < slow and self.position:
            self.close()
