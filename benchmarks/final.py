"""The one figure a sweep is compared by."""

from __future__ import annotations

import backtrader as bt


class Final(bt.Analyzer):
    """Equity after the last bar."""

    def get_analysis(self) -> dict[str, float]:
        return {"value": self.value}

    def stop(self) -> None:
        self.value = self.strategy.broker.getvalue()
