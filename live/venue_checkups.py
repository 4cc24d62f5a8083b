"""What can be checked at a venue: keys, permissions, clock, connections, orders that no bot owns. One finding each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from brokers.binance_link import BinanceSettings
from brokers.ibkr_link import IBKRSettings
from core.errors import TradewrightError
from live.checkups import Finding, ok
from live.profiles import FIELDS, Connection, connection, profiles

if TYPE_CHECKING:
    from core.config import Settings

LATE_SECONDS, TOO_LATE_SECONDS = 2.0, 5.0
FORBIDDEN: Mapping[str, str] = {
    "enableWithdrawals": "Enable Withdrawals",
    "enableInternalTransfer": "Enable Internal Transfer",
    "permitsUniversalTransfer": "Permits Universal Transfer",
}
"""Permissions that nothing here uses, and that make a key that leaks worse."""
PLACE = "at Binance, API Management"
BOTS = Path("runs/bots")


def keys(only: str | None) -> Iterator[Finding]:
    """Every profile of every venue, or of one: what it needs is there. Values are never shown."""
    for venue in FIELDS:
        if only is not None and venue != only:
            continue
        names: list[str | None] = [*profiles(venue)] or ([None] if only else [])
        for profile in names:
            try:
                found = connection(venue, profile)
            except TradewrightError as error:
                yield Finding("keys", "fail", error.message, error.hint)
                continue
            what = "key and secret set" if venue == "binance" else f"for {found.where}"
            yield ok(
                "keys",
                f"{venue}, profile {profile or '(none)'}: {what}{', a simulator' if found.simulated else ''}",
            )


def venue(settings: Settings, symbol: str | None) -> Iterator[Finding]:
    """The venue of the configuration, over its own protocol; no order is sent."""
    try:
        found = connection(settings.broker.name, settings.broker.profile)
    except TradewrightError as error:
        yield Finding("venue", "fail", error.message, error.hint)
        return
    try:
        if isinstance(found.broker, BinanceSettings):
            yield from binance(found, found.broker, settings)
        else:
            yield from ibkr(found, found.broker, settings, symbol or "AAPL")
        yield from exchanges(settings)
    except TradewrightError as error:
        yield Finding(
            "venue", "fail", error.message, error.hint or f"see whether {found.where} can be reached"
        )


def binance(found: Connection, broker: BinanceSettings, settings: Settings) -> Iterator[Finding]:
    """Binance Spot."""
    from brokers.binance_checkup import examine

    facts = asyncio.run(examine(replace(broker, timeout_seconds=5.0, longest_wait=5.0)))
    yield ok("venue", f"binance answers{' (a simulator)' if found.simulated else ''}")
    yield clock(facts.offset_seconds)
    if facts.deaf:
        address, why = next(iter(facts.deaf.items()))
        yield Finding(
            "websocket",
            "fail",
            f"{address} cannot be opened: {why}",
            "let the firewall or proxy pass WebSockets",
        )
    else:
        yield ok("websocket", "market streams and WebSocket API can be opened")
    if facts.refusal:
        yield Finding(
            "key",
            "fail",
            facts.refusal,
            f"{PLACE}: enable Reading, and this machine's address among the trusted IPs",
        )
        return
    yield ok("key", "accepted, may read")
    if not facts.may_trade:
        yield Finding(
            "permissions",
            "fail",
            "the key lacks Enable Spot & Margin Trading: every order would be refused",
            f"{PLACE}: tick Enable Spot & Margin Trading",
        )
    else:
        yield ok("permissions", "may trade on Spot")
    yield from _too_much(facts.permissions)
    yield from strangers(facts.open_orders, settings)


def exchanges(settings: Settings) -> Iterator[Finding]:
    """Those whose prices or bars a session asks for beside the venue's: each has a price of what is traded."""
    from feeds.price_watch import problem_of
    from live.consensus import merging_of, others_of
    from live.plan import TIMEFRAME

    merging_of(settings, settings.data.timeframe or TIMEFRAME)
    symbols = [name.strip() for name in (settings.data.symbols or "BTC/USDT").split(",") if name.strip()]
    for source in others_of(settings):
        problems = [problem for symbol in symbols if (problem := problem_of(source, symbol))]
        if problems:
            yield Finding(
                "exchanges", "fail", problems[0], "name others in live.consensus and live.merge.exchanges"
            )
        else:
            yield ok("exchanges", f"{source.name} has prices of {', '.join(symbols)}")


