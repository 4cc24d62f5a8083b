from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Optional

import backtrader as bt


class Side(StrEnum):
    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class Reason(StrEnum):
    CROSS = "cross"
    STOP = "stop"
    TIME = "time"


@dataclass(frozen=True)
class Signal:
    side: Side
    strength: float = 1.0
    stop: Optional[float] = None
    reason: Reason = Reason.CROSS

    def weaker(self, by):
        return replace(self, strength=self.strength * by)


NOTHING = Signal(Side.FLAT)


class SignalRecords(bt.Strategy):
    params = dict(period=12, hold=8)

    def __init__(self):
        self.mean = bt.ind.EMA(period=self.p.period)
        self.range = bt.ind.ATR(period=self.p.period)
        self.last = NOTHING
        self.entered = 0
        self.reasons = None

    def decide(self):
        distance = (self.data.close[0] - self.mean[0]) / self.range[0] if self.range[0] else 0.0
        if distance > 0.7:
            signal = Signal(Side.LONG, min(distance, 2.0), self.data.close[0] - 2 * self.range[0])
            return signal if self.data.volume[0] else signal.weaker(0.5)
        if distance < -0.7:
            return Signal(side=Side.SHORT, strength=min(-distance, 2.0))
        return NOTHING

    def leave(self) -> Optional[Reason]:
        if self.last.stop is not None and self.data.low[0] < self.last.stop:
            return Reason.STOP
        if len(self) - self.entered >= self.p.hold:
            return Reason.TIME
        return None

    def notify_order(self, order):
        if order.status == order.Completed:
            self.reasons = order.info.get("exit_reason")

    def next(self):
        if self.position:
            why = self.leave()
            if why is not None:
                if self.position.size > 0:
                    self.sell(size=self.position.size, exit_reason=why)
                else:
                    self.buy(size=-self.position.size, exit_reason=why)
                if why is Reason.STOP:
                    self.last = NOTHING
            return
        signal = self.decide()
        if signal is NOTHING or signal.side is Side.FLAT:
            return
        if self.reasons == Reason.STOP and signal.side == self.last.side:
            signal = signal.weaker(0.5)
        size = int(20 * signal.strength)
        if size:
            if signal.side is Side.LONG:
                self.buy(size=size)
            else:
                self.sell(size=size)
            self.last, self.entered = signal, len(self)
