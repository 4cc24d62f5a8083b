"""A lean run bar by bar, where Backtrader computes indicators as the bars come: resampled datas.

What the strategy and its indicators can see at a step is what they see in stock, arrays that grow included. Which
bars come when, and indicators over one data, are told before the run where that is the same to the last bit; else
Backtrader itself delivers, and moves the indicators by their own `_next`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from backtrader.feed import DataClone
from backtrader.linebuffer import LineBuffer
from backtrader.trade import Trade

from engine.lean_account import Notice
from engine.lean_bars import BarsAsTheyCome, BarsKnown
from engine.lean_broker import LeanBroker
from engine.lean_lines import Cursor, name_lines, release, restore
from engine.lean_loop import LeanLoop
from engine.lean_strategy import quicken, slow_down


class BarByBarLoop(LeanLoop):
    """Takes the place of `Cerebro._runnext`."""

    def run(self) -> None:
        """Run all bars, then hand the account's curve to the recorder."""
        plain = self._account_is_plain()
        now: Cursor = [-1]  # the strategy's bar
        self._share(list(self.strategy.lines.lines), now)
        quick = quicken(self.strategy)
        try:
            self._run_bars(plain, self._find_bars(now))
            self._hand_over_account(plain)
        finally:
            if quick:
                slow_down(self.strategy)
            restore(self.shortened)
            release(self.shared)
            if isinstance(self.broker, LeanBroker):
                self.broker.release()

    def _read_times(self) -> None:
        self.times: list[float] = []
        self.lagging = []

    def _find_bars(self, now: Cursor) -> BarsAsTheyCome:
        indicators = self.strategy.getindicators()
        for series in (*self.datas, *(each for each in indicators if not isinstance(each, LineBuffer))):
            name_lines(series)
        found = self.cerebro, self.strategy, self.datas, now
        known = self.adoptable and not any(data.replaying for data in self.datas)
        self.bars = BarsKnown(*found, self._follow) if known else BarsAsTheyCome(*found)
        self.at = self.bars.at
        return self.bars

    def _follow(self, part: Any, lines: list[LineBuffer], cursor: Cursor) -> None:
        self._share(lines, cursor)
        if not isinstance(part, LineBuffer):
            self._shorten(part)

    def _closes_are_finite(self) -> bool:
        frames = [data.p.dataname for data in self.datas if not isinstance(data, DataClone)]
        return all(np.isfinite(frame["close"].to_numpy(dtype=np.float64)).all() for frame in frames)

    def _run_bars(self, plain: bool, bars: BarsAsTheyCome) -> None:
        cerebro, strategy, on_bar = self.cerebro, self.strategy, self.on_bar
        watched, account = self._watched(), self._adopt_if_possible(plain)
        stock_notify = watched or not self.adoptable
        nothing: tuple[list[Notice], list[Trade]] = [], []
        before: float | None = None
        for step, time in enumerate(bars.deliver()):
            if self._acts_early(time, strategy._next_open):
                return
            account[0] = step
            told = nothing
            if not self.adoptable:
                cerebro._brokernotify()
            elif self._match(watched) and not watched:
                told = self._take()
            if cerebro._event_stop:
                return
            if cerebro._timers:
                cerebro._check_timers([strategy], time, cheat=False)
            now = bars.move_strategy()
            bars.move_indicators()
            self._tell_all(told, now, stock_notify, plain)
            self.done = step + 1
            if on_bar is not None and now != before:
                on_bar(self.done)
            before = now
            strategy._minperstatus = phase = bars.phase()
            self._decide(phase)
            if watched:
                strategy._next_analyzers(phase)
                strategy._next_observers(phase)
            if stock_notify:
                strategy.clear()
            if cerebro._event_stop:
                return

    def _places(self, data: Any) -> Any:
        number = next(k for k, other in enumerate(self.datas) if other is data)
        return self.bars.places(number)[: self.done]

    def _hand_over_account(self, plain: bool) -> None:
        self.bars.check()
        self.times = self.bars.times
        super()._hand_over_account(plain)
