"""What a command is about to run: checked and loaded, before anything is written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.config.catalogue import dotted
from engine import preflight
from engine.cerebro import timeframe_of
from engine.probe import probe
from feeds.market import Market, load
from strategies import registry

if TYPE_CHECKING:
    from core.config import Settings

COLUMNS = ["open", "high", "low", "close", "volume"]
RECORDED: Mapping[str, set[str] | bool] = {
    "data": {"source", "start", "end", "timeframe", "max_gap_bars", "symbols"},
    "broker": {"name", "profile", "cash", "commission", "currency", "costs"},
    "risk": True,
}
"""Settings a run's orders depend on: `--resume` takes them from the run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One strategy over one market. reference: what loads the strategy again. resample: see `backtest`."""

    settings: Settings
    strategy: type[bt.Strategy]
    reference: str
    params: Mapping[str, Any]
    market: Market
    resample: tuple[str, ...] = ()

    @property
    def intraday(self) -> bool:
        """Whether the bars are shorter than a day."""
        frame = next(iter(self.market.frames.values()))
        return timeframe_of(frame.index)[0] < int(bt.TimeFrame.Days)

    @property
    def seed(self) -> str:
        """What makes this run what it is; its folder's hash is taken of it."""
        return repr((self.reference, dict(self.params), self.recorded()))

    def recorded(self) -> dict[str, Any]:
        """What a run must remember to be resumed: its settings as dotted keys, and what its bars were."""
        return {
            "settings": recorded_settings(self.settings),
            "resample": list(self.resample),
            "fingerprint": fingerprint(self.market.frames),
        }


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """The settings that orders depend on, as dotted keys."""
    chosen = settings.model_dump(mode="json", include=RECORDED)
    return dotted(chosen)


def make_plan(settings: Settings, strategy: str, resample: Sequence[str] = ()) -> Plan:
    """Load and check strategy, parameters and data; a UserError says what cannot be used."""
    preflight.check_money(settings.broker.cash, settings.broker.commission)
    cls = registry.load(strategy)
    params = registry.resolve_params(cls, settings.strategy.params)
    market = load(settings.data.source, settings=settings.data)
    preflight.check_frames(market.frames)
    preflight.check_names(market.frames, resample)
    probe(cls, params, market.frames, resample=resample)
    return Plan(settings, cls, registry.reference(cls), params, market, tuple(resample))


def fingerprint(frames: Mapping[str, pd.DataFrame]) -> str:
    """A hash of every bar: equal for equal bars, whatever file they came from."""
    digest = hashlib.sha256()
    for name, frame in frames.items():
        times = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
        digest.update(name.encode())
        digest.update(times.tobytes())
        digest.update(np.ascontiguousarray(frame[COLUMNS].to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
