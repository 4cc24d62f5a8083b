"""S17: one computation of an indicator for all strategies of a market, until the market has a new bar."""

import threading

import numpy as np
import pytest

from indicators.cache import CacheCounters, SharedIndicatorCache, indicator_key
from indicators.kernels import exponential, logic, operate
from indicators.operations import MAX, MIN, SUBTRACT


def _market(bars):
    rng = np.random.default_rng(3)
    close = 100 + rng.standard_normal(bars).cumsum()
    return {"high": close + rng.random(bars), "low": close - rng.random(bars), "close": close}


def _average_true_range(market, period):
    """ATR as stock composes it: Wilder's smoothing of max(high, previous close) - min(low, previous close)."""
    bars = len(market["close"])
    previous = np.concatenate(([np.nan], market["close"][:-1]))
    top, bottom, true_range, atr = (np.full(bars, np.nan) for _ in range(4))
    logic(top, market["high"], previous, 1, bars, MAX, "ll")
    logic(bottom, market["low"], previous, 1, bars, MIN, "ll")
    operate(true_range, top, bottom, 1, bars, SUBTRACT)
    exponential(atr, true_range, period, bars, period, 1.0 / period, 1.0 - 1.0 / period)
    return atr


class _Strategy:
    """Reads one shared ATR at every bar it is shown."""

    def __init__(self, cache, period=14):
        self.cache, self.period, self.seen = cache, period, []

    def bar(self, symbol, market):
        key = indicator_key(symbol, len(market["close"]), "atr", ("high", "low", "close"), (self.period,))
        self.seen.append(self.cache.get(key, lambda: _average_true_range(market, self.period))[-1])


def test_ten_strategies_compute_one_atr():
    cache = SharedIndicatorCache()
    strategies = [_Strategy(cache) for _ in range(10)]
    market = _market(100)
    for strategy in strategies:
        strategy.bar("AAPL", market)
    assert cache.counters == CacheCounters(hits=9, misses=1, computed=1)
    assert {strategy.seen[0] for strategy in strategies} == {_average_true_range(market, 14)[-1]}


def test_each_symbol_and_each_new_bar_is_computed_once():
    cache = SharedIndicatorCache()
    strategies = [_Strategy(cache) for _ in range(10)]
    whole = _market(104)
    for bars in range(100, 104):
        market = {name: values[:bars] for name, values in whole.items()}
        for symbol in ("AAPL", "MSFT"):
            cache.appended(symbol, bars)
            for strategy in strategies:
                strategy.bar(symbol, market)
        assert cache.counters.computed == 2 * (bars - 99)
        assert len(cache) == 2
    assert cache.counters.invalidated == 6
    assert strategies[0].seen[-1] == _average_true_range({n: v[:103] for n, v in whole.items()}, 14)[-1]
    assert strategies[0].seen[-1] != strategies[0].seen[0]


def test_an_appended_bar_spares_other_markets():
    cache = SharedIndicatorCache()
    for symbol in ("AAPL", "MSFT"):
        cache.get(indicator_key(symbol, 5, "close"), lambda: np.zeros(5))
    assert cache.appended("AAPL", 6) == 1
    assert cache.appended("MSFT", 5) == 0
    assert cache.invalidate("MSFT") == 1
    assert len(cache) == cache.bytes == 0


def test_keys_differ_where_a_kernel_would():
    keys = [indicator_key("A", 9, "ema", ("close",), (x,)) for x in (1, 1.0, True, 0.0, -0.0, 2)]
    assert len(set(keys)) == len(keys)
    assert indicator_key("A", 9, "ema", ("close",), (0.5,)) == indicator_key(
        "A", 9, "ema", ("close",), (0.5,)
    )


def test_memory_is_bounded_and_the_least_recently_used_goes_first():
    cache = SharedIndicatorCache(capacity=3 * 80)
    for name in "abc":
        cache.get(name, lambda: np.zeros(10))
    cache.get("a", lambda: pytest.fail("held"))
    cache.get("d", lambda: np.zeros(10))
    assert cache.bytes == 240
    cache.get("a", lambda: pytest.fail("used since, so held"))
    cache.get("b", lambda: np.ones(10))
    assert cache.counters == CacheCounters(hits=2, misses=5, computed=5, evicted=2)


def test_an_array_larger_than_the_cache_is_not_kept():
    cache = SharedIndicatorCache(capacity=80)
    cache.get("small", lambda: np.zeros(10))
    assert len(cache.get("large", lambda: np.zeros(11))) == 11
    assert (len(cache), cache.bytes) == (1, 80)
    with pytest.raises(ValueError, match="at least one byte"):
        SharedIndicatorCache(capacity=0)


def test_arrays_cannot_be_written_through_the_cache():
    cache = SharedIndicatorCache()
    values = cache.get("a", lambda: np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1.0


def test_a_failed_computation_is_not_kept():
    cache = SharedIndicatorCache()
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert cache.get("a", lambda: np.ones(1))[0] == 1.0
    assert cache.counters == CacheCounters(misses=2, computed=1)


def test_threads_share_one_computation():
    cache = SharedIndicatorCache()
    started, release, results = threading.Event(), threading.Event(), []

    def compute():
        started.set()
        assert release.wait(30)
        return np.arange(4.0)

    threads = [threading.Thread(target=lambda: results.append(cache.get("a", compute))) for _ in range(8)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(30)
    assert len(results) == 8
    assert all(values is results[0] for values in results)
    assert cache.counters == CacheCounters(hits=7, misses=1, computed=1)


def test_a_bar_appended_during_a_computation_does_not_keep_its_result():
    cache = SharedIndicatorCache()
    key = indicator_key("A", 3, "close")

    def compute():
        cache.appended("A", 4)
        return np.zeros(3)

    assert len(cache.get(key, compute)) == 3
    assert len(cache) == 0


def test_many_are_looked_up_and_kept_at_once():
    cache = SharedIndicatorCache(capacity=2 * 80)
    keys = [indicator_key("AAPL", 10, "average", (), (period,)) for period in (2, 3, 4)]
    assert cache.find(keys) == {}
    for number, key in enumerate(keys[:2]):
        cache.keep(key, np.full(10, float(number)))
    cache.keep(keys[1], np.full(10, 7.0))
    assert (cache.bytes, len(cache)) == (160, 2)
    found = cache.find(keys)
    assert {key: values[0] for key, values in found.items()} == {keys[0]: 0.0, keys[1]: 7.0}
    with pytest.raises(ValueError, match="read-only"):
        found[keys[0]][0] = 1.0
    cache.keep(keys[2], np.zeros(10))
    assert set(cache.find(keys)) == {keys[1], keys[2]}
    assert cache.counters == CacheCounters(hits=4, misses=5, computed=4, evicted=1)
