"""What a venue says between two bars reaches the strategy at once, and at the same place in every life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

import store
from brokers.bridge import VenueBroker
from brokers.executor import Executor
from brokers.gateway import Gateway
from brokers.paper import PaperVenue
from core.types import Bar, OrderEvent, to_decimal
from feeds.bridge import LiveData
from feeds.replay import Replay

CASH, COMMISSION = 10_000.0, 0.001
CLOSES = [100, 101, 103, 99, 96, 98, 102, 104, 101, 97, 95, 99, 103, 108]


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Late(PaperVenue):
    """Fills are there with the bar, and are only told after it."""

    told = 0

    @property
    def sequence(self) -> int:
        return self.told

    async def connect(self) -> None:
        await super().connect()
        self.told = super().sequence
        self.loop, self.more = asyncio.get_running_loop(), asyncio.Event()

    async def events(self) -> AsyncIterator[OrderEvent]:
        async for event in super().events():
            while event.sequence > self.told:
                self.more.clear()
                await self.more.wait()
            yield event

    async def close(self) -> None:
        self.told = super().sequence
        self.more.set()
        await super().close()

    def tell(self) -> bool:
        """Tell all there is; whether that was anything."""
        before, self.told = self.told, super().sequence
        self.loop.call_soon_threadsafe(self.more.set)
        return self.told > before


class Slow(Replay):
    """Between two bars there is time for the venue to say something, unless the past is repeated."""

    def __init__(self, frame: pd.DataFrame, life: Life) -> None:
        super().__init__("X", frame)
        self.life = life
        self.paused = self.quiet = True

    @property
    def ended(self) -> bool:
        return super().ended and self.quiet

    def next(self) -> Any:
        gateway = self.life.gateway
        self.paused = not self.paused
        if gateway.recovering or (self.paused and not super().ended):
            self.quiet = False
            return super().next()
        self.quiet = not self.life.venue.tell()
        if not self.quiet:
            end = time.monotonic() + 10
            while not gateway.news:
                assert time.monotonic() < end
                time.sleep(0.001)
        return None


class Reacting(bt.Strategy):
    """Protects a position as soon as it hears of it, and reverses what the protection closed."""

    params = (("heard", None),)

    def __init__(self) -> None:
        self.heard = self.p.heard
        self.bars = 0

    def notify_order(self, order: bt.Order) -> None:
        self.heard.append((self.bars, order.getstatusname(), order.ordtypename(), order.executed.size))
        if order.status != order.Completed:
            return
        if order.exectype == bt.Order.Market and order.isbuy():
            stop = self.sell(size=order.executed.size, exectype=bt.Order.Stop, price=self.data.close[0] - 4)
            self.sell(
                size=order.executed.size, exectype=bt.Order.Limit, price=self.data.close[0] + 3, oco=stop
            )
        elif order.issell():
            self.buy(size=2)

    def next(self) -> None:
        self.bars += 1
        if self.bars == 2:
            self.buy(size=3)
        elif self.bars == 4:
            self.buy(size=1, exectype=bt.Order.Limit, price=97)


class Life:
    """One process on the files of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.steps: list[str] = []
        self.heard: list[tuple[int, str, str, float]] = []
        self.venue: Late

    def run(self, cut_at: int | None = None) -> Reacting | None:
        def on_step(name: str) -> None:
            self.steps.append(name)
            if len(self.steps) == cut_at:
                raise Killed(name)

        def executor() -> Executor:
            self.venue = Late(CASH, COMMISSION, state=self.folder / "venue.db", on_step=on_step)
            return Executor(self.venue, journal, on_step=on_step, cash=to_decimal(CASH))

        index = pd.date_range("2024-02-01", periods=len(CLOSES), freq="1D", tz="UTC", name="time")
        frame = pd.DataFrame({name: map(float, CLOSES) for name in ("open", "high", "low", "close")}, index)
        frame["volume"] = 1000.0
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            journal = database.journal("run")
            self.gateway = Gateway(executor)
            cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
            cerebro.setbroker(VenueBroker(gateway=self.gateway, cash=CASH))
            cerebro.broker.setcommission(commission=COMMISSION)
            cerebro.adddata(LiveData(source=Slow(frame, self), name="X"))
            cerebro.addstrategy(Reacting, heard=self.heard)
            try:
                return cerebro.run()[0]  # type: ignore[no-any-return]
            except Killed:
                return None
            finally:
                self.gateway.stop()


def test_it_hears_before_the_next_bar(tmp_path: Path) -> None:
    """E2"""
    life = Life(tmp_path)
    strategy = life.run()
    assert strategy is not None
    filled = [bar for bar, status, kind, _ in strategy.heard if (status, kind) == ("Completed", "Buy")]
    assert filled[0] == 3, "bought at bar 3, of which it hears before bar 4"
    with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
        events = database.journal("run").events()
    assert any(event.between_bars for event in events)
    assert len({event.event.client_id for event in events}) >= 6


def test_every_life_hears_what_was_heard_before_at_the_same_place(tmp_path: Path) -> None:
    """E2, L9: cut off at every fourth durable step, between bars and with them.

    What nobody heard may be told sooner to the next life, which is told of it when it connects.
    """
    whole = Life(tmp_path / "whole")
    assert whole.run() is not None
    for number in range(1, len(whole.steps) + 1, 4):
        where = f"cut at step {number} ({whole.steps[number - 1]})"
        cut, again, last = (Life(tmp_path / str(number)) for _ in range(3))
        assert cut.run(cut_at=number) is None
        assert again.run() is not None, where
        assert again.heard[: len(cut.heard)] == cut.heard, where
        assert last.run() is not None
        assert (last.heard, last.steps) == (again.heard, []), where


def test_bars_wait_while_there_is_news() -> None:
    class Source(Replay):
        def next(self) -> Bar | Any:
            raise AssertionError("nobody asks for a bar")

    index = pd.date_range("2024-02-01", periods=1, freq="1D", tz="UTC")
    frame = pd.DataFrame({name: [1.0] for name in ("open", "high", "low", "close", "volume")}, index)
    data = LiveData(source=Source("X", frame), name="X")
    data.wait_for(lambda: None, lambda: True)
    assert data._load() is None
    free: Callable[[], bool] = lambda: False  # noqa: E731
    data.wait_for(lambda: None, free)
    with pytest.raises(AssertionError):
        data._load()
