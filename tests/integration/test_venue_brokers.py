"""A plain script with a stock `bt.Cerebro` that trades at a venue: our data, our broker, nothing else."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import brokers
import feeds
from core.errors import ConfigError, InconsistentState
from feeds.live.binance import StreamSettings
from feeds.live.ibkr import IBKRStreamSettings
from tests.integration.live_bars import MINUTE, market_time, minutes, passing_time
from tests.simulator import ROOT, Simulator, simulator

_clients = itertools.count(700)
Parts = tuple[bt.feed.DataBase, bt.BrokerBase]
Make = Callable[[Simulator, datetime, Path], Parts]


def binance(sim: Simulator, start: datetime, file: Path) -> Parts:
    where = f"{sim.host}:{sim.port}"
    rest, streams = f"http://{where}/api/v3", f"ws://{where}/ws"
    keys = brokers.BinanceSettings(
        "rehearsal-key", "rehearsal-secret", rest, streams, f"ws://{where}/ws-api/v3", timeout_seconds=2.0
    )
    data = feeds.BinanceData(
        dataname="ABC/USDT",
        timeframe=bt.TimeFrame.Minutes,
        fromdate=start,
        remember=f"{file}.began",
        settings=StreamSettings(rest, streams, 2.0, silence_seconds=1.0),
    )
    return data, brokers.BinanceBroker(settings=keys, cash=5_000.0, file=file)


def ibkr(sim: Simulator, start: datetime, file: Path) -> Parts:
    data = feeds.IBKRData(
        dataname="ABC",
        timeframe=bt.TimeFrame.Minutes,
        fromdate=start,
        remember=f"{file}.began",
        settings=IBKRStreamSettings(sim.host, sim.port, next(_clients), answer=2.0, silence_seconds=1.0),
    )
    settings = brokers.IBKRSettings(host=sim.host, port=sim.port, client_id=next(_clients), answer=2.0)
    return data, brokers.IBKRBroker(settings=settings, cash=5_000.0, file=file)


@pytest.fixture(
    params=[("binance", "ABC/USDT", "ABCUSDT", binance), ("tws", "ABC", "ABC", ibkr)], ids=["binance", "ibkr"]
)
def venue(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, str, Make]]:
    exchange, listed, native, make = request.param
    with simulator(exchange, "--symbols", listed, "--cash", "100000") as running:
        minutes(running, native, 6)
        yield running, native, make


class Cautious(bt.Strategy):
    """Tries to buy on its very first bar, whatever it is, and again on later ones until it holds something."""

    params = (("bars", 5), ("guarded", False))

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.tries: list[bool] = []
        self.refused = self.held_for = 0
        self.live = False

    def notify_data(self, data: Any, status: int, *args: object, **kwargs: object) -> None:
        self.live = status == data.LIVE

    def notify_order(self, order: bt.Order) -> None:
        self.told.append((order.getstatusname(), order.ordtypename()))
        self.refused += order.status == order.Rejected

    def next(self) -> None:
        if self.position:
            self.held_for += 1
        elif (self.live or not self.p.guarded) and not any(
            kind == "Buy" and status != "Rejected" for status, kind in self.told
        ):
            self.tries.append(self.live)
            self.buy_bracket(size=2, exectype=bt.Order.Market, stopprice=50, limitprice=500)
        if self.held_for == self.p.bars:
            self.env.runstop()


def trade(sim: Simulator, native: str, parts: Parts, **params: int) -> Cautious:
    cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
    cerebro.adddata(parts[0])
    cerebro.setbroker(parts[1])
    cerebro.addstrategy(Cautious, **params)
    data, broker = parts
    with passing_time(sim, native):
        try:
            return cerebro.run()[0]  # type: ignore[no-any-return]
        except InconsistentState:
            # Backtrader stops neither when a run fails.
            data.stop()
            broker.gateway.stop()
            raise


def test_it_trades_what_is_live_and_goes_on_after_a_restart(
    venue: tuple[Simulator, str, Make], tmp_path: Path
) -> None:
    """B29, L9: entries on bars of the past are refused; a second life repeats the first, and sends nothing again."""
    sim, native, make = venue
    start = market_time(sim) - 4 * MINUTE
    first = trade(sim, native, make(sim, start, tmp_path / "mine.db"), bars=2)
    history = len(first.tries) - 1
    assert first.tries == [False] * history + [True]
    assert first.refused == 3 * history >= 3 * 3, "the three orders of a bracket on each bar of history"
    held = first.broker.getposition(first.data).size
    assert held == pytest.approx(2, rel=0.002), "less what Binance takes of the coin as its fee"
    orders = sim.orders()
    assert sorted(order["status"] for order in orders) == ["accepted", "accepted", "filled"]
    second = trade(sim, native, make(sim, start, tmp_path / "mine.db"), bars=6)
    assert second.told[: len(first.told)] == first.told
    assert second.broker.getposition(second.data).size == held
    assert second.held_for == 6
    assert [order["client_id"] for order in sim.orders()] == [order["client_id"] for order in orders]


def test_a_script_that_asks_whether_its_data_is_live_is_told_so_again(
    venue: tuple[Simulator, str, Make], tmp_path: Path
) -> None:
    """B29, L9: Backtrader's own convention; in the second life, the bars of the first are history."""
    sim, native, make = venue
    start, file = market_time(sim) - 4 * MINUTE, tmp_path / "mine.db"
    first = trade(sim, native, make(sim, start, file), bars=2, guarded=True)
    orders = sim.orders()
    assert (first.refused, len(orders)) == (0, 3)
    # The second begins later; where it begins is in the file.
    second = trade(sim, native, make(sim, start + 3 * MINUTE, file), bars=6, guarded=True)
    assert second.told[: len(first.told)] == first.told
    assert [order["client_id"] for order in sim.orders()] == [order["client_id"] for order in orders]


