"""What a live session is about to trade: checked before anything is written or connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from brokers.working import Entries
from core.config.catalogue import dotted
from core.errors import ConfigError
from core.types import to_decimal
from engine import preflight
from engine.command import costs_from
from engine.plan import recorded_settings
from engine.probe import probe
from feeds.spacing import parse_timeframe
from live.consensus import merging_of, sources_of
from live.profiles import Connection
from strategies import registry

if TYPE_CHECKING:
    from core.config import Settings

TIMEFRAME = "1m"
SIMULATED = "simulated"
PROBED_BARS = 5_000
"""Longest warm-up a live session may have, in bars of the first data."""
NANOSECONDS_A_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class LivePlan:
    """One strategy at one venue. warm_up: the bar, from 1, on which it first decides. since: first bar; None: by backfill.

    rehearsed: the venue is a simulator that ends with the session.
    """

    settings: Settings
    strategy: type[Any]
    reference: str
    params: Mapping[str, Any]
    connection: Connection = field(repr=False)
    symbols: tuple[str, ...]
    timeframe: str
    warm_up: int
    resample: tuple[str, ...] = ()
    since: datetime | None = None
    rehearsed: bool = False

    @property
    def intraday(self) -> bool:
        """Whether the bars are shorter than a day."""
        return parse_timeframe(self.timeframe) < NANOSECONDS_A_DAY

    @property
    def seed(self) -> str:
        """What makes this run what it is; its folder's hash is taken of it."""
        return repr((self.reference, dict(self.params), self.recorded(), datetime.now(UTC)))

    def recorded(self) -> dict[str, Any]:
        """What a run must remember to be resumed."""
        merge = {"live": {"merge": self.settings.live.merge.model_dump(mode="json")}}
        return {
            "settings": {**recorded_settings(self.settings), **dotted(merge)},
            "resample": list(self.resample),
            SIMULATED: self.connection.simulated,
        }


def make_live_plan(
    settings: Settings,
    strategy: str,
    connection: Connection,
    resample: Sequence[str] = (),
    *,
    since: datetime | None = None,
    rehearsed: bool = False,
) -> LivePlan:
    """Load and check strategy, parameters and what is traded; a UserError says what cannot be used."""
    preflight.check_money(settings.broker.cash, settings.broker.commission)
    entries_of(settings)
    if costs_from(settings) is not None:
        raise ConfigError(
            "broker.costs are charged on paper alone; a venue charges its own",
            hint="leave them out of the configuration of this session",
        )
    sources_of(settings)
    symbols = tuple(name.strip() for name in (settings.data.symbols or "").split(",") if name.strip())
    if not symbols:
        example = "BTC/USDT" if connection.venue == "binance" else "AAPL"
        raise ConfigError(
            f"nothing was named to trade at {connection.venue}", hint=f"add --symbols {example}"
        )
    if len(set(symbols)) < len(symbols):
        raise ConfigError(f"a symbol stands twice in {settings.data.symbols}", hint="name each once")
    timeframe = settings.data.timeframe or TIMEFRAME
    merging_of(settings, timeframe)
    cls = registry.load(strategy)
    params = registry.resolve_params(cls, settings.strategy.params)
    frames = _any_bars(symbols, timeframe)
    preflight.check_names(frames, resample)
    longest = max([1, *(parse_timeframe(spec) // parse_timeframe(timeframe) for spec in resample)])
    warm_up = probe(cls, params, frames, resample=resample) * longest
    reference = registry.reference(cls)
    return LivePlan(
        settings,
        cls,
        reference,
        params,
        connection,
        symbols,
        timeframe,
        warm_up,
        tuple(resample),
        since,
        rehearsed,
    )


def entries_of(settings: Settings) -> Entries | None:
    """How market entries are made; None leaves them as they are. Raises ConfigError for what cannot be."""
    live, venue = settings.live, settings.broker.name
    if live.entries == "market":
        return None
    if live.entries == "post-only" and venue != "binance":
        raise ConfigError(
            f"{venue} has no post-only orders for what is traded here",
            hint="set live.entries=touch, or market",
        )
    return Entries(
        post_only=live.entries == "post-only",
        seconds=live.reprice_seconds,
        times=live.reprice_times,
        bound=to_decimal(live.reprice_bound),
        then=live.reprice_then,
    )


def _any_bars(symbols: Sequence[str], timeframe: str) -> dict[str, pd.DataFrame]:
    """Bars to set a strategy up on: nothing of them but their number and spacing counts."""
    step = pd.Timedelta(parse_timeframe(timeframe), unit="ns")
    times = pd.date_range("2024-01-01", periods=PROBED_BARS, freq=step, tz="UTC", name="time")
    close = 100 + np.sin(np.arange(float(PROBED_BARS)))
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1_000.0}
    return {symbol: pd.DataFrame(columns, times) for symbol in symbols}
