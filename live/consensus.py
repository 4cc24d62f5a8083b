"""The exchanges whose prices a session compares before it enters, as configured."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from brokers.binance_link import BinanceSettings
from core.connect import exchange_names, is_exchange
from core.errors import ConfigError, UnknownNameError
from feeds.consensus import Consensus
from feeds.price_watch import PriceSource, PriceWatch

if TYPE_CHECKING:
    from core.config import Settings
    from live.plan import LivePlan


def sources_of(settings: Settings) -> tuple[PriceSource, ...]:
    """The exchanges besides the one that is traded at. Raises ConfigError and UnknownNameError for what cannot be."""
    live, venue = settings.live, settings.broker.name
    wanted = [part.strip() for part in (live.consensus or "").split(",") if part.strip()]
    if not wanted:
        return ()
    if venue != "binance":
        raise ConfigError(
            f"live.consensus compares exchanges of coins, and {venue} is none",
            hint="leave live.consensus out",
        )
    found = {}
    for part in wanted:
        name, _, rest = part.partition("=")
        if not rest and not is_exchange(name):
            raise UnknownNameError("exchange", name, exchange_names())
        found[name] = PriceSource(name, "binance" if rest else name, rest)
    found.pop(venue, None)
    Consensus(
        live.consensus_quorum,
        tolerance=live.consensus_tolerance,
        max_age=timedelta(seconds=live.consensus_max_age),
    )
    if len(found) + 1 < live.consensus_quorum:
        raise ConfigError(
            f"{len(found) + 1} exchanges cannot be the {live.consensus_quorum} that have to agree",
            hint="name more in live.consensus, or set live.consensus_quorum lower",
        )
    return tuple(found.values())


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