def test_other_bars_than_the_run_began_with_are_found_out(
    venue: tuple[Simulator, str, Make], tmp_path: Path
) -> None:
    sim, native, make = venue
    start, file = market_time(sim) - 4 * MINUTE, tmp_path / "mine.db"
    trade(sim, native, make(sim, start, file), bars=2, guarded=True)
    Path(f"{file}.began").unlink()
    with pytest.raises(
        InconsistentState, match=r"told of before it was made again|did not repeat its decisions"
    ):
        trade(sim, native, make(sim, start + 3 * MINUTE, file), bars=6, guarded=True)


@pytest.mark.parametrize(
    ("exchange", "symbol", "script"),
    [("binance", "BTC/USDT", "binance_bracket.py"), ("tws", "AAPL", "ibkr_bracket.py")],
)
def test_the_examples_trade_and_go_on(exchange: str, symbol: str, script: str, tmp_path: Path) -> None:
    """B29: killed in the middle, then run to its end; no order is there twice."""
    market = ("--market", "random:7", "--symbols", symbol, "--speed", "120")
    with simulator(exchange, *market) as sim:
        where = f"{sim.host}:{sim.port}" if exchange == "binance" else str(sim.port)
        command = [sys.executable, str(ROOT / "examples" / script), where, "account.db"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                command, cwd=tmp_path, env=environment, timeout=6, check=False, capture_output=True
            )
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, timeout=60, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert re.search(r"account [\d,.]+\n$", done.stdout)
        ids = [order["client_id"] for order in sim.orders()]
        assert len(ids) == len(set(ids))


def test_what_a_broker_for_real_money_needs_is_said(tmp_path: Path) -> None:
    for broker, missing in (
        (brokers.BinanceBroker(cash=1.0), "needs a file that outlives the script"),
        (brokers.BinanceBroker(cash=1.0, file=tmp_path / "mine.db"), "needs settings with a key"),
        (brokers.IBKRBroker(cash=1.0), "needs a file that outlives the script"),
    ):
        cerebro = bt.Cerebro()
        cerebro.setbroker(broker)
        broker.cerebro = cerebro
        with pytest.raises(ConfigError, match=missing):
            broker.start()
