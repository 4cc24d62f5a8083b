"""The live path gives the backtest's answer: orders, fills, trades, cash and equity, bar by bar."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import feeds
import store
from brokers.paper import PaperVenue
from core.types import DataInfo
from engine import backtest
from engine.cerebro import assemble, history_feed, run, stock_broker
from engine.live_path import LivePath
from engine.parity import ParityReport, check_parity, compare
from engine.replay import replayed
from feeds.market import Market
from strategies import registry

PLAIN = Path(__file__).with_name("plain_strategies.py")
RUNS = count(1)
MARKETS = 200

# Shorter than the defaults, so that a short market sees many decisions.
PARAMS: dict[str, dict[str, Any]] = {
    "momentum": {"fast": 2, "slow": 5, "rate_bars": 3, "atr_bars": 3, "atr_stop": 1.5},
    "range_bound": {
        "period": 5,
        "rsi_bars": 3,
        "oversold": 50.0,
        "trend_bars": 2,
        "trend_max": 90.0,
        "max_bars": 6,
    },
    "level_based": {"lookback": 3, "exit_sessions": 4, "atr_bars": 3, "atr_stop": 1.0, "reward": 1.0},
}


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[store.Store]:
    folder = tmp_path_factory.mktemp("journals")
    with store.open_store(f"sqlite:///{folder}/journal.db") as opened:
        yield opened


def market_of(frames: dict[str, pd.DataFrame]) -> Market:
    first = next(iter(frames.values()))
    info = DataInfo(
        "random", tuple(frames), first.index[0].to_pydatetime(), first.index[-1].to_pydatetime(), len(first)
    )
    return replace(feeds.load("sample:goog"), frames=frames, info=info)


def random_market(
    seed: int, bars: int, volatility: float, tick: float, flat: float, gap: float, spacing: str
) -> pd.DataFrame:
    """Prices on a grid of `tick`, so that touches and ties happen; stretches without movement; jumps."""
    random = np.random.default_rng(seed)
    moves = random.normal(0.0, volatility, bars) * (random.random(bars) >= flat)
    jumps = random.normal(0.0, 0.1, bars) * (random.random(bars) < gap)
    close = 50.0 * np.exp(np.cumsum(moves + jumps))
    opening = np.concatenate([[50.0], close[:-1]]) * np.exp(jumps + random.normal(0.0, volatility / 3, bars))
    still = random.random(bars) < flat
    reach = np.where(still, 0.0, volatility / 2)
    high = np.maximum(opening, close) * (1 + reach * random.random(bars))
    low = np.minimum(opening, close) * (1 - reach * random.random(bars))
    prices = {"open": opening, "high": high, "low": low, "close": close}
    frame = pd.DataFrame({name: np.maximum(np.round(p / tick), 1.0) * tick for name, p in prices.items()})
    frame["volume"] = np.floor(random.uniform(0, 1000, bars)) * ~still
    frame.index = pd.date_range("2020-01-01", periods=bars, freq=spacing, tz="UTC", name="time")
    return frame


markets = st.builds(
    random_market,
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(40, 110),
    volatility=st.sampled_from([0.002, 0.01, 0.03, 0.08]),
    tick=st.sampled_from([0.01, 0.25, 1.0]),
    flat=st.sampled_from([0.0, 0.2, 0.7]),
    gap=st.sampled_from([0.0, 0.05]),
    spacing=st.sampled_from(["1D", "1h", "5min"]),
)


def parity(
    journals: store.Store,
    strategy: type[bt.Strategy],
    market: Market,
    params: dict[str, Any],
    cash: float = 10_000.0,
    resample: tuple[str, ...] = (),
) -> ParityReport:
    journal = journals.journal(f"run {next(RUNS)}")
    return check_parity(strategy, params, market, journal, cash=cash, commission=0.001, resample=resample)


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_sample_market(name: str, journals: store.Store) -> None:
    """B3"""
    cls = registry.load(name)
    report = parity(
        journals, cls, feeds.load("sample:goog"), registry.resolve_params(cls, {}), cash=100_000.0
    )
    assert report.identical, str(report)
    assert report.bars == 1047
    assert report.fills > 10


@pytest.mark.parametrize("name", sorted(PARAMS))
@settings(
    max_examples=MARKETS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(frame=markets, short=st.booleans())
def test_random_markets(name: str, frame: pd.DataFrame, short: bool, journals: store.Store) -> None:
    """B3"""
    cls = registry.load(name)
    params = registry.resolve_params(cls, {**PARAMS[name], "short": short})
    report = parity(journals, cls, market_of({"X": frame}), params)
    assert report.identical, str(report)


def plain(name: str) -> type[bt.Strategy]:
    spec = importlib.util.spec_from_file_location("plain_strategies_live", PLAIN)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.get(spec.name) or importlib.util.module_from_spec(spec)
    if spec.name not in sys.modules:
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    found: type[bt.Strategy] = getattr(module, name)
    return found


@pytest.mark.parametrize(
    ("name", "symbols", "resample"),
    [
        ("KnownCross", 1, ()),
        ("OneOrderAtATime", 1, ()),
        ("Brackets", 1, ()),
        ("Trailing", 1, ()),
        ("LimitsThatExpire", 1, ()),
        ("Targets", 1, ()),
        ("Pairs", 2, ()),
        ("Signals", 1, ()),
        ("OwnSizer", 1, ()),
        ("TooLarge", 1, ()),
        ("Weekly", 1, ("1W",)),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_plain_strategies(
    name: str, symbols: int, resample: tuple[str, ...], seed: int, journals: store.Store
) -> None:
    """B3: classes that know nothing of this project."""
    frames = {
        f"S{number}": random_market(seed + 10 * number, 260, 0.02, 0.01, 0.1, 0.02, "B")
        for number in range(symbols)
    }
    report = parity(journals, plain(name), market_of(frames), {}, cash=50_000.0, resample=resample)
    assert report.identical, str(report)
    assert report.orders > 0


class Basket(bt.Strategy):
    """Several datas, each used only once it has bars."""

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for number, data in enumerate(data for data in self.datas if len(data)):
            if len(data) % (5 + number) == 0:
                self.order_target_percent(data=data, target=0.3)
            elif len(data) % (7 + number) == 0:
                self.close(data=data)
            elif len(data) % 11 == 0:
                self.buy(data=data, size=3, exectype=bt.Order.Limit, price=data.close[0] * 0.99)


def late_and_patchy() -> Market:
    first = random_market(5, 200, 0.02, 0.01, 0.0, 0.02, "B")
    second = random_market(6, 200, 0.02, 0.01, 0.0, 0.02, "B").iloc[37:]
    kept = np.random.default_rng(1).random(len(second)) > 0.2
    return market_of({"A": first, "B": second[kept]})


def test_datas_that_start_late_and_have_holes(journals: store.Store) -> None:
    """B3"""
    report = parity(journals, Basket, late_and_patchy(), {}, cash=50_000.0)
    assert report.identical, str(report)
    assert report.fills > 50


def test_a_data_used_before_its_first_bar_is_found_out(journals: store.Store) -> None:
    """Backtrader answers with the data's last bar: the backtest looked ahead, the live path cannot."""
    report = parity(journals, plain("Pairs"), late_and_patchy(), {}, cash=50_000.0)
    assert not report.identical
    result = backtest(plain("Pairs"), dict(late_and_patchy().frames), cash=50_000.0)
    assert any(note.startswith("look-ahead: ") and " B " in note for note in result.notes)


