"""All that a walk-forward is made of, as one value that can be checked and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import ConfigError
from engine.account import Account
from feeds.market import Market
from optimize.crossvalidation import check_objective
from optimize.evaluate import facts_of
from optimize.forward import BOUNDARIES, CLOSE
from optimize.runs import functions_of
from optimize.search import Settings
from optimize.slices import times_of
from optimize.space import SearchSpace
from optimize.windows import Combinations, Window, combinations, windows


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a walk-forward is made of; equal plans give equal results.

    cuts: arguments of `optimize.windows.windows`. boundary, earlier: see `optimize.forward`. permutations: shuffled
    markets, None for some where the strategy compiles and none where it does not. groups: parts of the
    combinatorial purged cross-validation that is done as well, and how many of them are judged on at a time; None
    for no cross-validation.
    """

    strategy: type[Any]
    market: Market
    space: SearchSpace
    broker: Account
    cuts: Mapping[str, Any]
    settings: Settings
    boundary: str = CLOSE
    earlier: int = 0
    permutations: int | None = None
    groups: tuple[int, int] | None = None

    @property
    def objective_names(self) -> list[str]:
        """Metrics, or references of functions."""
        return [objective.name for objective in self.settings.objectives]

    def facts(self) -> dict[str, Any]:
        """What the trials depend on, as plain values: a study of other facts is another study."""
        from engine.plan import fingerprint

        settings = asdict(self.settings)
        settings["objectives"] = [str(objective) for objective in self.settings.objectives]
        return {
            **facts_of(self.strategy, self.broker),
            **functions_of(self.objective_names),
            "space": self.space.facts(),
            "data": fingerprint(self.market.frames),
            "windows": {name: str(value) for name, value in sorted(self.cuts.items()) if value is not None},
            "search": settings,
            "boundary": self.boundary,
            "earlier": self.earlier,
            "permutations": self.permutations,
            "groups": self.groups,
        }

    def described(self) -> dict[str, Any]:
        """What a reader is told of how it was done, as plain values."""
        return {
            "sampler": self.settings.sampler,
            "trials": self.settings.trials,
            "seed": self.settings.seed,
            "objectives": [str(objective) for objective in self.settings.objectives],
            "min_trades": self.settings.min_trades,
            "windows": {name: value for name, value in self.cuts.items() if value not in (None, False, 0)},
            "boundary": self.boundary,
            "warmup": self.earlier,
            "groups": self.groups,
            "space": {name: each.describe() for name, each in self.space.dimensions.items()},
            "fixed": dict(self.space.fixed or {}),
            "cash": float(self.broker.p.cash),
            "commission": float(self.broker.comminfo[None].p.commission),
        }


def check(plan: Plan) -> tuple[Window, ...]:
    """The windows of a plan, once everything in it was looked at. Raises UserError."""
    plan.settings.check()
    if plan.boundary not in BOUNDARIES:
        raise ConfigError(f"the boundary is {plan.boundary!r}", hint=f"use {' or '.join(BOUNDARIES)}")
    if plan.earlier < 0 or (plan.permutations or 0) < 0:
        raise ConfigError("--warmup and --permutations must not be below zero", hint="give 0 or more")
    if plan.groups is not None:
        check_objective(plan.settings.objectives[0])
        parted(plan, len(times_of(plan.market.frames)))
    return windows(times_of(plan.market.frames), **plan.cuts)


def parted(plan: Plan, bars: int) -> Combinations:
    """How so many bars are parted for cross-validation. Raises ConfigError."""
    groups, tests = plan.groups or (0, 0)
    purge, embargo = plan.cuts["purge"], plan.cuts["embargo"]
    return combinations(bars, groups=groups, tests=tests, purge=purge, embargo=embargo)


__all__ = ["Plan", "check", "parted"]
