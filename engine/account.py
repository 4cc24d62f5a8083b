"""The simulated account a run starts with: Backtrader's own broker, configured by whoever calls.

broker = bt.brokers.BackBroker(slip_perc=0.0005)
broker.setcash(50_000)
broker.setcommission(commission=2.0, margin=2_000.0, mult=10.0)
backtest(Momentum, frames, broker=broker)
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backtrader as bt

from core.errors import UserError

if TYPE_CHECKING:
    from brokers.costs import Costs
    from engine.recording import Recording

Account = bt.brokers.BackBroker
"""What holds cash, costs and rules; for those who do not name Backtrader."""


def copied(broker: bt.brokers.BackBroker) -> bt.brokers.BackBroker:
    """A new broker with the same parameters and commission schemes; nothing of a run is taken over.

    Raises UserError for anything but Backtrader's simulated broker, and for one with an order or fund history,
    which Backtrader keeps as an iterator that one run uses up.
    """
    if not isinstance(broker, bt.brokers.BackBroker):
        raise UserError(
            f"cannot simulate with a {type(broker).__name__}",
            hint="give a configured backtrader.brokers.BackBroker, or leave broker out",
        )
    if broker._userhist or broker._fundhist:
        raise UserError(
            "a broker with an order or fund history cannot be copied", hint="leave the history out"
        )
    fresh = type(broker)(**dict(broker.p._getkwargs()))
    fresh.comminfo = {name: copy.copy(scheme) for name, scheme in broker.comminfo.items()}
    return fresh


def costs_of(broker: bt.brokers.BackBroker) -> dict[str, float]:
    """Cash, commission and slippage as figures for a report; commission is the one of datas without their own.

    commission: a fraction of the traded value, or money a unit where the scheme is a fixed one.
    """
    costs = {"cash": float(broker.p.cash), "commission": float(broker.comminfo[None].p.commission)}
    slippage = {"slippage": float(broker.p.slip_perc), "slippage_fixed": float(broker.p.slip_fixed)}
    return costs | {name: value for name, value in slippage.items() if value}


def charges_of(
    recording: Recording, costs: Costs | None
) -> tuple[dict[str, float], dict[str, Any], tuple[str, ...]]:
    """What a run under `costs` was charged: figures for `costs`, events for `meta`, and notes; nothing for None."""
    if costs is None or not costs.active:
        return {}, {}, ()
    from brokers.movements import events, notes, totals

    told = recording.strategy.broker.movements if recording.strategy is not None else []
    fees = {"fees_paid": float(recording.fills["commission"].sum())}
    meta = {"costs": {"text": costs.text(), "events": events(told)}}
    return {**costs.figures(), **totals(told), **fees}, meta, notes(told)


@dataclass(frozen=True, slots=True)
class Schemes:
    """A broker as plain values, which another process can read: parameters, and commission schemes by symbol."""

    params: Mapping[str, Any]
    schemes: Mapping[str | None, tuple[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, broker: bt.brokers.BackBroker) -> Schemes:
        """Take a configured broker down."""
        params = dict(broker.p._getkwargs())
        params.pop("commission", None)
        schemes = {
            symbol: (f"{type(scheme).__module__}:{type(scheme).__qualname__}", dict(scheme.p._getkwargs()))
            for symbol, scheme in broker.comminfo.items()
        }
        return cls(params, schemes)

    def broker(self) -> bt.brokers.BackBroker:
        """The broker again."""
        made = bt.brokers.BackBroker(**self.params)
        made.comminfo = {
            symbol: _named(kind)(**arguments) for symbol, (kind, arguments) in self.schemes.items()
        }
        return made


def _named(reference: str) -> Any:
    """What `module:name` names."""
    module, _, name = reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
