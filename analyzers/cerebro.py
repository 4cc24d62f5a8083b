"""Backtrader analyzers over `analyzers.metrics`, for a plain script with a stock `bt.Cerebro`."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from analyzers.metrics import summarize


class Metrics(bt.Analyzer):
    """Every metric of the run: `cerebro.addanalyzer(Metrics)`, then `get_analysis()` gives the dict.

    Parameter periods: bars a year; None takes it from the times of the bars. Keys, units and definitions are
    those of `analyzers.metrics.summarize`. The account's value is taken at every bar, warm-up included.
    """

    params = (("periods", None),)

    def start(self) -> None:
        """Begin with nothing recorded."""
        self._equity: list[tuple[float, float]] = []
        self._trades: list[tuple[float, float, float, float]] = []
        self._fills: list[tuple[float, str, float, float]] = []

    def next(self) -> None:
        """Note the account's value at this bar; Backtrader calls it during the warm-up too."""
        self._equity.append((self.strategy.datetime[0], self.strategy.broker.getvalue()))

    def notify_order(self, order: bt.Order) -> None:
        """Note the executions that are new with this notification."""
        for bit in filter(None, order.executed.iterpending()):
            paid = bit.openedcomm + bit.closedcomm
            # Several data may share one name, or have none: what is held is counted by the data itself.
            self._fills.append((bit.dt, str(id(order.data)), bit.size, paid))

    def notify_trade(self, trade: bt.Trade) -> None:
        """Note a closed trade."""
        if trade.isclosed:
            self._trades.append((trade.dtopen, trade.dtclose, trade.pnlcomm, trade.commission))

    def get_analysis(self) -> dict[str, float]:
        """The metrics so far; NaN where one is not defined."""
        import pandas as pd

        times = _times([time for time, _ in self._equity])
        equity = pd.Series([value for _, value in self._equity], index=times, dtype="float64")
        trades = pd.DataFrame(self._trades, columns=["entry_time", "exit_time", "pnl_net", "commission"])
        fills = pd.DataFrame(self._fills, columns=["time", "symbol", "size", "commission"])
        fills["time"] = _times(fills["time"])
        return summarize(equity, trades, fills=fills, periods=self.p.periods)


def _times(days: Any) -> Any:
    """Backtrader's day numbers as aware UTC times."""
    import pandas as pd

    return pd.DatetimeIndex([bt.num2date(day) for day in days], dtype="datetime64[us]").tz_localize("UTC")
