"""Order path: venues, pre-trade risk, the write-ahead journal, and the Backtrader broker over them.

Nothing is loaded until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brokers.actions import Action
    from brokers.base import Venue
    from brokers.binance import BinanceVenue
    from brokers.binance_link import BinanceSettings
    from brokers.bridge import VenueBroker
    from brokers.costs import Costs
    from brokers.ibkr import IBKRVenue
    from brokers.ibkr_link import IBKRSettings
    from brokers.margin import Margin
    from brokers.paper import PaperVenue
    from brokers.plain import BinanceBroker, IBKRBroker, PaperBroker
    from brokers.risk import Limits
    from brokers.working import Entries

__all__ = [
    "Action",
    "BinanceBroker",
    "BinanceSettings",
    "BinanceVenue",
    "Costs",
    "Entries",
    "IBKRBroker",
    "IBKRSettings",
    "IBKRVenue",
    "Limits",
    "Margin",
    "PaperBroker",
    "PaperVenue",
    "Venue",
    "VenueBroker",
]

_HOMES = {
    "Action": "brokers.actions",
    "Costs": "brokers.costs",
    "Margin": "brokers.margin",
    "BinanceBroker": "brokers.plain",
    "IBKRBroker": "brokers.plain",
    "Entries": "brokers.working",
    "Limits": "brokers.risk",
    "BinanceSettings": "brokers.binance_link",
    "BinanceVenue": "brokers.binance",
    "IBKRSettings": "brokers.ibkr_link",
    "IBKRVenue": "brokers.ibkr",
    "PaperBroker": "brokers.plain",
    "PaperVenue": "brokers.paper",
    "Venue": "brokers.base",
    "VenueBroker": "brokers.bridge",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'brokers' has no attribute {name!r}")
