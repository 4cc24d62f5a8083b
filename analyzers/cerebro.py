"""Backtrader analyzers over `analyzers.metrics` and `analyzers.montecarlo`, for a script with a stock `bt.Cerebro`."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import backtrader as bt

from analyzers.metrics import figures_of
from core.errors import DataError

TRADES = (
    "symbol",
    "entry_time",
    "exit_time",
    "size",
    "entry_price",
    "exit_price",
    "pnl_net",
    "commission",
    "bars",
)
FILLS = ("time", "symbol", "size", "price", "commission")


class Recorded(bt.Analyzer):
    """What the analyzers share: account, fills, closed trades and bars, as Backtrader tells of them.

    The account's value is taken at every bar, warm-up included.
    """

    def start(self) -> None:
        """Begin with nothing recorded."""
        self._equity: list[tuple[float, float]] = []
        self._trades: list[tuple[Any, ...]] = []
        self._fills: list[tuple[Any, ...]] = []
        self._bars: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
        self._seen: dict[str, int] = {}
        self._entered: dict[int, float] = {}
        self._left: dict[tuple[str, int], float] = {}

    def next(self) -> None:
        """Note this bar, and the account's value at it; Backtrader calls it during the warm-up too."""
        self._equity.append((self.strategy.datetime[0], self.strategy.broker.getvalue()))
        for data in self.strategy.datas:
            # A data of another timeframe has no new bar at each step.
            if len(data) > self._seen.get(_key(data), 0):
                self._seen[_key(data)] = len(data)
                self._bars[_key(data)].append((data.datetime[0], data.high[0], data.low[0]))

    def notify_order(self, order: bt.Order) -> None:
        """Note the executions that are new with this notification."""
        for bit in filter(None, order.executed.iterpending()):
            paid = bit.openedcomm + bit.closedcomm
            self._fills.append((bit.dt, _key(order.data), bit.size, bit.price, paid))
            if bit.closed:
                self._left[_key(order.data), order.tradeid] = bit.price

    def notify_trade(self, trade: bt.Trade) -> None:
        """Note a closed trade, its size as it was opened and its exit as its last price."""
        if trade.justopened:
            self._entered[trade.ref] = trade.size
        if trade.isclosed:
            key = _key(trade.data)
            self._trades.append(
                (
                    *(key, trade.dtopen, trade.dtclose, self._entered.pop(trade.ref, math.nan)),
                    *(trade.price, self._left.get((key, trade.tradeid), trade.price)),
                    *(trade.pnlcomm, trade.commission, trade.barlen),
                )
            )

    def recorded(self) -> tuple[Any, Any, Any]:
        """Equity, trades and fills so far, as `core.results.RunResult` has them; symbols are Backtrader's datas."""
        import pandas as pd

        times = _times([time for time, _ in self._equity])
        equity = pd.Series([value for _, value in self._equity], index=times, dtype="float64")
        trades = pd.DataFrame(self._trades, columns=list(TRADES))
        fills = pd.DataFrame(self._fills, columns=list(FILLS))
        for table, column in ((trades, "entry_time"), (trades, "exit_time"), (fills, "time")):
            table[column] = _times(table[column])
        return equity, trades, fills


class Metrics(Recorded):
    """Every metric of the run: `cerebro.addanalyzer(Metrics)`, then `get_analysis()` gives the dict.

    Parameters: periods, bars a year, None takes it from the times of the bars; benchmark, a series of prices or of an
    account with a DatetimeIndex. Keys, units and definitions are those of `analyzers.metrics.figures`.
    """

    params = (("periods", None), ("benchmark", None))

    def get_analysis(self) -> dict[str, float]:
        """The metrics so far; NaN where one is not defined."""
        import pandas as pd

        prices = {
            key: pd.DataFrame(
                {"high": [bar[1] for bar in bars], "low": [bar[2] for bar in bars]},
                index=_times([bar[0] for bar in bars]),
            )
            for key, bars in self._bars.items()
        }
        equity, trades, fills = self.recorded()
        return figures_of(
            equity, trades, fills, prices=prices, benchmark=self.p.benchmark, periods=self.p.periods
        )


class MonteCarlo(Recorded):
    """What else could have come of the run: `cerebro.addanalyzer(MonteCarlo, method="trades", paths=5_000)`.

    Parameters are those of `analyzers.montecarlo.monte_carlo`.
    """

    params = (
        ("method", "stationary"),
        ("paths", 10_000),
        ("seed", 0),
        ("block", None),
        ("ruin", 0.5),
        ("periods", None),
    )

    def get_analysis(self) -> dict[str, Any]:
        """Percentiles of each figure, a dict of p5, p25, p50, p75 and p95, and "ruin_probability".

        Empty where fewer than two bars or trades, or a lost account, leave nothing to draw.
        """
        try:
            found = self.drawn()
        except DataError:
            return {}
        return {**found.percentiles(), "ruin_probability": found.ruin_probability}

    def drawn(self) -> Any:
        """The whole `analyzers.montecarlo.MonteCarlo`: every path's figures, and the fan. Raises what that raises."""
        from analyzers.montecarlo import monte_carlo, steps_of

        equity, trades, _ = self.recorded()
        returns, periods = steps_of(equity, trades, self.p.method)
        return monte_carlo(
            returns,
            method=self.p.method,
            paths=self.p.paths,
            seed=self.p.seed,
            block=self.p.block,
            ruin=self.p.ruin,
            periods=self.p.periods or (periods if math.isfinite(periods) else None),
        )


def _key(data: Any) -> str:
    """Several datas may share one name, or have none: what is held is counted by the data itself."""
    return str(id(data))


def _times(days: Any) -> Any:
    """Backtrader's day numbers as aware UTC times."""
    import pandas as pd

    return pd.DatetimeIndex([bt.num2date(day) for day in days], dtype="datetime64[us]").tz_localize("UTC")


__all__ = ["Metrics", "MonteCarlo"]
