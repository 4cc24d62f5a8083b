"""What a run was worth: pure metrics, and thin Backtrader analyzers over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzers.cerebro import Metrics, MonteCarlo
    from analyzers.metrics import figures, periods_per_year, summarize
    from analyzers.montecarlo import monte_carlo

__all__ = ["Metrics", "MonteCarlo", "figures", "monte_carlo", "periods_per_year", "summarize"]


def __getattr__(name: str) -> object:
    # Backtrader is loaded by whoever asks for an analyzer, not by `import analyzers`.
    if name in ("Metrics", "MonteCarlo"):
        from analyzers import cerebro

        return getattr(cerebro, name)
    if name == "monte_carlo":
        from analyzers import montecarlo

        return montecarlo.monte_carlo
    if name in ("figures", "periods_per_year", "summarize"):
        from analyzers import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module 'analyzers' has no attribute {name!r}")
