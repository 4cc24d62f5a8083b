"""What may happen to a market: each shock changes bars, costs or both, and nothing else.

A shock that falls on one moment takes `at`: a share of the history in [0, 1], or "position", the bar at which the
undisturbed run holds the most. Times of bars stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from brokers.costs import Costs
from core.errors import ConfigError
from engine.moves import Moves, moved

Frames = Mapping[str, pd.DataFrame]
At = float | Literal["position"]
LEAST_SPREAD = 0.0005
"""The spread that is widened where a run has none: 5 basis points."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a shock may look at besides the bars. position: number of the bar with the largest position."""

    position: int
    random: np.random.Generator


@runtime_checkable
class Shock(Protocol):
    """Something that happens to a market."""

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """The bars after it."""
        ...

    def costs(self, costs: Costs) -> Costs:
        """The costs after it."""
        ...


class _Bars:
    """A shock of bars alone."""

    __slots__ = ()

    def costs(self, costs: Costs) -> Costs:
        """As they were."""
        return costs


class _Costs:
    """A shock of costs alone."""

    __slots__ = ()

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """As they were."""
        return dict(frames)


@dataclass(frozen=True)
class Gap(_Bars):
    """The price opens `size` away from the close before (-0.1 is 10% lower) and goes on from there."""

    size: float = -0.1
    at: At = "position"

    def __post_init__(self) -> None:
        _check("gap", "size", self.size, -1.0, 100.0)
        _check_at("gap", self.at)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With one more gap, on the bar after `at`."""

        def change(moves: Moves) -> Moves:
            gap = moves.gap.copy()
            place = _place(self.at, moves.bars, setting) + 1
            if place < moves.bars:
                gap[place] += math.log1p(self.size)
            return moves.changed(gap=gap)

        return _changed(frames, change)


@dataclass(frozen=True)
class Volatility(_Bars):
    """Moves between and within bars are `times` as large, from one share of the history to another; the drift stays."""

    times: float = 3.0
    begin: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        _check("volatility", "times", self.times, 0.0, 100.0)
        _check_span("volatility", self.begin, self.end)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With larger moves."""

        def change(moves: Moves) -> Moves:
            span = slice(round(self.begin * moves.bars), round(self.end * moves.bars))
            columns = {}
            for name in ("gap", "body", "above", "below"):
                column = getattr(moves, name).copy()
                # The mean of a simple return grows with the variance: what is kept is the drift of the logarithm.
                mean = float(column[span].mean()) if name in ("gap", "body") and column[span].size else 0.0
                column[span] = mean + self.times * (column[span] - mean)
                columns[name] = column
            return moves.changed(**columns)

        return _changed(frames, change)