class Coarse(bt.Strategy):
    """Decides on the higher timeframe, trades the lower one, and orders something at the very end."""

    def __init__(self) -> None:
        self.seen = 0

    def next(self) -> None:
        if len(self.data1) > self.seen:
            self.seen = len(self.data1)
            rising = self.data1.close[0] > self.data1.open[0]
            self.order_target_percent(data=self.data0, target=0.5 if rising else -0.3)
        elif len(self) % 4 == 0:
            self.sell(size=1, exectype=bt.Order.Stop, price=self.data.close[0] * 0.99)

    def stop(self) -> None:
        self.close()


def test_pace_and_stops_leave_no_trace_on_resampled_bars(journals: store.Store, tmp_path: Path) -> None:
    """While a paced replay waits, no higher bar ends early by the machine's clock; nor does one by a stop."""
    frames = {"X": random_market(4, 120, 0.02, 0.01, 0.0, 0.02, "1min")}
    feed = {"X": history_feed("X", frames["X"])}
    reference = run(assemble(Coarse, {}, feed, stock_broker(50_000.0, 0.001), resample=("15m",)))
    journal = journals.journal("paced, and stopped again and again")
    lives = 0
    recording, complete = None, False
    while not complete:
        lives += 1
        assert lives < 60
        recording, complete = live_for(9, journal, frames, tmp_path / "venue.db")
    assert lives > 5
    assert compare(reference, recording).identical, str(compare(reference, recording))


