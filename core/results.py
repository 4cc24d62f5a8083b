"""What every run yields, whatever engine or venue it ran on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from core.types import DataInfo

TRADE_COLUMNS = (
    "symbol",
    "entry_time",
    "exit_time",
    "size",
    "entry_price",
    "exit_price",
    "pnl",
    "pnl_net",
    "commission",
    "exit_reason",
    "bars",
)
ORDER_COLUMNS = (
    "order_id",
    "time",
    "symbol",
    "type",
    "side",
    "size",
    "price",
    "limit",
    "status",
    "filled",
    "average_price",
    "commission",
    "closed_time",
    "exit_reason",
)
FILL_COLUMNS = ("time", "symbol", "size", "price", "commission", "order_id")


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run.

    equity, cash: Series, one value a bar, aware UTC index, in account currency.
    trades: closed trades, columns `TRADE_COLUMNS`; size is signed (negative for a short), pnl before and
    pnl_net after commission. orders: columns `ORDER_COLUMNS`; order_id counts from 1 in order of submission.
    fills: columns `FILL_COLUMNS`; size is signed. metrics: from `analyzers.metrics`, fractions, not percent.
    prices: the OHLCV frames the run saw, by symbol. costs: cash, commission and whatever else was charged.
    """

    kind: str
    strategy: str
    params: Mapping[str, Any]
    data: DataInfo
    equity: pd.Series
    cash: pd.Series
    trades: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame
    metrics: Mapping[str, float]
    engine: str
    engine_reason: str
    prices: Mapping[str, pd.DataFrame]
    costs: Mapping[str, float]
    notes: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
