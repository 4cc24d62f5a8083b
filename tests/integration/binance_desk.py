"""What tests of the Binance venue share: a venue on a simulator, orders, and what was told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from core.connect import ccxt_stream_session
from core.types import OrderEvent, OrderIntent, OrderType, Side
from tests.simulator import Simulator

SYMBOL, NATIVE = "ABC/USDT", "ABCUSDT"
D = Decimal


def venue_on(
    sim: Simulator, state: Path | None = None, of: type[BinanceVenue] = BinanceVenue, **changes: Any
) -> BinanceVenue:
    where = f"{sim.host}:{sim.port}"
    settings: dict[str, Any] = {
        "key": "rehearsal-key", "secret": "rehearsal-secret", "rest": f"http://{where}/api/v3",
        "streams": f"ws://{where}/ws", "websocket_api": f"ws://{where}/ws-api/v3", "recv_window": 1_000,
        "timeout_seconds": 1.2, "ping_seconds": 3.0,
    }  # fmt: skip
    given = BinanceSettings(**{**settings, **changes})
    return of(given, symbols=[SYMBOL], state=state, open_session=prompt_session)


def prompt_session(name: str, options: Mapping[str, Any]) -> Any:
    """ccxt's session, which waits no longer between two requests than a simulator wants."""
    return ccxt_stream_session(name, {**options, "rateLimit": 1})


def intent(
    client_id: str, kind: OrderType = OrderType.MARKET, side: Side = Side.BUY, **changes: Any
) -> OrderIntent:
    given = {
        "size": D(2),
        "reference_price": D(100),
        "bar_time": datetime(2024, 1, 1, tzinfo=UTC),
        "leg": 0,
        **changes,
    }
    return OrderIntent(client_id=client_id, symbol=SYMBOL, side=side, type=kind, **given)


def limit_buy(client_id: str, price: object, **changes: Any) -> OrderIntent:
    return intent(client_id, OrderType.LIMIT, price=D(str(price)), **changes)


async def told(venue: BinanceVenue, client_id: str) -> list[OrderEvent]:
    return [event for event in await venue.fills(0) if event.client_id == client_id]


async def statuses(venue: BinanceVenue, client_id: str) -> list[str]:
    return [event.status.value for event in await told(venue, client_id)]
