"""Markets made by hand and a stock Cerebro to run strategies on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from matplotlib.cbook import get_sample_data


@dataclass
class Fills:
    """What happened: (bar number, size, price, exit reason) a fill, refused statuses, closed trades."""

    strategy: bt.Strategy
    fills: list[tuple[int, float, float, str | None]]
    refused: list[str]
    closed: int
    position: float
    value: float
    resting: int
    sizes: list[float] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    levels: list[float | None] = field(default_factory=list)


class Witness(bt.Analyzer):
    def start(self) -> None:
        self.fills: list[tuple[int, float, float, str | None]] = []
        self.refused: list[str] = []
        self.sizes: list[float] = []
        self.states: list[dict[str, Any]] = []
        self.levels: list[float | None] = []
        self.closed = 0

    def notify_order(self, order: bt.Order) -> None:
        for bit in order.executed.iterpending():
            reason = order.info.get("exit_reason")
            self.fills.append((len(self.data), bit.size, bit.price, None if reason is None else str(reason)))
        if order.status in (bt.Order.Margin, bt.Order.Rejected):
            self.refused.append(order.getstatusname())

    def notify_trade(self, trade: bt.Trade) -> None:
        self.closed += trade.isclosed

    def next(self) -> None:
        self.sizes.append(self.strategy.position.size)
        if hasattr(self.strategy, "state"):
            self.states.append(self.strategy.state())
            self.levels.append(self.strategy.stop_level)


Run = Callable[..., Fills]


@pytest.fixture
def run() -> Run:
    """Run a strategy class on bars; `setup` may change the Cerebro first."""

    def go(
        cls: type[bt.Strategy],
        bars: pd.DataFrame | Sequence[tuple[float, float, float, float]],
        *,
        cash: float = 100_000.0,
        commission: float = 0.0,
        setup: Callable[[bt.Cerebro], None] | None = None,
        options: dict[str, Any] | None = None,
        **params: Any,
    ) -> Fills:
        frame = bars if isinstance(bars, pd.DataFrame) else frame_of(bars)
        cerebro = bt.Cerebro(stdstats=False, **(options or {}))
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.broker.setcash(cash)
        cerebro.broker.setcommission(commission)
        cerebro.addanalyzer(Witness, _name="witness")
        cerebro.addstrategy(cls, **params)
        if setup is not None:
            setup(cerebro)
        (strategy,) = cerebro.run()
        seen = strategy.analyzers.witness
        broker = cerebro.broker
        resting = sum(order.alive() for order in broker.orders)
        return Fills(
            strategy, seen.fills, seen.refused, seen.closed, strategy.position.size, broker.getvalue(), resting,
            seen.sizes, seen.states, seen.levels,
        )  # fmt: skip

    return go


def frame_of(bars: Sequence[tuple[float, float, float, float]]) -> pd.DataFrame:
    """Daily bars from (open, high, low, close)."""
    index = pd.date_range("2024-01-01", periods=len(bars), freq="D")
    frame = pd.DataFrame(list(bars), columns=["open", "high", "low", "close"], index=index, dtype=float)
    frame["volume"] = 1000.0
    return frame


@pytest.fixture(scope="session")
def goog() -> pd.DataFrame:
    """The real sample market, adjusted."""
    rows = get_sample_data("goog.npz")["price_data"]
    factor = rows["adj_close"] / rows["close"]
    columns = {name: rows[name] * factor for name in ("open", "high", "low", "close")}
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(rows["date"]))
    frame["volume"] = rows["volume"].astype(float)
    return frame


def random_market(seed: int, bars: int = 400) -> pd.DataFrame:
    """Any valid market: trends, gaps, flat stretches, bars without range, bars without volume."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, rng.uniform(0.002, 0.05), bars) + rng.normal(0, 0.003)
    steps[rng.random(bars) < 0.02] *= 6
    quiet = np.zeros(bars, dtype=bool)
    for start in rng.integers(0, bars, 3):
        quiet[start : start + int(rng.integers(5, 80))] = True
    steps[quiet] = 0.0
    close = float(rng.choice([0.004, 3.0, 120.0, 60_000.0])) * np.exp(np.cumsum(np.clip(steps, -0.7, 0.7)))
    opening = np.concatenate(
        [close[:1], close[:-1] * np.where(quiet[1:], 1.0, np.exp(rng.normal(0, 0.01, bars - 1)))]
    )
    reach = np.where(quiet, 0.0, np.abs(rng.normal(0, 0.01, bars)))
    high = np.maximum(opening, close) * (1 + reach)
    low = np.minimum(opening, close) / (1 + reach)
    frame = pd.DataFrame(
        {"open": opening, "high": high, "low": low, "close": close},
        index=pd.date_range("2015-01-01", periods=bars, freq="D"),
    )
    frame["volume"] = np.where(rng.random(bars) < 0.1, 0.0, 1000.0)
    return frame


@pytest.fixture
def market() -> Callable[..., pd.DataFrame]:
    """`random_market`, for tests that cannot import a conftest."""
    return random_market


@pytest.fixture
def frame() -> Callable[..., pd.DataFrame]:
    """`frame_of`, for tests that cannot import a conftest."""
    return frame_of
