"""Small finished runs of any shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reports.html
from analyzers.metrics import summarize
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from core.types import DataInfo
from reports.quantstats_page import QuantStatsPart

MakeRun = Callable[..., RunResult]


def make(
    equity: list[float],
    *,
    fills: list[tuple[Any, ...]] = (),
    trades: list[tuple[Any, ...]] = (),
    freq: str = "B",
    symbols: tuple[str, ...] = ("AAA",),
    **changes: Any,
) -> RunResult:
    """A run with this equity; times in fills and trades are numbers of bars."""
    index = pd.date_range("2024-01-01", periods=len(equity), freq=freq, tz="UTC", name="time")
    close = 50.0 + np.sin(np.arange(len(equity)))
    bars = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 10.0}
    value = pd.Series(equity, index=index, dtype="float64", name="equity")
    fill_rows = [(index[bar], *rest) for bar, *rest in fills]
    trade_rows = [(name, index[first], index[last], *rest) for name, first, last, *rest in trades]
    fill_table = pd.DataFrame(fill_rows, columns=list(FILL_COLUMNS))
    trade_table = pd.DataFrame(trade_rows, columns=list(TRADE_COLUMNS))
    moments = [index[0], index[-1]] if len(index) else [pd.Timestamp(0, tz="UTC")] * 2
    given = {
        "kind": "backtest",
        "strategy": "momentum",
        "params": {"fast": 10},
        "data": DataInfo(
            "csv:prices.csv", symbols, *(m.to_pydatetime().astimezone(UTC) for m in moments), len(index), "1d"
        ),
        "equity": value,
        "cash": value.rename("cash"),
        "trades": trade_table,
        "orders": pd.DataFrame(columns=list(ORDER_COLUMNS)),
        "fills": fill_table,
        "metrics": summarize(value, trade_table, fills=fill_table),
        "engine": "cerebro",
        "engine_reason": "the only one",
        "prices": {name: pd.DataFrame(bars, index=index) for name in symbols},
        "costs": {"cash": 1000.0, "commission": 0.001},
    }
    return RunResult(**(given | changes))


@pytest.fixture
def make_run() -> MakeRun:
    """Builds a run from its equity, fills and trades."""
    return make


@pytest.fixture
def run() -> RunResult:
    """Thirty bars, one closed trade and one that stays open."""
    equity = [1000.0 + 10 * np.sin(bar) + bar for bar in range(30)]
    fills = [
        (5, "AAA", 2.0, 50.5, 0.101, 1),
        (9, "AAA", -2.0, 51.5, 0.103, 2),
        (20, "AAA", -1.0, 50.0, 0.05, 3),
    ]
    trades = [("AAA", 5, 9, 2.0, 50.5, 51.5, 2.0, 1.796, 0.204, "profit_target", 4)]
    return make(equity, fills=fills, trades=trades, notes=("one bar was filled",), meta={"open_trades": 1})


@pytest.fixture
def without_quantstats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the part that takes seconds, where a test is about the rest."""
    monkeypatch.setattr(
        reports.html, "quantstats_part", lambda *args, **options: QuantStatsPart(missing="not now")
    )