def live_for(bars: int, journal: Any, frames: dict[str, pd.DataFrame], state: Path) -> tuple[Any, bool]:
    """One life: repeats what the journal knows, then asks to be stopped after so many bars more."""
    fresh = 0

    def on_bar(number: int) -> None:
        nonlocal fresh
        fresh += not replay.gateway.recovering
        if fresh == bars:
            replay.request_stop()

    replay = LivePath(
        Coarse,
        {},
        replayed(frames, speed=60.0 * 300),
        lambda: PaperVenue(50_000.0, 0.001, state=state),
        journal,
        50_000.0,
        0.001,
        resample=("15m",),
        on_bar=on_bar,
    )
    return replay.run(), replay.complete


@pytest.fixture(scope="module")
def recordings() -> tuple[Any, Any]:
    frame = random_market(9, 200, 0.02, 0.01, 0.0, 0.0, "B")

    def once() -> Any:
        feed = history_feed("X", frame)
        return run(assemble(plain("KnownCross"), {}, {"X": feed}, stock_broker(50_000.0, 0.001)))

    return once(), once()


class TestTheComparison:
    """What the command would say if the two paths did part."""

    def test_equal_runs(self, recordings: tuple[Any, Any]) -> None:
        report = compare(*recordings)
        assert report.identical
        assert str(report).startswith("identical: 200 bars, ")

    @pytest.mark.parametrize(
        ("table", "column", "change", "expected"),
        [
            ("fills", "price", 1e-7, "fill 2, price at "),
            ("fills", "size", 1.0, "fill 2, size at "),
            ("orders", "size", 1.0, "order 2, size at "),
            ("trades", "pnl", 0.01, "trade 2, pnl at "),
        ],
    )
    def test_a_changed_cell_is_named(
        self, recordings: tuple[Any, Any], table: str, column: str, change: float, expected: str
    ) -> None:
        first, second = recordings
        changed = getattr(second, table).copy()
        changed.loc[1, column] += change
        report = compare(first, replace(second, **{table: changed}))
        assert not report.identical
        assert expected in str(report)

    def test_rounding_of_sums_is_no_difference(self, recordings: tuple[Any, Any]) -> None:
        first, second = recordings
        assert compare(first, replace(second, equity=second.equity * (1 + 1e-13))).identical
        assert not compare(first, replace(second, equity=second.equity * (1 + 1e-6))).identical

    def test_a_missing_order_and_a_missing_bar(self, recordings: tuple[Any, Any]) -> None:
        first, second = recordings
        fewer = compare(first, replace(second, orders=second.orders.iloc[:-1]))
        assert "number of orders" in str(fewer)
        shorter = compare(first, replace(second, equity=second.equity.iloc[:-1]))
        assert "bars" in str(shorter)
