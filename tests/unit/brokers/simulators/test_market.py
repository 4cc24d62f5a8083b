from __future__ import annotations

import itertools
import math
from datetime import timedelta
from decimal import Decimal

from brokers.simulators.market import (
    MINUTE,
    BarBuilder,
    MarketClock,
    bars_as_ticks,
    flat_tick,
    merged,
    random_walk,
    resampled,
)
from core.types import Bar
from tests.unit.brokers.simulators.venue_floor import START, D


def walk(seed: int, symbol: str = "BTCUSDT", count: int = 50) -> list[tuple[Decimal, Decimal]]:
    ticks = random_walk(
        symbol, seed, start=START, price=D(100), tick_size=D("0.01"), step=timedelta(seconds=1)
    )
    return [(tick.last, tick.volume) for tick in itertools.islice(ticks, count)]


def test_the_same_seed_is_the_same_market_and_symbols_differ() -> None:
    assert walk(1) == walk(1)
    assert walk(1) != walk(2)
    assert walk(1) != walk(1, "ETHUSDT")


def test_a_walk_stays_on_whole_prices_inside_its_spread() -> None:
    path = random_walk("A", 3, start=START, price=D(5), tick_size=D("0.05"), step=MINUTE)
    for tick in itertools.islice(path, 200):
        assert tick.last % D("0.05") == 0
        assert 0 < tick.bid < tick.last < tick.ask
        assert tick.volume > 0


def test_a_bar_is_played_through_its_nearer_extreme_first() -> None:
    bars = [Bar("A", START, 10.0, 14.0, 9.0, 12.0, 8.0), Bar("A", START, 12.0, 13.0, 8.0, 9.0, 0.0)]
    ticks = list(bars_as_ticks("A", bars, start=START, period=MINUTE, tick_size=D("0.01")))
    assert [tick.last for tick in ticks] == [D(v) for v in (10, 9, 14, 12, 12, 13, 8, 9)]
    assert [(tick.time - START).total_seconds() for tick in ticks] == [0, 15, 30, 45, 60, 75, 90, 105]
    assert (ticks[0].volume, ticks[4].volume) == (D(2), D(1))


def test_paths_are_merged_by_time() -> None:
    one = iter([flat_tick(START + timedelta(seconds=s), "A", D(1)) for s in (0, 2, 4)])
    two = iter([flat_tick(START + timedelta(seconds=s), "B", D(1)) for s in (1, 3)])
    assert "".join(tick.symbol for tick in merged([one, two])) == "ABABA"


def test_bars_are_built_closed_and_filled_over_silent_minutes() -> None:
    builder = BarBuilder()
    for second, price in ((0, "10"), (20, "12"), (59, "9")):
        builder.add(flat_tick(START + timedelta(seconds=second), "A", D(price), volume=D(2)))
    changed = builder.add(flat_tick(START + timedelta(seconds=185), "A", D(11), volume=D(1)))
    assert [bar.closed for bar in changed] == [True, True, True, False]
    first, *silent, last = builder.bars("A")
    assert (first.open, first.high, first.low, first.close) == (D(10), D(12), D(9), D(9))
    assert (first.volume, first.value, first.trades, first.closed) == (D(6), D(62), 3, True)
    assert [(bar.start - START) / MINUTE for bar in silent] == [1, 2]
    assert all(bar.close == 9 and bar.volume == 0 and bar.closed for bar in silent)
    assert ((last.start - START) / MINUTE, last.open, last.closed) == (3, D(11), False)


def test_the_clock_closes_a_bar_without_a_tick() -> None:
    builder = BarBuilder()
    builder.add(flat_tick(START, "A", D(10)))
    assert builder.close_until(START + timedelta(seconds=59)) == []
    assert [bar.closed for bar in builder.close_until(START + MINUTE)] == [True]
    assert builder.close_until(START + MINUTE) == []


def test_longer_bars_join_shorter_ones() -> None:
    builder = BarBuilder()
    for minute, price in enumerate(("10", "13", "8", "9", "11", "12")):
        builder.add(flat_tick(START + MINUTE * minute, "A", D(price), volume=D(1)))
    first, second = resampled(builder.bars("A"), timedelta(minutes=5))
    assert (first.open, first.high, first.low, first.close) == (D(10), D(13), D(8), D(11))
    assert (first.volume, first.trades, first.closed, second.closed) == (D(5), 5, True, False)


def test_the_market_clock_runs_stands_and_is_moved() -> None:
    reading = [0.0]
    fast = MarketClock(START, 600, monotonic=lambda: reading[0])
    still = MarketClock(START, 0, monotonic=lambda: reading[0])
    reading[0] = 2.0
    assert fast.now() == START + timedelta(minutes=20)
    assert fast.seconds_until(START + timedelta(minutes=30)) == 1.0
    assert still.now() == START
    assert still.seconds_until(START + MINUTE) == math.inf
    still.advance(60)
    assert still.seconds_until(START + MINUTE) == 0.0
