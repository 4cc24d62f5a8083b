"""Strategies: the base class, the three that come along, the registry that finds any of them.

`import strategies` stays light: Backtrader is loaded when a class is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strategies.base import Strategy
    from strategies.level_based import LevelBased
    from strategies.momentum import Momentum
    from strategies.range_bound import RangeBound

__all__ = ["LevelBased", "Momentum", "RangeBound", "Strategy"]

_HOMES = {
    "Strategy": "strategies.base",
    "Momentum": "strategies.momentum",
    "RangeBound": "strategies.range_bound",
    "LevelBased": "strategies.level_based",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'strategies' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
