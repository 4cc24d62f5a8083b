"""Time what this project adds to stock Backtrader, and what it saves: `make bench`.

Ratios are against stock Cerebro with its default observers, on the same bars, in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.cli import CommandParser, print_json, run_command

BASELINE = "stock Cerebro"


def market(bars: int) -> Any:
    """One-minute bars of a seeded random walk."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.001, bars)))
    opening = np.concatenate([[100.0], close[:-1]])
    prices = {
        "open": opening,
        "high": np.maximum(opening, close) * 1.0005,
        "low": np.minimum(opening, close) * 0.9995,
        "close": close,
        "volume": np.full(bars, 1000.0),
    }
    index = pd.date_range("2024-01-01", periods=bars, freq="1min", tz="UTC", name="time")
    return pd.DataFrame(prices, index=index)


def contenders(frame: Any, folder: Path) -> dict[str, Callable[[], float]]:
    """Each runs the crossover over `frame` and returns the final equity."""
    import backtrader as bt

    import store
    from benchmarks.crossover import Crossover
    from brokers.paper import PaperVenue
    from engine import backtest
    from engine.cerebro import assemble, history_feed, run, stock_broker
    from engine.replay import PaperReplay

    lives = iter(range(10**6))

    def stock() -> float:
        cerebro = bt.Cerebro()
        cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)))
        cerebro.broker.setcash(100_000.0)
        cerebro.broker.setcommission(commission=0.001)
        cerebro.addstrategy(Crossover)
        cerebro.run()
        return float(cerebro.broker.getvalue())

    def assembled() -> float:
        feeds = {"X": history_feed("X", frame)}
        return float(run(assemble(Crossover, {}, feeds, stock_broker(100_000.0, 0.001))).equity.iloc[-1])

    def whole() -> float:
        return float(backtest(Crossover, {"X": frame}).equity.iloc[-1])

    def live(durable: bool) -> float:
        home = folder / str(next(lives))
        home.mkdir()
        with store.open_store(f"sqlite:///{home}/journal.db") as database:
            replay = PaperReplay(
                Crossover,
                {},
                {"X": frame},
                lambda: PaperVenue(100_000.0, 0.001, state=home / "paper.db" if durable else None),
                database.journal("bench"),
                100_000.0,
                0.001,
            )
            return float(replay.run().equity.iloc[-1])

    return {
        BASELINE: stock,
        "engine.cerebro, recorded": assembled,
        "backtest(), checked, with metrics": whole,
        "live path, venue in memory": lambda: live(durable=False),
        "live path, venue on disk": lambda: live(durable=True),
    }


def measure(runs: dict[str, Callable[[], float]], repeat: int, bars: int) -> list[dict[str, Any]]:
    """Median seconds of each, in turns, so that a drifting machine treats them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    equity: dict[str, float] = {}
    for _ in range(repeat):
        for name, run in runs.items():
            started = time.perf_counter()
            equity[name] = run()
            seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    return [
        {
            "what": name,
            "seconds": median[name],
            "bars_per_second": bars / median[name],
            "times_baseline": median[BASELINE] / median[name],
            "same_equity": abs(equity[name] - equity[BASELINE]) <= 1e-9 * abs(equity[BASELINE]),
        }
        for name in runs
    ]


def main(args: argparse.Namespace) -> int:
    """Print a table, or JSON."""
    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as folder:
        rows = measure(contenders(market(args.bars), Path(folder)), args.repeat, args.bars)
    if args.json:
        print_json({"baseline": BASELINE, "bars": args.bars, "rows": rows})
        return 0
    print(f"moving-average crossover, {args.bars:,} one-minute bars, median of {args.repeat}")
    print(f"{'':36}{'seconds':>9}{'bars/s':>10}{'x ' + BASELINE:>18}  same equity")
    for row in rows:
        same = "yes" if row["same_equity"] else "NO"
        figures = f"{row['seconds']:>9.3f}{row['bars_per_second']:>10,.0f}{row['times_baseline']:>18.2f}"
        print(f"{row['what']:36}{figures}  {same}")
    return 0


def parser() -> CommandParser:
    """The command line of `python -m benchmarks`."""
    command = CommandParser(
        prog="python -m benchmarks",
        description="Time this project's ways to run a strategy against stock Backtrader.",
        example="python -m benchmarks --bars 20000 --repeat 3",
    )
    command.add_argument("--bars", type=int, default=10_000, help="one-minute bars (default: 10000)")
    command.add_argument("--repeat", type=int, default=3, help="runs of each (default: 3)")
    return command


if __name__ == "__main__":
    run_command(parser(), main)
