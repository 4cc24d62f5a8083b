"""Configuration: one typed, frozen model per package, filled from the command line, the environment and files.

    settings = load_settings(cli={"broker.cash": 5000})
    settings.broker.cash

`python -m core.config list` shows every setting. Importing this package reads nothing and loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.config.account import AccountSettings
    from core.config.catalogue import Entry, Template, entries, read_template, templates
    from core.config.costs import CostSettings, MarginSettings
    from core.config.merge import MergeSettings
    from core.config.risk import ComplianceSettings, PortfolioSettings, RiskSettings
    from core.config.schema import (
        BrokerSettings,
        DataSettings,
        LiveSettings,
        LogSettings,
        OptimizeSettings,
        ReportSettings,
        Settings,
        StoreSettings,
        StrategySettings,
    )
    from core.config.sources import explain_settings, load_settings, parse_assignments

_HOMES = {
    "core.config.account": ("AccountSettings",),
    "core.config.catalogue": ("Entry", "Template", "entries", "read_template", "templates"),
    "core.config.costs": ("CostSettings", "MarginSettings"),
    "core.config.merge": ("MergeSettings",),
    "core.config.risk": ("ComplianceSettings", "PortfolioSettings", "RiskSettings"),
    "core.config.schema": (
        "BrokerSettings",
        "DataSettings",
        "LiveSettings",
        "LogSettings",
        "OptimizeSettings",
        "ReportSettings",
        "Settings",
        "StoreSettings",
        "StrategySettings",
    ),
    "core.config.sources": ("explain_settings", "load_settings", "parse_assignments"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountSettings",
    "BrokerSettings",
    "ComplianceSettings",
    "CostSettings",
    "DataSettings",
    "Entry",
    "LiveSettings",
    "LogSettings",
    "MarginSettings",
    "MergeSettings",
    "OptimizeSettings",
    "PortfolioSettings",
    "ReportSettings",
    "RiskSettings",
    "Settings",
    "StoreSettings",
    "StrategySettings",
    "Template",
    "entries",
    "explain_settings",
    "load_settings",
    "parse_assignments",
    "read_template",
    "templates",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
