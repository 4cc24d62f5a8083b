"""The same combinations on stock's `optstrategy`, on `engine.sweep` and on vectorbt."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

Pairs = Sequence[tuple[int, int]]
CASH, COMMISSION = 100_000.0, 0.001


def grid(combinations: int) -> list[tuple[int, int]]:
    """Fast and slow periods: a rectangle, twice as many slow ones as fast ones."""
    fast = max(1, round(math.sqrt(combinations / 2)))
    slow = -(-combinations // fast)
    return [(2 + i, fast + 10 + j) for i in range(fast) for j in range(slow)][:combinations]


def stock(frame: Any, pairs: Pairs) -> float:
    """Best final equity by `optstrategy` on all cores, without observers."""
    import backtrader as bt

    from benchmarks.crossover import Crossover
    from benchmarks.final import Final

    cerebro = bt.Cerebro(maxcpus=os.cpu_count(), stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)))
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION)
    cerebro.addanalyzer(Final, _name="final")
    fast, slow = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})
    cerebro.optstrategy(Crossover, fast=fast, slow=slow)
    return max(float(run[0].analyzers.final.get_analysis()["value"]) for run in cerebro.run())


def ours(frame: Any, pairs: Pairs) -> float:
    """Best final equity by `engine.sweep`, every indicator computed anew."""
    from benchmarks.crossover import Crossover
    from engine.sweep import sweep
    from engine.sweep_rows import ROWS

    ROWS.clear()
    combinations = [{"fast": fast, "slow": slow} for fast, slow in pairs]
    result = sweep(Crossover, {"X": frame}, combinations, metric="end_value", metrics=("end_value",))
    return float(result.table["end_value"].max())
