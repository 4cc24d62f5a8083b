"""Where prices come from and when: paths of ticks, bars built from them, and the clock they run on."""

from __future__ import annotations

import heapq
import math
import time as wall
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

import numpy as np

from core.types import Bar, to_decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HAND_VOLUME = Decimal(1_000_000)
BARS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Tick:
    """The market of one symbol at one moment; volume: units that stand at each level, and that last traded."""

    time: datetime
    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class MarketBar:
    """One bar, from `start` (included) over one period; `closed` once a later tick or the clock has ended it."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    value: Decimal
    trades: int
    closed: bool = False


class MarketClock:
    """Market time: as fast as the wall clock times `speed`, or standing until it is moved (speed 0)."""

    def __init__(
        self,
        start: datetime | None = None,
        speed: float = 1.0,
        *,
        monotonic: Callable[[], float] = wall.monotonic,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._origin = start or datetime.now(UTC)
        self._started = monotonic()

    def now(self) -> datetime:
        """Market time, aware, UTC."""
        return self._origin + timedelta(seconds=(self._monotonic() - self._started) * self.speed)

    def advance(self, seconds: float) -> None:
        """Move market time forward."""
        self._origin += timedelta(seconds=seconds)

    def run_at(self, speed: float) -> None:
        """Go on from now at another speed."""
        self._origin, self._started, self.speed = self.now(), self._monotonic(), speed

    def seconds_until(self, time: datetime) -> float:
        """Seconds of the wall clock until market time `time`; infinite when the clock stands."""
        ahead = (time - self.now()).total_seconds()
        if ahead <= 0:
            return 0.0
        return ahead / self.speed if self.speed else math.inf


def flat_tick(
    time: datetime,
    symbol: str,
    price: Decimal,
    *,
    bid: Decimal | None = None,
    ask: Decimal | None = None,
    volume: Decimal | None = None,
) -> Tick:
    """A tick told by hand; without bid and ask there is no spread."""
    return Tick(time, symbol, bid or price, ask or price, price, HAND_VOLUME if volume is None else volume)


def random_walk(
    symbol: str,
    seed: int,
    *,
    start: datetime,
    price: Decimal,
    tick_size: Decimal,
    step: timedelta,
    volatility: float = 0.6,
    volume: Decimal = Decimal(5),
) -> Iterator[Tick]:
    """Ticks without end, the same for the same seed; volatility a year, as a fraction."""
    random = np.random.default_rng([seed, *symbol.encode()])
    deviation = volatility * math.sqrt(step.total_seconds() / (365 * 86_400))
    level, time = float(price), start
    while True:
        level *= math.exp(deviation * random.standard_normal() - deviation**2 / 2)
        size = volume * to_decimal(round(float(random.lognormal(0.0, 0.5)), 3))
        yield spread_tick(time, symbol, to_decimal(level), tick_size, max(size, Decimal("0.001")))
        time += step


def bars_as_ticks(
    symbol: str, bars: Sequence[Bar], *, start: datetime, period: timedelta, tick_size: Decimal
) -> Iterator[Tick]:
    """Four ticks a bar (open, the extreme nearer to it, the other, close); bar after bar from `start`.

    The bars' own spacing does not matter: each is played in one `period`.
    """
    for number, bar in enumerate(bars):
        low_first = abs(bar.open - bar.low) <= abs(bar.high - bar.open)
        inner = (bar.low, bar.high) if low_first else (bar.high, bar.low)
        size = max(to_decimal(bar.volume) / 4, Decimal(1))
        for quarter, price in enumerate((bar.open, *inner, bar.close)):
            time = start + period * number + period / 4 * quarter
            yield spread_tick(time, symbol, to_decimal(price), tick_size, size)


def spread_tick(time: datetime, symbol: str, price: Decimal, tick_size: Decimal, volume: Decimal) -> Tick:
    """A tick at the nearest whole price, with a spread of two price steps around it."""
    last = max((price / tick_size).to_integral_value() * tick_size, 2 * tick_size)
    return Tick(time, symbol, last - tick_size, last + tick_size, last, volume)


def merged(paths: Iterable[Iterator[Tick]]) -> Iterator[Tick]:
    """Several paths as one, in order of time."""
    return heapq.merge(*paths, key=lambda tick: tick.time)


class BarBuilder:
    """One-minute bars of every symbol out of its ticks, oldest first; the last may still be growing."""

    def __init__(self, period: timedelta = MINUTE, kept: int = BARS_KEPT) -> None:
        self.period = period
        self._kept = kept
        self._bars: dict[str, deque[MarketBar]] = {}

    def add(self, tick: Tick) -> list[MarketBar]:
        """Take a tick in; returns the bars it changed: what it closed, then the one it belongs to."""
        bars = self._bars.setdefault(tick.symbol, deque(maxlen=self._kept))
        start = floor_time(tick.time, self.period)
        changed = []
        if bars and bars[-1].start < start:
            if not bars[-1].closed:
                bars[-1] = replace(bars[-1], closed=True)
                changed.append(bars[-1])
            changed.extend(self._fill_gap(bars, start))
        if not bars or bars[-1].start < start:
            bars.append(_first_of_bar(tick, start))
        else:
            bars[-1] = _grown(bars[-1], tick)
        return [*changed, bars[-1]]

    def close_until(self, now: datetime) -> list[MarketBar]:
        """Close the bars whose time is over."""
        closed = []
        for bars in self._bars.values():
            if not bars[-1].closed and bars[-1].start + self.period <= now:
                bars[-1] = replace(bars[-1], closed=True)
                closed.append(bars[-1])
        return closed

    def bars(self, symbol: str) -> Sequence[MarketBar]:
        """What is kept of a symbol, oldest first."""
        return list(self._bars.get(symbol, ()))

    def since(self, symbol: str, start: datetime) -> Sequence[MarketBar]:
        """The bars of a symbol that begin at `start` or later, oldest first."""
        newest_first = takewhile(lambda bar: bar.start >= start, reversed(self._bars.get(symbol, ())))
        return list(newest_first)[::-1]

    def _fill_gap(self, bars: deque[MarketBar], start: datetime) -> list[MarketBar]:
        """Minutes without a trade are bars too: flat at the last close, without volume."""
        missing = min((start - bars[-1].start) // self.period - 1, self._kept)
        flat = [_flat_bar(bars[-1], start - self.period * back) for back in range(missing, 0, -1)]
        bars.extend(flat)
        return flat


def resampled(bars: Sequence[MarketBar], period: timedelta) -> list[MarketBar]:
    """Longer bars out of shorter ones, aligned to the epoch."""
    longer: list[MarketBar] = []
    for bar in bars:
        start = floor_time(bar.start, period)
        if longer and longer[-1].start == start:
            longer[-1] = _joined(longer[-1], bar)
        else:
            if longer:
                longer[-1] = replace(longer[-1], closed=True)
            longer.append(replace(bar, start=start, closed=False))
    return longer


def floor_time(time: datetime, period: timedelta) -> datetime:
    """The start of the period `time` lies in, counted from the epoch."""
    return time - (time - EPOCH) % period


def _first_of_bar(tick: Tick, start: datetime) -> MarketBar:
    price = tick.last
    return MarketBar(tick.symbol, start, price, price, price, price, tick.volume, tick.volume * price, 1)


def _flat_bar(before: MarketBar, start: datetime) -> MarketBar:
    price, nothing = before.close, Decimal(0)
    return MarketBar(before.symbol, start, price, price, price, price, nothing, nothing, 0, closed=True)


def _grown(bar: MarketBar, tick: Tick) -> MarketBar:
    return replace(
        bar,
        high=max(bar.high, tick.last),
        low=min(bar.low, tick.last),
        close=tick.last,
        volume=bar.volume + tick.volume,
        value=bar.value + tick.volume * tick.last,
        trades=bar.trades + 1,
        closed=False,
    )


def _joined(bar: MarketBar, later: MarketBar) -> MarketBar:
    return replace(
        bar,
        high=max(bar.high, later.high),
        low=min(bar.low, later.low),
        close=later.close,
        volume=bar.volume + later.volume,
        value=bar.value + later.value,
        trades=bar.trades + later.trades,
    )
