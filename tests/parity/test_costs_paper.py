"""Under the same costs a replay on paper gives the backtest's fills, trades, cash and equity, bar by bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import feeds
import store
from brokers.actions import Action
from brokers.costs import Costs
from brokers.margin import Margin
from brokers.paper import PaperVenue
from brokers.slippage import SquareRoot, Volatility, VolumeShare
from core.types import DataInfo
from engine.live_path import LivePath
from engine.parity import check_parity, compare, run_reference
from engine.replay import replayed
from feeds.market import Market
from strategies import registry
from tests.parity.markets import frames as synthetic
from tests.parity.test_live_path import plain, random_market

RUNS = count(1)
EXECUTION = Costs(spread=0.001, slippage=VolumeShare(), volume_share=0.02, latency=1)
HOLDING = Costs(borrow=0.2, funding=0.0005, margin=Margin(0.3, 0.2, 0.3, 0.25), slippage=Volatility(0.05))
ACTIONS = Costs(
    slippage=SquareRoot(0.2),
    borrow=0.05,
    actions={
        "ALPHA": [
            Action(pd.Timestamp("2021-03-01"), ratio=2.0),
            Action(pd.Timestamp("2021-04-06"), amount=0.3),
            Action(pd.Timestamp("2021-06-01"), ratio=0.5),
        ]
    },
)
COSTS = {
    "execution": EXECUTION,
    "holding": HOLDING,
    "actions": ACTIONS,
    "reinvested": replace(ACTIONS, dividends="reinvest", latency_seconds=3600.0),
}


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[store.Store]:
    folder = tmp_path_factory.mktemp("journals")
    with store.open_store(f"sqlite:///{folder}/journal.db") as opened:
        yield opened


def market_of(frames: dict[str, pd.DataFrame]) -> Market:
    first = next(iter(frames.values()))
    info = DataInfo(
        "synthetic",
        tuple(frames),
        first.index[0].to_pydatetime(),
        first.index[-1].to_pydatetime(),
        len(first),
    )
    return replace(feeds.load("sample:goog"), frames=frames, info=info)


class Busy(bt.Strategy):
    """All kinds of orders, long and short, cancelled now and then."""

    params = (("size", 50), ("seed", 1))

    def __init__(self) -> None:
        self.random = np.random.default_rng(self.p.seed)
        self.open: list[bt.Order] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for data in self.datas:
            if len(data):
                self._act(data)
        self.open = [order for order in self.open if order.alive()]
        if self.open and self.random.random() < 0.2:
            self.cancel(self.open[0])

    def _act(self, data: Any) -> None:
        chance, close = self.random.random(), data.close[0]
        sign = 1 if self.random.random() < 0.5 else -1
        send = self.buy if sign > 0 else self.sell
        size = int(self.p.size * (1 + 4 * self.random.random()))
        if chance < 0.1:
            self.open.append(send(data=data, size=size))
        elif chance < 0.2:
            limit = {"exectype": bt.Order.Limit, "price": close * (1 - 0.01 * sign)}
            self.open.append(send(data=data, size=size, valid=timedelta(days=9), **limit))
        elif chance < 0.3:
            self.open.append(
                send(data=data, size=size, exectype=bt.Order.Stop, price=close * (1 + 0.01 * sign))
            )
        elif chance < 0.35:
            self.open.append(
                send(data=data, size=size, exectype=bt.Order.StopTrail, trailamount=close * 0.02)
            )
        elif chance < 0.4:
            self.open.append(send(data=data, size=size, exectype=bt.Order.Close))
        elif chance < 0.5:
            self.close(data=data)


@pytest.mark.parametrize("charged", sorted(COSTS))
@pytest.mark.parametrize("kind", ["trend", "gappy", "coarse", "minute"])
@pytest.mark.parametrize("symbols", [1, 2])
def test_markets(charged: str, kind: str, symbols: int, journals: store.Store) -> None:
    """B14, B15, B16, B17"""
    market = market_of(synthetic(kind, 7, 160, (0, 20)[:symbols], holes=True))
    costs, journal = COSTS[charged], journals.journal(f"run {next(RUNS)}")
    params = {"size": 200 if costs.margin else 50}
    report = check_parity(Busy, params, market, journal, cash=20_000.0, commission=0.001, costs=costs)
    assert report.identical, str(report)
    assert report.fills > 20


@pytest.mark.parametrize("name", ["momentum", "range_bound", "level_based"])
def test_the_sample_market(name: str, journals: store.Store) -> None:
    """B14, B15"""
    cls = registry.load(name)
    params = registry.resolve_params(cls, {})
    costs = Costs(spread=0.0005, slippage=0.0005, volume_share=0.00002, latency=1, margin=Margin())
    journal = journals.journal(f"run {next(RUNS)}")
    report = check_parity(cls, params, feeds.load("sample:goog"), journal, costs=costs)
    assert report.identical, str(report)
    assert report.fills > 10


@pytest.mark.parametrize(
    ("name", "resample"), [("Weekly", ("1W",)), ("Brackets", ()), ("Targets", ()), ("Signals", ())]
)
@pytest.mark.parametrize("charged", ["execution", "holding"])
def test_plain_strategies(name: str, resample: tuple[str, ...], charged: str, journals: store.Store) -> None:
    """B14, B15: classes that know nothing of this project."""
    market = market_of({"S0": random_market(1, 260, 0.02, 0.01, 0.1, 0.02, "B")})
    given = {"cash": 50_000.0, "costs": COSTS[charged], "resample": resample}
    report = check_parity(plain(name), {}, market, journals.journal(f"run {next(RUNS)}"), **given)
    assert report.identical, str(report)
    assert report.fills > 10


class Overextended(bt.Strategy):
    """Buys, or sells, all that margin allows, and waits for the market to turn."""

    params = (("side", 1),)

    def next(self) -> None:
        if not self.position and len(self) % 40 == 5:
            self.order_target_percent(target=1.7 * self.p.side)
            self.sell(exectype=bt.Order.Stop, price=self.data.close[0] * 0.2, size=1)


@pytest.mark.parametrize("side", [1, -1])
def test_margin_calls(side: int, journals: store.Store) -> None:
    """B15: the same positions are closed at the same bars."""
    frames = synthetic("gappy", 3, 300)
    costs = Costs(margin=Margin(0.5, 0.45, 0.5, 0.45), borrow=0.1)
    market, given = market_of(frames), {"cash": 20_000.0, "commission": 0.001, "costs": costs}
    reference = run_reference(Overextended, {"side": side}, market, **given)
    assert any(movement.kind == "liquidation" for movement in reference.strategy.broker.movements)
    journal = journals.journal(f"run {next(RUNS)}")
    report = check_parity(Overextended, {"side": side}, market, journal, **given)
    assert report.identical, str(report)


@pytest.mark.parametrize("charged", sorted(COSTS))
def test_a_replay_that_is_stopped_again_and_again(
    charged: str, journals: store.Store, tmp_path: Path
) -> None:
    """B14 to B17: every life begins with what the venue's file holds, and the end is that of one life."""
    frames = synthetic("coarse", 5, 120)
    given = {"cash": 20_000.0, "commission": 0.001, "costs": COSTS[charged]}
    reference = run_reference(Busy, {"size": 100}, market_of(frames), **given)
    journal = journals.journal(f"stopped {charged}")
    lives, complete, recording = 0, False, None
    while not complete:
        lives += 1
        assert lives < 60
        recording, complete, moved = live_for(11, journal, frames, tmp_path / "venue.db", COSTS[charged])
    assert lives > 5
    assert recording is not None
    report = compare(reference, recording)
    assert report.identical, str(report)
    assert report.fills > 20
    assert moved == reference.strategy.broker.movements


def live_for(
    bars: int, journal: Any, frames: dict[str, pd.DataFrame], state: Path, costs: Costs
) -> tuple[Any, bool, Any]:
    """One life: repeats what the journal knows, then asks to be stopped after so many bars more."""
    fresh = 0

    def on_bar(number: int) -> None:
        nonlocal fresh
        fresh += not replay.gateway.recovering
        if fresh == bars:
            replay.request_stop()

    replay = LivePath(
        Busy,
        {"size": 100},
        replayed(frames),
        lambda: PaperVenue(20_000.0, 0.001, state=state, costs=costs),
        journal,
        20_000.0,
        0.001,
        on_bar=on_bar,
    )
    recording = replay.run()
    return recording, replay.complete, recording.strategy.broker.movements