def _too_much(permissions: Mapping[str, bool] | None) -> Iterator[Finding]:
    if permissions is None:
        yield Finding(
            "permissions",
            "warn",
            "Binance does not say here what else the key may do",
            f"{PLACE}: see that it may not withdraw",
        )
        return
    for name, words in FORBIDDEN.items():
        if permissions.get(name):
            yield Finding(
                "permissions",
                "warn",
                f"the key has {words}, which nothing here uses",
                f"{PLACE}: untick {words}",
            )
    if not permissions.get("ipRestrict", True):
        yield Finding(
            "permissions", "warn", "the key works from everywhere", f"{PLACE}: restrict it to trusted IPs"
        )


def ibkr(found: Connection, broker: IBKRSettings, settings: Settings, symbol: str) -> Iterator[Finding]:
    """A TWS or IB Gateway."""
    from brokers.ibkr_checkup import examine

    facts = asyncio.run(examine(broker, symbol))
    kind = "paper" if facts.paper else "LIVE"
    where = f"{found.where}{' (a simulator)' if found.simulated else ''}"
    yield ok("venue", f"a gateway answers at {where}; client id {broker.client_id} is free")
    yield ok("account", f"{facts.account[:2]}...{facts.account[-2:]}, a {kind} account")
    yield clock(facts.offset_seconds)
    if facts.read_only:
        yield Finding(
            "permissions",
            "fail",
            "the API is read-only: every order would be refused (321)",
            "in TWS or IB Gateway, Configuration, API, Settings: untick Read-Only API",
        )
    else:
        yield ok("permissions", "the API takes orders")
    if facts.unknown:
        yield Finding(
            "market data", "warn", f"IBKR lists no {facts.unknown}", "name one you trade with --symbols"
        )
    elif facts.no_data:
        yield Finding(
            "market data",
            "fail" if facts.no_data[:1].isdigit() else "warn",
            f"no quotes of {symbol}: {facts.no_data}",
            "in Client Portal, Settings, Market Data Subscriptions: subscribe, and share it with the paper account",
        )
    else:
        yield ok("market data", f"quotes of {symbol} come")
    yield from strangers(facts.open_orders, settings)


def clock(offset: float) -> Finding:
    """How far our clock is from the venue's."""
    text = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} the venue's"
    if abs(offset) < LATE_SECONDS:
        return ok("clock", text)
    level = "warn" if abs(offset) < TOO_LATE_SECONDS else "fail"
    return Finding(
        "clock", "fail" if level == "fail" else "warn", text, "set the clock by NTP: timedatectl set-ntp true"
    )


def strangers(orders: tuple[tuple[str, str], ...], settings: Settings) -> Iterator[Finding]:
    """Open orders that no run of this database, or of a supervisor's bots here, has made."""
    if not orders:
        yield ok("orders", "none is open")
        return
    ours = _ours(settings)
    unknown = [(symbol, name) for symbol, name in orders if name.partition(".")[0] not in ours]
    for symbol, name in unknown:
        yield Finding(
            "orders",
            "warn",
            f"order {name or '(no name)'} in {symbol} is of no bot here",
            "cancel it at the venue, if nobody needs it",
        )
    if not unknown:
        yield ok("orders", f"{len(orders)} open, each of a bot here")


def _ours(settings: Settings) -> set[str]:
    """Client ids of all orders on record."""
    from store import open_store

    urls = [settings.store.url, *(f"sqlite:///{file}" for file in sorted(BOTS.glob("*/tradewright.db")))]
    found = set()
    for url in dict.fromkeys(urls):
        try:
            with open_store(url, create=False) as database:
                for run in database.runs.list():
                    found |= {order.intent.client_id for order in database.journal(run.run_id).orders()}
        except TradewrightError:
            continue
    return found
