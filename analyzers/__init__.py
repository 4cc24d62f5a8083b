"""What a run was worth: pure metrics, and thin Backtrader analyzers over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzers.cerebro import Metrics
    from analyzers.metrics import periods_per_year, summarize

__all__ = ["Metrics", "periods_per_year", "summarize"]


def __getattr__(name: str) -> object:
    # Backtrader is loaded by whoever asks for an analyzer, not by `import analyzers`.
    if name == "Metrics":
        from analyzers import cerebro

        return cerebro.Metrics
    if name in ("periods_per_year", "summarize"):
        from analyzers import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module 'analyzers' has no attribute {name!r}")
