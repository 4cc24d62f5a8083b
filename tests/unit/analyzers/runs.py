"""Small finished runs of any shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from analyzers.metrics import summarize
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from core.types import DataInfo

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def finished(
    equity: Any,
    *,
    freq: str = "B",
    fills: tuple[tuple[Any, ...], ...] = (),
    trades: tuple[tuple[Any, ...], ...] = (),
    index: pd.DatetimeIndex | None = None,
    prices: dict[str, pd.DataFrame] | None = None,
) -> RunResult:
    """A run with this equity; fills and trades give times as numbers of bars, else the columns of core.results."""
    times = pd.date_range("2024-01-01", periods=len(equity), freq=freq, tz="UTC") if index is None else index
    value = pd.Series(np.asarray(equity, dtype=np.float64), index=times)
    made = pd.DataFrame([(times[bar], *rest) for bar, *rest in fills], columns=list(FILL_COLUMNS))
    closed = pd.DataFrame(
        [(name, times[first], times[last], *rest) for name, first, last, *rest in trades],
        columns=list(TRADE_COLUMNS),
    )
    return RunResult(
        kind="backtest",
        strategy="momentum",
        params={},
        data=DataInfo("csv:prices.csv", ("A",), MOMENT, MOMENT, len(times), "1d"),
        equity=value,
        cash=value,
        trades=closed,
        orders=pd.DataFrame(columns=list(ORDER_COLUMNS)),
        fills=made,
        metrics=summarize(value, closed, fills=made),
        engine="cerebro",
        engine_reason="the only one",
        prices=prices or {},
        costs={},
    )
