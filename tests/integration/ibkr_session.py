"""A session at IBKR that dies on the way: `python ibkr_session.py PORT CLIENT STATE SYMBOL POINT`."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from core.types import OrderIntent, OrderType, Side

KILLED = 9


def die(*_: Any) -> None:
    os._exit(KILLED)


async def session(port: int, client: int, state: Path, symbol: str, point: str) -> None:
    venue = IBKRVenue(IBKRSettings(port=port, client_id=client), symbols=[symbol], state=state)
    await venue.connect()
    client_of_library = venue._link.session.client
    send = client_of_library.placeOrder

    def send_and_die(*arguments: Any) -> None:
        send(*arguments)
        die()

    client_of_library.placeOrder = {"before-send": die, "after-send": send_and_die}.get(point, send)
    intent = OrderIntent(
        f"{symbol}-kept",
        symbol,
        Side.BUY,
        OrderType.LIMIT,
        Decimal(2),
        Decimal(100),
        datetime(2024, 1, 2, tzinfo=UTC),
        0,
        price=Decimal(90),
    )
    await venue.submit(intent)
    die()


if __name__ == "__main__":
    asyncio.run(session(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5]))