@dataclass(frozen=True)
class Crash(_Bars):
    """The worst `length` bars of the history happen once more, in place of those from `at` on.

    The window is the one with the lowest return of all symbols together; every symbol repeats its own bars of it.
    """

    length: int = 20
    at: At = "position"

    def __post_init__(self) -> None:
        _check_bars("crash", "length", self.length, 1)
        _check_at("crash", self.at)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With the crash replayed."""
        all_moves = moved(frames)
        begin = self.worst(frames)

        def change(moves: Moves) -> Moves:
            length = min(self.length, moves.bars)
            start = min(begin, moves.bars - length)
            place = min(_place(self.at, moves.bars, setting) + 1, moves.bars - length)
            columns = {}
            for name in ("gap", "body", "above", "below"):
                column = getattr(moves, name).copy()
                column[place : place + length] = getattr(moves, name)[start : start + length]
                columns[name] = column
            return moves.changed(**columns)

        return {symbol: change(moves).bars_again() for symbol, moves in all_moves.items()}

    def worst(self, frames: Frames) -> int:
        """Number of the first bar of the worst window, by the mean log return of all symbols that have it."""
        shortest = min(len(frame) for frame in frames.values())
        steps = np.mean([moves.steps[:shortest] for moves in moved(frames).values()], axis=0)
        sums = np.convolve(steps, np.ones(min(self.length, shortest)), mode="valid")
        return int(np.argmin(sums))


@dataclass(frozen=True)
class Outage(_Bars):
    """No bars come for `length` bars after `at`: the strategy sees nothing and does nothing, the market moves on."""

    length: int = 5
    at: At = "position"

    def __post_init__(self) -> None:
        _check_bars("outage", "length", self.length, 1)
        _check_at("outage", self.at)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """Without the bars of the outage; the last bar of the history stays."""
        left = {}
        for symbol, frame in frames.items():
            place = _place(self.at, len(frame), setting) + 1
            gone = np.arange(place, min(place + self.length, len(frame) - 1))
            left[symbol] = frame.drop(frame.index[gone])
        return left


@dataclass(frozen=True)
class Liquidity(_Bars):
    """Volume falls to `share` of what it was; fills are limited to a tenth of a bar's volume unless a run limits them."""

    share: float = 0.1

    def __post_init__(self) -> None:
        _check("liquidity", "share", self.share, 0.0, 1.0)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With less volume."""
        return {symbol: frame.assign(volume=frame["volume"] * self.share) for symbol, frame in frames.items()}

    def costs(self, costs: Costs) -> Costs:
        """With fills limited by volume."""
        return costs if costs.volume_share is not None else replace(costs, volume_share=0.1)


@dataclass(frozen=True)
class Spread(_Costs):
    """The spread is `times` as wide; 5 basis points are widened where a run has none."""

    times: float = 5.0

    def __post_init__(self) -> None:
        _check("spread", "times", self.times, 0.0, 1000.0)

    def costs(self, costs: Costs) -> Costs:
        """With the wider spread."""
        before = costs.spread
        if isinstance(before, Mapping):
            return replace(costs, spread={symbol: value * self.times for symbol, value in before.items()})
        if isinstance(before, (int, float)):
            return replace(costs, spread=min((before or LEAST_SPREAD) * self.times, 0.99))
        return replace(costs, spread=before * self.times)


@dataclass(frozen=True)
class Delay(_Costs):
    """Orders reach the market `bars` bars later than they do."""

    bars_later: int = 1

    def __post_init__(self) -> None:
        _check_bars("delay", "bars_later", self.bars_later, 0)

    def costs(self, costs: Costs) -> Costs:
        """With the later orders."""
        return replace(costs, latency=costs.latency + self.bars_later)


@dataclass(frozen=True)
class Drift(_Bars):
    """The price returns `yearly` more a year (a fraction; -0.2 is 20% less), evenly on every bar."""

    yearly: float = -0.2

    def __post_init__(self) -> None:
        _check("drift", "yearly", self.yearly, -1.0, 10.0)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With another trend."""
        from analyzers.metrics import periods_per_year

        def change(moves: Moves) -> Moves:
            step = math.log1p(self.yearly) / periods_per_year(moves.frame.index)
            return moves.changed(body=moves.body + (step if math.isfinite(step) else 0.0))

        return _changed(frames, change)


@dataclass(frozen=True)
class Noise(_Bars):
    """Each bar's move is disturbed by a normal number of `share` of the moves' deviation; another one for each bar."""

    share: float = 0.25

    def __post_init__(self) -> None:
        _check("noise", "share", self.share, 0.0, 10.0)

    def bars(self, frames: Frames, setting: Setting) -> dict[str, pd.DataFrame]:
        """With disturbed prices."""

        def change(moves: Moves) -> Moves:
            deviation = self.share * float(moves.steps.std())
            return moves.changed(body=moves.body + setting.random.normal(0.0, deviation, moves.bars))

        return _changed(frames, change)


SHOCKS: Mapping[str, type[Shock]] = {
    "gap": Gap,
    "volatility": Volatility,
    "crash": Crash,
    "outage": Outage,
    "liquidity": Liquidity,
    "spread": Spread,
    "delay": Delay,
    "drift": Drift,
    "noise": Noise,
}


def _changed(frames: Frames, change: Callable[[Moves], Moves]) -> dict[str, pd.DataFrame]:
    return {symbol: change(moves).bars_again() for symbol, moves in moved(frames).items()}


def _place(at: At, bars: int, setting: Setting) -> int:
    """The bar that `at` means, never the last one."""
    wanted = setting.position if at == "position" else round(float(at) * (bars - 1))
    return max(0, min(wanted, bars - 2))


def _check(shock: str, name: str, value: float, low: float, high: float) -> None:
    """Above low, up to high."""
    if not low < value <= high:
        raise ConfigError(
            f"{shock}: {name} is {value:g}", hint=f"give a number above {low:g} and up to {high:g}"
        )


def _check_bars(shock: str, name: str, bars: int, least: int) -> None:
    if not isinstance(bars, int) or bars < least:
        raise ConfigError(f"{shock}: {name} is {bars}", hint=f"give whole bars, {least} or more")


def _check_at(shock: str, at: At) -> None:
    if at != "position" and not (isinstance(at, (int, float)) and 0 <= at <= 1):
        raise ConfigError(
            f"{shock}: at is {at}", hint='give a share of the history from 0 to 1, or "position"'
        )


def _check_span(shock: str, begin: float, end: float) -> None:
    if not 0 <= begin < end <= 1:
        raise ConfigError(
            f"{shock}: begin is {begin:g}, end is {end:g}",
            hint="give shares of the history, such as 0.4 and 0.6",
        )
