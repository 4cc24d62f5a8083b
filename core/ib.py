"""The library that speaks to TWS and IB Gateway: ib_async, or ib_insync where that is what is installed.

The two share their interface, and a package of theirs, so that only one of them can be in an environment.
"""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

from core.errors import ConfigError

LIBRARIES = ("ib_async", "ib_insync")


def ib_library() -> Any:
    """The installed library, imported. Raises ConfigError when there is none."""
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            return import_module(name)
    raise ConfigError("no library for IBKR is installed", hint="pip install ib_async")
