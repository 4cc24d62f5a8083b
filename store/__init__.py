"""What must outlive the process: runs, orders, events, fills, trades, stops and limits, in one database.

`open_store` is the door. SQLAlchemy is imported when a name is first used, so that importing `store` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.journal import Journal
    from store.models import RunStatus, TradeStatus
    from store.orders import JournalledEvent, OrderRecord, StopRecord
    from store.runs import BotRecord, BotRepository, RunRecord, RunRepository
    from store.series import MetricRepository, PositionRepository
    from store.session import Store, open_store
    from store.trades import TradeRecord, TradeRepository

__all__ = [
    "BotRecord",
    "BotRepository",
    "Journal",
    "JournalledEvent",
    "MetricRepository",
    "OrderRecord",
    "PositionRepository",
    "RunRecord",
    "RunRepository",
    "RunStatus",
    "StopRecord",
    "Store",
    "TradeRecord",
    "TradeRepository",
    "TradeStatus",
    "open_store",
]

_HOMES = {
    "store.journal": ("Journal",),
    "store.models": ("RunStatus", "TradeStatus"),
    "store.orders": ("JournalledEvent", "OrderRecord", "StopRecord"),
    "store.runs": ("BotRecord", "BotRepository", "RunRecord", "RunRepository"),
    "store.series": ("MetricRepository", "PositionRepository"),
    "store.session": ("Store", "open_store"),
    "store.trades": ("TradeRecord", "TradeRepository"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'store' has no attribute {name!r}")
