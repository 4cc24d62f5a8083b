"""What can be learnt of a key and of the way to Binance without an order."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from brokers.binance_link import BinanceLink, BinanceSettings, Refused
from core.errors import VenueFatal, VenueTransient

STREAMS = "wss://stream.binance.com:9443/ws"
WEBSOCKET_API = "wss://ws-api.binance.com:443/ws-api/v3"
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BinanceFacts:
    """offset_seconds: how far our clock is ahead of Binance's. refusal: of the key, or none.

    permissions: what the key may do, as apiRestrictions names it; None where the server does not say. open_orders:
    symbol and client id of each. deaf: why a WebSocket cannot be opened, by its address.
    """

    offset_seconds: float
    refusal: str
    may_trade: bool
    permissions: Mapping[str, bool] | None
    open_orders: tuple[tuple[str, str], ...]
    deaf: Mapping[str, str]


async def examine(settings: BinanceSettings) -> BinanceFacts:
    """Ask. Raises VenueTransient where Binance does not answer."""
    link = BinanceLink(settings, lambda report: None)
    try:
        await link.open()
        sent = wall.time()
        told = await link.read("public_get_time")
        offset = (sent + wall.time()) / 2 - int(told["serverTime"]) / 1000
        deaf = await _deaf(settings)
        try:
            account = await link.read("private_get_account")
            orders = await link.read("private_get_openorders")
        except (VenueFatal, Refused) as refusal:
            return BinanceFacts(offset, str(refusal), False, None, (), deaf)
        named = tuple((str(order["symbol"]), str(order["clientOrderId"])) for order in orders)
        permissions = await _permissions(link)
        may_trade = bool(account.get("canTrade")) and (permissions or {}).get(
            "enableSpotAndMarginTrading", True
        )
        return BinanceFacts(offset, "", may_trade, permissions, named, deaf)
    finally:
        await link.close()


async def _permissions(link: BinanceLink) -> Mapping[str, bool] | None:
    """The testnet, for one, does not know this question."""
    try:
        told: Mapping[str, Any] = await link.read("sapi_get_account_apirestrictions")
    except (Refused, VenueTransient, VenueFatal):
        return None
    return {name: str(value).lower() == "true" for name, value in told.items() if name != "createTime"}


async def _deaf(settings: BinanceSettings) -> dict[str, str]:
    found = {}
    async with aiohttp.ClientSession(trust_env=True) as session:
        for address in (settings.streams or STREAMS, settings.websocket_api or WEBSOCKET_API):
            try:
                async with asyncio.timeout(SECONDS), session.ws_connect(address):
                    continue
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                found[address] = str(error) or type(error).__name__
    return found
