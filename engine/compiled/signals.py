"""`bt.SignalStrategy`: orders that follow from signals, written out from Backtrader's own source."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from engine.compiled.frames import class_entry
from engine.compiled.opening import Opening
from engine.compiled.values import NONE, ORDER, Number, Static

KINDS = tuple(value for name, value in vars(bt).items() if name.startswith("SIGNAL_"))


class Signals(Opening):
    """The turn of a strategy that has signals."""

    def own_method(self, name: str) -> Any:
        """The strategy's own method of this name; what Backtrader puts in the place of a signal strategy's `next`."""
        cls = type(self.strategy)
        function = class_entry(cls, name)
        function = getattr(function, "__func__", function)
        if name == "next" and isinstance(self.strategy, bt.SignalStrategy):
            return function
        if function is None or getattr(function, "__module__", "").startswith("backtrader"):
            return None
        return function

    def ready_signals(self) -> None:
        """Make the entries that `_next_signal` makes on its first bar."""
        if isinstance(self.strategy, bt.SignalStrategy):
            for kind in KINDS:
                self.strategy._signals[kind]

    def forget_entry(self) -> None:
        """What `SignalStrategy._notify` does before anybody is told: the last entry is let go once it is done."""
        if not isinstance(self.strategy, bt.SignalStrategy):
            return
        owner = Static(self.strategy)
        with self.writing(self.out.block("for n in range(n0, n1):")):
            self.out.line("h = notes[n].order")
            order = Number("h", ORDER, none="False", snap="n")
            entry = self.attribute(owner, "_sentinel")
            if isinstance(entry, Number):
                alive = self.order_method(order, "alive", [])
                same = self.equal(order, entry)
                with self.writing(self.out.block(f"if {same.code} and not {alive.code}:")):
                    self.store_attribute(owner, "_sentinel", NONE)
