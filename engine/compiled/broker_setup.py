"""What a configured Backtrader broker asks for, as the records of `engine.compiled.records`; Refused where they fall short."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from engine.compiled.broker import session
from engine.compiled.records import RULES, SCHEME, VOLUME
from engine.refusal import Refused

BOOLEANS = (
    "slip_open",
    "slip_match",
    "slip_limit",
    "slip_out",
    "coc",
    "coo",
    "checksubmit",
    "shortcash",
    "int2pnl",
)


def rules_of(broker: bt.brokers.BackBroker) -> NDArray[np.void]:
    """(1,) RULES of an ordinary broker. Raises Refused for what goes beyond its parameters."""
    if type(broker) is not bt.brokers.BackBroker:
        raise Refused(f"uses a broker of its own: {type(broker).__name__}")
    own = sorted(
        name for name in vars(broker) if inspect.isroutine(getattr(bt.brokers.BackBroker, name, None))
    )
    if own:
        raise Refused(f"replaces a method of the broker: {own[0]}")
    parameters = broker.p
    if parameters.filler is not None:
        raise Refused("uses a volume filler")
    if parameters.eosbar:
        raise Refused("uses eosbar")
    if broker._userhist:
        raise Refused("uses an order history")
    if broker._fundhist:
        raise Refused("uses a fund history")
    if broker._cash_addition:
        raise Refused("adds cash while it runs")
    if not parameters.cash:
        raise Refused("starts without cash, which Backtrader divides by")
    rules = np.zeros(1, RULES)
    rules["slip_perc"] = parameters.slip_perc or 0.0
    rules["slip_fixed"] = parameters.slip_fixed or 0.0
    for name in BOOLEANS:
        rules[name] = bool(getattr(parameters, name))
    return rules


def schemes_of(broker: bt.brokers.BackBroker, datas: Sequence[bt.feed.DataBase]) -> NDArray[np.void]:
    """(datas,) SCHEME, the commission scheme of each data. Raises Refused for schemes with methods of their own."""
    schemes = np.zeros(len(datas), SCHEME)
    for row, data in zip(schemes, datas, strict=True):
        if getattr(data, "_compensate", None) is not None:
            raise Refused(f"compensates {data._name} with another data")
        _read_scheme(row, broker.getcommissioninfo(data), data)
    return schemes


def sessions_of(datas: Sequence[bt.feed.DataBase]) -> list[NDArray[np.float64]]:
    """When the sessions of each data end, for `new_book`. Raises Refused for datas with a time zone."""
    for data in datas:
        if getattr(data, "_tz", None) is not None:
            raise Refused(f"{data._name} has a time zone")
    return [session(data.p.sessionend) for data in datas]


def check_prices(bars: NDArray[np.float64], lengths: NDArray[np.int64]) -> None:
    """Raises Refused for bars with a price that is not a finite number: stock fills orders at it, this broker does not."""
    for rows, length in zip(bars, lengths, strict=True):
        if not np.isfinite(rows[:VOLUME, :length]).all():
            raise Refused("has bars without a price")


def _read_scheme(row: np.void, scheme: bt.CommInfoBase, data: bt.feed.DataBase) -> None:
    kind = type(scheme)
    if not _is_stock(kind) or any(inspect.isroutine(getattr(kind, name, None)) for name in vars(scheme)):
        raise Refused(f"uses a commission scheme of its own: {kind.__name__}")
    parameters = scheme.p
    if scheme._creditrate != parameters.interest / 365.0:
        raise Refused("changes a commission scheme's interest after it was made")
    if scheme._stocklike not in (True, False) or not parameters.leverage:
        raise Refused(f"uses a commission scheme without meaning for {data._name}")
    row["commission"] = parameters.commission
    row["mult"] = parameters.mult
    row["margin"] = np.nan if parameters.margin is None else parameters.margin
    row["automargin"] = parameters.automargin or 0.0
    row["stocklike"] = bool(scheme._stocklike)
    row["percent"] = scheme._commtype == scheme.COMM_PERC
    row["leverage"] = parameters.leverage
    row["interest"] = parameters.interest
    row["interest_long"] = bool(parameters.interest_long)


def _is_stock(kind: type) -> bool:
    """Whether a class is `CommInfoBase`, or changes nothing of it but parameters."""
    if not issubclass(kind, bt.CommInfoBase):
        return False
    changes = [vars(base) for base in kind.__mro__[: kind.__mro__.index(bt.CommInfoBase)]]
    return not any(
        inspect.isroutine(value) or isinstance(value, property) for own in changes for value in own.values()
    )
