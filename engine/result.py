"""From a recording to a `RunResult`, the same way for every kind of run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import reports  # noqa: F401  # so that a notebook shows the run
from analyzers.metrics import summarize
from core.results import RunResult
from engine.recording import Recording
from feeds.market import Market

if TYPE_CHECKING:
    import pandas as pd


def run_result(
    kind: str,
    reference: str,
    params: Mapping[str, Any],
    market: Market,
    recording: Recording,
    *,
    engine: str,
    reason: str,
    costs: Mapping[str, float],
    resample: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    meta: Mapping[str, Any] | None = None,
) -> RunResult:
    """Metrics added to what was recorded. kind: "backtest" or "paper"; reference: what loads the strategy."""
    return RunResult(
        kind=kind,
        strategy=reference,
        params=dict(params),
        data=market.info,
        equity=recording.equity,
        cash=recording.cash,
        trades=cast("pd.DataFrame", recording.unread("trades")),
        orders=cast("pd.DataFrame", recording.unread("orders")),
        fills=cast("pd.DataFrame", recording.unread("fills")),
        metrics=summarize(recording.equity, recording.unread("trades"), fills=recording.unread("fills")),
        engine=engine,
        engine_reason=reason,
        prices=dict(market.frames),
        costs=dict(costs),
        notes=(*market.info.notes, *recording.notes, *notes),
        meta={"open_trades": recording.open_trades, "resample": list(resample)} | dict(meta or {}),
    )
