"""Compile what all compiled runs share, once after an installation, instead of during somebody's first run.

python -m engine.precompile

numba keeps machine code beside the sources it was made from; where that folder cannot be written, in the user's cache.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import backtrader as bt

from core.cli import CommandParser, print_json, progress, run_command

BARS = 300
MANY = 1_000_000
"""Combinations for which any kernel is worth its compiling."""


class Everyday(bt.Strategy):
    """What most strategies use: averages, a range, a stop that rests, a protected entry, an exit by signal."""

    params = (("fast", 5), ("slow", 20))

    def __init__(self) -> None:
        self.fast = bt.ind.EMA(period=self.p.fast)
        self.slow = bt.ind.SMA(period=self.p.slow)
        self.range = bt.ind.ATR(period=14)
        self.rate = bt.ind.ROC(period=10)
        self.low = bt.ind.Lowest(self.data.low(-1), period=10)
        self.stop_order: Any = None

    def notify_order(self, order: bt.Order) -> None:
        """Forget a stop that has gone."""
        if order == self.stop_order and not order.alive():
            self.stop_order = None

    def next(self) -> None:
        """Enter on a rising average, leave on a falling one."""
        if not self.position:
            if self.fast[0] > self.slow[0] and self.rate[0] > 0:
                self.buy(size=10)
                self.stop_order = self.sell(
                    size=10, exectype=bt.Order.Stop, price=self.low[0] - 0.1 * self.range[0]
                )
        elif self.fast[0] < self.slow[0]:
            self.cancel(self.stop_order)
            self.close()


def main(args: argparse.Namespace) -> int:
    """A run, a sweep and a Monte Carlo: whatever they share with others is compiled by them."""
    from analyzers.montecarlo import monte_carlo
    from engine.backtest import backtest
    from feeds.market import load

    began = time.perf_counter()
    frames = {name: frame.iloc[:BARS] for name, frame in load("sample:goog").frames.items()}
    with progress("compiling, once", 3, enabled=not args.json) as done:
        backtest(Everyday, frames, engine="compiled")
        done(1)
        _sweep_momentum(frames)
        done(2)
        monte_carlo([0.01, -0.01], paths=2)
        done(3)
    seconds = time.perf_counter() - began
    if args.json:
        print_json({"seconds": seconds})
    else:
        print(f"compiled in {seconds:.0f} s; runs load it from disk")
    return 0


def _sweep_momentum(frames: dict[str, Any]) -> None:
    """The strategy the other commands take by default, with all of its space to vary, as an optimisation does."""
    from engine.cerebro import stock_broker
    from engine.choose import Task
    from engine.sweep_metrics import METRICS
    from engine.sweep_run import Sweeping
    from strategies import registry

    strategy = registry.load("momentum")
    space = strategy.space
    ends = [{name: getattr(values, end) for name, values in space.items()} for end in ("low", "high")]
    task = Task(strategy, {}, frames, stock_broker(100_000.0, 0.001))
    Sweeping(task, ends, METRICS, None, None, planned=MANY).compiled()


def _parser() -> CommandParser:
    return CommandParser(
        prog="python -m engine.precompile",
        description="Compile what all compiled runs share, so that the first run does not wait for it.",
        example="python -m engine.precompile",
    )


if __name__ == "__main__":
    run_command(_parser(), main)
