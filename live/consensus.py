"""The exchanges whose prices a session compares before it enters, or whose bars it merges, as configured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from brokers.binance_link import BinanceSettings
from core.connect import exchange_names, is_exchange
from core.errors import ConfigError, UnknownNameError
from engine.live_feeds import Merging
from feeds.bridge import VenueStream
from feeds.consensus import Agreed, Consensus
from feeds.live.ccxt import CcxtStreamSettings
from feeds.price_watch import PriceSource, PriceWatch
from feeds.spacing import SECOND, parse_timeframe
from live.profiles import is_loopback

if TYPE_CHECKING:
    from core.config import Settings
    from live.plan import LivePlan

MERGED = "live.merge.exchanges"
NEAR_SECONDS = 0.2
"""How often an exchange on this machine is asked for a bar: it is a simulated one, whose minutes may be short."""


def sources_of(settings: Settings) -> tuple[PriceSource, ...]:
    """The exchanges besides the one that is traded at. Raises ConfigError and UnknownNameError for what cannot be."""
    live = settings.live
    found = _named("live.consensus", live.consensus, settings.broker.name)
    if found is None:
        return ()
    Consensus(
        live.consensus_quorum,
        tolerance=live.consensus_tolerance,
        max_age=timedelta(seconds=live.consensus_max_age),
    )
    _check_quorum(len(found), live.consensus_quorum, "live.consensus", "live.consensus_quorum")
    return found


def price_watch(plan: LivePlan) -> PriceWatch | None:
    """What asks them, the traded venue among them; None where none are configured."""
    others, broker, live = sources_of(plan.settings), plan.connection.broker, plan.settings.live
    if not others or not isinstance(broker, BinanceSettings):
        return None
    return PriceWatch(
        [PriceSource(plan.connection.venue, rest=broker.rest), *others],
        plan.symbols,
        quorum=live.consensus_quorum,
        tolerance=live.consensus_tolerance,
        max_age=timedelta(seconds=live.consensus_max_age),
        poll_seconds=live.consensus_max_age / 4,
    )


def merging_of(settings: Settings, timeframe: str) -> Merging | None:
    """Whose bars are merged; None for the venue's alone. Raises ConfigError and UnknownNameError for what cannot be."""
    merge = settings.live.merge
    found = _named(MERGED, merge.exchanges, settings.broker.name)
    if found is None:
        return None
    _check_quorum(len(found), merge.quorum, MERGED, "live.merge.quorum")
    if merge.grace * SECOND >= parse_timeframe(timeframe):
        raise ConfigError(
            f"a bar of {timeframe} cannot wait {merge.grace:g} s for others",
            hint="set live.merge.grace below the length of a bar",
        )
    if merge.grace >= settings.live.stale_seconds:
        raise ConfigError(
            f"a bar that waits {merge.grace:g} s for others is stale after {settings.live.stale_seconds:g} s",
            hint="set live.merge.grace below live.stale_seconds",
        )
    others = [VenueStream(each.name, settings=_stream(each)) for each in found]
    return Merging(others, merge.quorum, merge.tolerance, merge.grace)


def others_of(settings: Settings) -> tuple[PriceSource, ...]:
    """Every exchange that is compared or merged, but the traded one."""
    merged = _named(MERGED, settings.live.merge.exchanges, settings.broker.name) or ()
    return tuple({each.name: each for each in (*sources_of(settings), *merged)}.values())


class MergedPrices:
    """What a session's merged bars agree on, for `brokers.consensus_guard`."""

    def __init__(self, merging: Merging) -> None:
        self._merging = merging

    def agreed(self, symbol: str) -> Agreed:
        """At its last bar; nothing before there is any."""
        known = self._merging.agreed.get(symbol)
        return known() if known is not None else Agreed(None, ())


def _stream(source: PriceSource) -> CcxtStreamSettings:
    settings = CcxtStreamSettings(source.exchange, source.rest)
    if not source.rest or not is_loopback(urlsplit(source.rest).hostname or ""):
        return settings
    return replace(
        settings,
        timeout_seconds=2.0,
        settle_seconds=0.0,
        poll_seconds=NEAR_SECONDS,
        pause_seconds=NEAR_SECONDS,
    )


def _named(key: str, value: str | None, venue: str) -> tuple[PriceSource, ...] | None:
    """The exchanges a setting names, but the traded one, which is among them anyway; None where it names none."""
    wanted = [part.strip() for part in (value or "").split(",") if part.strip()]
    if not wanted:
        return None
    if venue != "binance":
        raise ConfigError(
            f"{key} names exchanges of coins; for what {venue} trades there is no second source of prices here that "
            "is sure to be of now: Yahoo's may be 15 minutes old",
            hint=f"leave {key} out",
        )
    found = {}
    for part in wanted:
        name, _, address = (each.strip() for each in part.partition("="))
        if address:
            _check_address(key, name, address)
        elif not is_exchange(name):
            raise UnknownNameError("exchange", name, exchange_names())
        found[name] = PriceSource(name, "binance" if address else name, address)
    found.pop(venue, None)
    return tuple(found.values())


def _check_address(key: str, name: str, address: str) -> None:
    parts = urlsplit(address)
    if not name or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{key}: {name}={address} is no name and address of an exchange",
            hint="write second=https://example.com/api/v3",
        )


def _check_quorum(others: int, quorum: int, key: str, quorum_key: str) -> None:
    if others + 1 < quorum:
        raise ConfigError(
            f"{others + 1} exchange{'s' if others else ''} cannot be the {quorum} that have to agree",
            hint=f"name more in {key}, or set {quorum_key} lower",
        )
