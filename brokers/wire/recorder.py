"""Relays between a session and its venue, in a thread of their own, with a recording of what passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from brokers.binance_link import BinanceSettings
from brokers.ibkr_link import IBKRSettings
from brokers.wire.binance import BinanceRelay
from brokers.wire.tape import recording
from brokers.wire.tws import TwsRelay
from core.connect import new_loop

SESSION = "session"
T = TypeVar("T")
AnySettings = BinanceSettings | IBKRSettings


@contextmanager
def recorded(settings: AnySettings, file: Path, session: Mapping[str, Any]) -> Iterator[AnySettings]:
    """Settings that lead to the venue through a relay, while the block lasts. session: what is being recorded.

    Raises ConfigError where the file cannot be written.
    """
    with recording(file) as tape:
        tape.take("us", SESSION, **session)
        loop = new_loop()
        thread = threading.Thread(target=loop.run_forever, name="wire recorder", daemon=True)
        thread.start()

        def wait_for(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        relay = (
            BinanceRelay(settings, tape)
            if isinstance(settings, BinanceSettings)
            else TwsRelay(settings, tape)
        )
        try:
            yield replace(settings, **_addresses(cast(AnySettings, wait_for(relay.start()))))
        finally:
            wait_for(relay.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _addresses(found: AnySettings) -> dict[str, Any]:
    names = ("rest", "streams", "websocket_api") if isinstance(found, BinanceSettings) else ("host", "port")
    return {name: getattr(found, name) for name in names}
