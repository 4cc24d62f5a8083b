"""A run of the timetable on a venue, killed in a process of its own and started again."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

import store
from brokers.base import Venue
from engine.live_path import LivePath
from engine.recording import Recording
from engine.replay import replayed
from tests.integration.timetable import CLOSES, Timetable

Told = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


class CutRun(ABC):
    """What a run keeps, over all of its lives. market: moves the venue's price; cash: what the account holds."""

    strategy: type[bt.Strategy] = Timetable
    closes: Sequence[float] = CLOSES

    def __init__(self, folder: Path, symbol: str, market: Callable[[float], object], cash: float) -> None:
        self.folder, self.symbol, self.market, self.cash = folder, symbol, market, cash
        self.steps: list[str] = []
        self.cut_at: tuple[str, int] | None = None
        market(self.closes[0])

    @abstractmethod
    def venue(self) -> Venue:
        """The venue of one life."""

    def on_step(self, name: str) -> None:
        """A step is taken, or the process ends there."""
        self.steps.append(name)
        if (name, self.steps.count(name)) == self.cut_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def move(self, number: int, price: float) -> None:
        """The market at bar `number`, once for all lives, so that each sees the same."""
        moved = self.folder / f"moved-{number}"
        if not moved.exists():
            self.market(price)
            moved.touch()

    def run(self) -> Recording:
        """One life, to its end."""
        self.steps = []
        index = pd.date_range("2024-02-01", periods=len(self.closes), freq="1D", tz="UTC", name="time")
        frame = pd.DataFrame(
            {name: map(float, self.closes) for name in ("open", "high", "low", "close")}, index
        )
        frame["volume"] = 1000.0
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            journal, frames = database.journal("run"), {self.symbol: frame}
            replay = LivePath(
                self.strategy, {}, replayed(frames), self.venue, journal, self.cash, 0.0, on_step=self.on_step
            )
            return replay.run()

    def die_at(self, step: str, occurrence: int) -> None:
        """One life in a process of its own, which is killed at that step, or ends before it comes."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.cut_at = step, occurrence
                self.run()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), f"it failed by itself: {status}"


def told(recording: Recording) -> Told:
    """What became of each order, as they were first told of, and every fill; not the time it took."""
    orders = recording.orders[["type", "side", "size", "status"]].itertuples(index=False, name=None)
    fills = recording.fills[["size", "price", "commission"]].itertuples(index=False, name=None)
    return list(orders), list(fills)
