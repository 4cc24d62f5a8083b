"""The exits resting at the broker for one open position: a stop and perhaps a target per slice.

A slice is the part of the position that one target closes. Its stop and its target cancel each other (OCO),
so at most one of them ever fills: whatever a bar does, exits never sum to more than the position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import backtrader as bt

from strategies.stops import StopPlan, Target


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """What will protect a position, decided with its entry: levels follow from the entry's actual price."""

    side: int
    stop: StopPlan | None = None
    targets: tuple[Target, ...] = ()
    lot: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class PriceTarget:
    """A target once the entry price is known: takes profit on `share` of the position at `price`."""

    price: float
    share: float


@dataclass(slots=True)
class Slice:
    """One part of the position and the orders that may close it; `target_price` None for a runner.

    part: 0 for what was protected first, 1, 2, ... for what came on top while that stayed as it was.
    """

    size: float
    target_price: float | None = None
    stop: bt.Order | None = None
    target: bt.Order | None = None
    part: int = 0

    @property
    def first(self) -> bt.Order | None:
        """The first order that was made for it."""
        return self.target if self.stop is None else self.stop

    @property
    def alive(self) -> bool:
        """Whether one of its orders may still fill."""
        return _alive(self.stop) or _alive(self.target)

    @property
    def filled(self) -> float:
        """Units its orders have closed."""
        return _filled(self.stop) + _filled(self.target)

    @property
    def closed(self) -> bool:
        """Whether one of its orders has done its work."""
        return _completed(self.stop) or _completed(self.target)

    @property
    def refused(self) -> bool:
        """Whether the broker would not take one of its orders."""
        return _refused(self.stop) or _refused(self.target)

    @property
    def whole(self) -> bool:
        """Whether every order it should have is alive and none has filled in part."""
        if self.stop is not None and not self.stop.alive():
            return False
        if self.target is not None and not self.target.alive():
            return False
        return not self.filled

    @property
    def stopping(self) -> bool:
        """Whether its stop has begun to fill and goes on."""
        return self.stop is not None and self.stop.alive() and bool(self.stop.executed.size)


def _alive(order: bt.Order | None) -> bool:
    return order is not None and bool(order.alive())


def _filled(order: bt.Order | None) -> float:
    return 0.0 if order is None else abs(float(order.executed.size))


def _completed(order: bt.Order | None) -> bool:
    return order is not None and bool(order.status == bt.Order.Completed)


def _refused(order: bt.Order | None) -> bool:
    return order is not None and order.status in (bt.Order.Margin, bt.Order.Rejected)


@dataclass(slots=True)
class OpenTrade:
    """The position as the strategy sees it, from its first fill to its last."""

    plan: ExitPlan
    entry_price: float
    entry_bar: int
    size: float
    stop_level: float | None
    risk: float | None
    high_water: float
    targets: list[PriceTarget] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    exits: list[bt.Order] = field(default_factory=list)
    exit_reason: str | None = None
    refusals: int = 0

    @property
    def exiting(self) -> bool:
        """Whether an order that closes the position at the market is under way."""
        return any(order.alive() for order in self.exits)

    @property
    def covered(self) -> float:
        """Units the slices still protect."""
        units = 0.0
        for part in self.slices:
            units += part.size - part.filled
        return units

    def broken(self, held: float) -> bool:
        """Whether the resting orders no longer are what `held` units need."""
        for part in self.slices:
            if not part.whole and not part.stopping:
                return True
        return bool(self.slices) and self.covered != held

    @property
    def extensible(self) -> bool:
        """Whether all that was protected first is as it should be, and nothing that came on top has filled in part."""
        fit = [part.whole or part.stopping or bool(part.part and part.refused) for part in self.slices]
        return bool(fit) and all(fit)

    def missing(self, held: float) -> float:
        """Units of `held` that no slice protects, without what adding floats up leaves; below 0 where they are too many."""
        return round(held - self.covered, 14 - math.floor(math.log10(held)))


def open_trade(plan: ExitPlan, price: float, size: float, bar: int) -> OpenTrade:
    """A trade of `size` units (> 0) entered at `price`: its stop level, and a price and share per target."""
    level = plan.stop.level(price, plan.side) if plan.stop else None
    risk = abs(price - level) if level is not None else None
    targets = []
    for target in plan.targets:
        at = target.level(price, plan.side, risk, plan.scale)
        if at is not None:
            targets.append(PriceTarget(at, target.share))
    return OpenTrade(plan, price, bar, size, level, risk, price, targets)


def wanted_slices(trade: OpenTrade, sizes: Sequence[float]) -> list[Slice]:
    """Slices for the targets not reached yet, the rest as a runner; nothing when there is nothing to rest.

    A runner without a stop has no orders, but counts as held on purpose.

    sizes: one per target, then the rest.
    """
    slices = []
    for i in range(len(trade.targets)):
        if sizes[i]:
            slices.append(Slice(sizes[i], trade.targets[i].price))
    if sizes[-1] and (slices or trade.stop_level is not None):
        slices.append(Slice(sizes[-1]))
    return slices


def trade_state(trade: OpenTrade) -> dict[str, Any]:
    """The trade as plain JSON values; orders are not part of it."""
    return {
        "side": trade.plan.side,
        "size": trade.size,
        "entry_price": trade.entry_price,
        "stop_level": trade.stop_level,
        "risk": trade.risk,
        "high_water": trade.high_water,
        "targets": [[target.price, target.share] for target in trade.targets],
        "exit_reason_pending": trade.exit_reason if trade.exiting else None,
        "refusals": trade.refusals,
        "lot": trade.plan.lot,
        "scale": trade.plan.scale,
        "stop": None if trade.plan.stop is None else asdict(trade.plan.stop),
    }


def trade_from_state(state: Mapping[str, Any], entry_bar: int) -> OpenTrade:
    """The trade that `trade_state` wrote down, without orders."""
    stop = None if state["stop"] is None else StopPlan(**state["stop"])
    return OpenTrade(
        plan=ExitPlan(state["side"], stop, (), state["lot"], state["scale"]),
        entry_price=state["entry_price"],
        entry_bar=entry_bar,
        size=state["size"],
        stop_level=state["stop_level"],
        risk=state["risk"],
        high_water=state["high_water"],
        targets=[PriceTarget(price, share) for price, share in state["targets"]],
        refusals=state["refusals"],
    )
