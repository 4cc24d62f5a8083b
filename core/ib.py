"""The library that speaks to TWS and IB Gateway: ib_async, or ib_insync where that is what is installed.

The two share their interface, and a package of theirs, so that only one of them can be in an environment.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from core.errors import ConfigError

LIBRARIES = ("ib_async", "ib_insync")
TOLD = (
    "openOrder",
    "orderStatus",
    "execDetails",
    "commissionReport",
    "completedOrder",
    "error",
    "nextValidId",
)
"""What TWS says of orders, by the names its API documents."""
KEPT_ALONE = frozenset({"execDetails", "commissionReport", "completedOrder"})
"""Those of which the library makes records and nothing else: an answer to a review holds the whole day's."""
STOCK, SMART, DOLLAR = "STK", "SMART", "USD"


def ib_library() -> Any:
    """The installed library, imported. Raises ConfigError when there is none."""
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            return import_module(name)
    raise ConfigError("no library for IBKR is installed", hint="pip install ib_async")


def contract_fields(symbol: str) -> dict[str, str]:
    """What to ask IBKR for. Raises ConfigError for what is no symbol."""
    name, *rest = symbol.split(":")
    if not name or len(rest) > 4:
        raise ConfigError(
            f"{symbol!r} is no symbol for IBKR", hint="write AAPL, or SYMBOL:TYPE:EXCHANGE:CURRENCY[:EXPIRY]"
        )
    kind, exchange, currency, expiry = [*rest, *("",) * (4 - len(rest))]
    fields = {
        "symbol": name,
        "secType": kind or STOCK,
        "exchange": exchange or SMART,
        "currency": currency or DOLLAR,
    }
    return {**fields, "lastTradeDateOrContractMonth": expiry} if expiry else fields


def overhear(session: Any, hear: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Tell `hear` every message of TOLD as it comes, after the library has dealt with it.

    The library's own records find an order by ids that TWS hands out again, and leave out what they cannot place.
    They also grow with every order, and are not kept: nor are they made, of what is told for their sake alone.
    """
    wrapper = session.wrapper

    def overheard(name: str, inner: Callable[..., None]) -> Callable[..., None]:
        def message(*told: Any) -> None:
            if name not in KEPT_ALONE:
                inner(*told)
                wrapper.trades.clear()
                wrapper.permId2Trade.clear()
            hear(name, told)

        return message

    for name in TOLD:
        setattr(wrapper, name, overheard(name, getattr(wrapper, name)))


def quieten(library: Any) -> None:
    """Keep the library from logging what it also tells: each order, and each error that a venue sorts by code."""
    for part in ("client", "ib", "wrapper"):
        logging.getLogger(f"{library.__name__}.{part}").setLevel(logging.CRITICAL)
