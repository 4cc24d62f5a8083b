"""Sessions with exchanges, made in one place; the vendor's library is imported only when one is opened."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import UnknownNameError
from core.telemetry import get_logger

log = get_logger("core.connect")

FORGOTTEN = "Future exception was never retrieved"
TIMEOUT_MILLISECONDS = 10_000


def is_exchange(name: str) -> bool:
    """True when the installed ccxt has an exchange of that id. Looks for its file: importing ccxt costs seconds."""
    return name in exchange_names()


def exchange_names() -> list[str]:
    """Ids of the exchanges the installed ccxt knows; empty without ccxt."""
    spec = importlib.util.find_spec("ccxt")
    if spec is None or spec.origin is None:
        return []
    return sorted(p.stem for p in (Path(spec.origin).parent / "abstract").glob("[a-z0-9]*.py"))


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop for a client library: futures that the library fails and forgets are noted, not shown at length."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_note_forgotten)
    return loop


def _note_forgotten(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if context.get("message") == FORGOTTEN:
        log.debug("connection.forgotten", error=repr(context.get("exception"))[:200])
    else:
        loop.default_exception_handler(context)


def ccxt_stream_session(name: str, options: Mapping[str, Any]) -> Any:
    """An asynchronous ccxt.pro exchange, with streams; it keeps the exchange's rate limit and never repeats a request."""
    return _ccxt("ccxt.pro", name, options)


def ccxt_polled_session(name: str, options: Mapping[str, Any]) -> Any:
    """An asynchronous ccxt exchange without streams, of which there are more; it keeps to the same rules."""
    return _ccxt("ccxt.async_support", name, options)


def ccxt_session(name: str, *, options: Mapping[str, Any] | None = None) -> Any:
    """A synchronous ccxt exchange that keeps the exchange's rate limit and repeats nothing: ccxt would repeat orders too.

    options: further fields of the ccxt constructor. Public data needs no key, so none is read here.
    """
    return _ccxt("ccxt", name, options or {})


def _ccxt(library: str, name: str, options: Mapping[str, Any]) -> Any:
    """Raises UnknownNameError before anything is imported."""
    if not is_exchange(name):
        raise UnknownNameError("exchange", name, exchange_names())
    settings = {"enableRateLimit": True, "timeout": TIMEOUT_MILLISECONDS, **options}
    settings["options"] = {**settings.get("options", {}), "maxRetriesOnFailure": 0}
    return getattr(importlib.import_module(library), name)(settings)


def public_only(session: Any, address: str = "") -> Any:
    """The session, which asks for no more than public spot prices need. address: of one that speaks as Binance does."""
    if session.id == "binance":
        session.options |= {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
        session.has["fetchCurrencies"] = False
        session.urls["api"]["public"] = address or session.urls["api"]["public"]
    return session
