"""What a recipe is kept under: all that making a strategy may depend on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
import pandas as pd

from engine.compiled.purity import FIXED

if TYPE_CHECKING:
    pass


MINUTE = 60_000_000


def key_of(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    cheat_on_open: bool = False,
) -> Hashable | None:
    """All that a strategy's making may depend on; None when some of it cannot be compared."""
    numbers, account, given = key_of_values(params), key_of_broker(broker), key_of_sizer(sizer)
    if numbers is None or account is None or given is None:
        return None
    structure = tuple((name, timeframe_of(frame.index)) for name, frame in frames.items())
    return cls, numbers, structure, account, given, cheat_on_open


def key_of_values(values: Mapping[str, Any]) -> Hashable | None:
    """Values by name with their kinds; None when one is no plain value."""
    found = []
    for name, value in values.items():
        kind = type(value)
        if kind is tuple:
            parts = key_of_values(dict(enumerate(value)))  # type: ignore[arg-type]
            if parts is None:
                return None
            found.append((name, kind, parts))
        elif kind in FIXED:
            found.append((name, kind, repr(value) if kind in (float, complex) else value))
        else:
            return None
    return tuple(found)


def key_of_sizer(sizer: Any) -> Hashable | None:
    """The sizer's class and its parameters."""
    kind, arguments = sizer if isinstance(sizer, tuple) else (sizer, {})
    values = key_of_values(arguments)
    return None if values is None else (kind, values)


@cache
def _plain_names() -> tuple[frozenset[str], frozenset[str]]:
    broker = bt.brokers.BackBroker()
    return frozenset(vars(broker)), frozenset(vars(broker.comminfo[None]))


def key_of_broker(broker: bt.brokers.BackBroker) -> Hashable | None:
    """The settings of an ordinary broker that has not run."""
    if type(broker) is not bt.brokers.BackBroker or not vars(broker).keys() <= _plain_names()[0]:
        return None
    if broker._userhist or broker._fundhist or broker._cash_addition:
        return None
    schemes = []
    settings = dict(vars(broker.p))
    for name, scheme in (*broker.comminfo.items(), ("~default", settings.pop("commission"))):
        if (
            type(scheme) not in (bt.CommInfoBase, bt.CommissionInfo)
            or vars(scheme).keys() != _plain_names()[1]
        ):
            return None
        values = key_of_values(
            vars(scheme.p)
            | {"~stocklike": scheme._stocklike, "~type": scheme._commtype, "~rate": scheme._creditrate}
        )
        if values is None:
            return None
        schemes.append((name, type(scheme), values))
    values = key_of_values(settings)
    return None if values is None else (values, tuple(schemes))


def timeframe_of(index: pd.Index) -> tuple[int, int]:
    """`engine.cerebro.timeframe_of`, at once where all bars are equally far apart."""
    from engine import cerebro

    if isinstance(index, pd.DatetimeIndex) and len(index) > 2 and index.unit == "ns":
        times = index.asi8
        steps = times[1:] - times[:-1]
        if steps[0] % MINUTE == 0 and times[0] % 1_000_000 == 0 and (steps == steps[0]).all():
            return _timeframe_of_step(int(steps[0]))
    return cerebro.timeframe_of(index)


@cache
def _timeframe_of_step(nanoseconds: int) -> tuple[int, int]:
    from engine import cerebro

    return cerebro.timeframe_of(pd.DatetimeIndex(np.arange(3) * nanoseconds))
