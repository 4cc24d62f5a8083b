"""A finished run, the same every time, and a browser without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright

from analyzers.metrics import summarize
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from core.types import DataInfo
from reports import write_run

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
BARS, HOLD = 260, 13


def market(seed: int) -> pd.DataFrame:
    """A random walk of daily bars."""
    steps = np.random.default_rng(seed).normal(0.0005, 0.015, BARS)
    close = 100 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([100.0], close[:-1]))
    index = pd.bdate_range("2022-01-03", periods=BARS, tz="UTC", name="time")
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    return pd.DataFrame(
        {"open": opened, "high": high, "low": low, "close": close, "volume": 1e6}, index=index
    )


def finished_run() -> RunResult:
    """Two symbols, bought and sold in turns every `HOLD` bars; the last trade stays open."""
    prices = {"AAA": market(1), "BBB": market(2)}
    index = prices["AAA"].index
    cash, held = 100_000.0, dict.fromkeys(prices, 0.0)
    entry: dict[str, tuple[int, float]] = {}
    equity, money, fills, trades = [], [], [], []
    for bar in range(BARS):
        symbol = "AAA" if (bar // HOLD) % 4 < 2 else "BBB"
        if bar and bar % HOLD == 0:
            price = float(prices[symbol]["open"].iloc[bar])
            size = -held[symbol] or 200.0
            paid = abs(size) * price * 0.001
            cash -= size * price + paid
            held[symbol] += size
            fills.append((index[bar], symbol, size, price, paid, len(fills) + 1))
            if held[symbol]:
                entry[symbol] = bar, price
            else:
                first, bought = entry.pop(symbol)
                gain, fees = (price - bought) * 200, (price + bought) * 0.2
                row = (
                    index[first],
                    index[bar],
                    200.0,
                    bought,
                    price,
                    gain,
                    gain - fees,
                    fees,
                    "signal",
                    bar - first,
                )
                trades.append((symbol, *row))
        equity.append(cash + sum(held[name] * frame["close"].iloc[bar] for name, frame in prices.items()))
        money.append(cash)
    value = pd.Series(equity, index=index, name="equity")
    fill_table = pd.DataFrame(fills, columns=list(FILL_COLUMNS))
    trade_table = pd.DataFrame(trades, columns=list(TRADE_COLUMNS))
    start, end = (moment.to_pydatetime().astimezone(UTC) for moment in (index[0], index[-1]))
    return RunResult(
        kind="paper",
        strategy="turns",
        params={"hold": HOLD},
        data=DataInfo("synthetic", tuple(prices), start, end, 2 * BARS, "1d", {"filled_bars": 0}),
        equity=value,
        cash=pd.Series(money, index=index, name="cash"),
        trades=trade_table,
        orders=pd.DataFrame(columns=list(ORDER_COLUMNS)),
        fills=fill_table,
        metrics=summarize(value, trade_table, fills=fill_table),
        engine="cerebro",
        engine_reason="made by hand",
        prices=prices,
        costs={"cash": 100_000.0, "commission": 0.001},
        notes=("a note with <b>marks</b>",),
        meta={"open_trades": len(entry)},
    )


@pytest.fixture(scope="module")
def run() -> RunResult:
    """The run that the page is about."""
    return finished_run()


@pytest.fixture(scope="module")
def page_file(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that run."""
    return write_run(run, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium is installed: the page is not looked at in a browser")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield found
        found.close()
