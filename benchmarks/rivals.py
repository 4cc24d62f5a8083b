"""Other programs on the same data, where they are installed: `pip install -e '.[bench]'`.

vectorbt and backtesting.py cannot run a Backtrader strategy: theirs is written anew below, orders at the next open.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.markets import market
from benchmarks.measure import wants_more

CASH, COMMISSION, SIZE = 100_000.0, 0.001, 100
Final = Callable[[Any], float]
MODULES = ("vectorbt", "backtesting", "back_trader")
SECONDS = 900.0


def measured(
    module: str, bars: int, repeat: int, combinations: Sequence[tuple[int, int]] = ()
) -> dict[str, Any] | None:
    """Label, median seconds and final equity of a rival; None where it is not installed.

    In a process of its own: back_trader takes over the name backtrader when it is imported. combinations: run a
    sweep over these instead of one run; the value is then the best final equity.
    """
    if importlib.util.find_spec(module) is None:
        return None
    task = json.dumps({"module": module, "bars": bars, "repeat": repeat, "combinations": list(combinations)})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rivals", task], capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"label": module, "failed": last[0]}
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _child(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small market, then measure."""
    label, run = {"vectorbt": vectorbt, "backtesting": backtesting, "back_trader": back_trader_cpp}[
        task["module"]
    ]()
    combinations = [tuple(pair) for pair in task["combinations"]]
    if combinations:
        run = partial(vectorbt_sweep, combinations=combinations)
    frame = market(task["bars"])
    run(market(min(task["bars"], 2_500)))
    taken: list[float] = []
    while wants_more(taken, task["repeat"]):
        started = time.perf_counter()
        value = run(frame)
        taken.append(time.perf_counter() - started)
    return {"label": label, "seconds": statistics.median(taken), "value": value}


def vectorbt() -> tuple[str, Final]:
    import vectorbt as vbt

    def run(frame: Any) -> float:
        return _vectorbt_best(frame, [(10, 30)])

    return f"vectorbt {vbt.__version__} (rewritten)", run


def vectorbt_sweep(frame: Any, combinations: Sequence[tuple[int, int]]) -> float:
    """The best final value of all combinations."""
    return _vectorbt_best(frame, combinations)


def _vectorbt_best(frame: Any, combinations: Sequence[tuple[int, int]]) -> float:
    import numpy as np
    import vectorbt as vbt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fast = vbt.MA.run(frame["close"], window=[fast for fast, _ in combinations], short_name="fast")
        slow = vbt.MA.run(frame["close"], window=[slow for _, slow in combinations], short_name="slow")
        portfolio = vbt.Portfolio.from_signals(
            frame["close"],
            entries=fast.ma_crossed_above(slow).vbt.fshift(1),
            exits=fast.ma_crossed_below(slow).vbt.fshift(1),
            price=frame["open"],
            size=SIZE,
            fees=COMMISSION,
            init_cash=CASH,
            freq="1min",
        )
        return float(np.max(portfolio.final_value()))


def backtesting() -> tuple[str, Final]:
    import backtesting as library
    import numpy as np
    from backtesting.lib import crossover

    def mean(values: Any, period: int) -> Any:
        import pandas as pd

        return pd.Series(values).rolling(period).mean().to_numpy()

    class Crossover(library.Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast = self.I(mean, np.asarray(self.data.Close), 10)
            self.slow = self.I(mean, np.asarray(self.data.Close), 30)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(size=SIZE)
            elif crossover(self.slow, self.fast) and self.position:
                self.position.close()

    def run(frame: Any) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            test = library.Backtest(
                frame.rename(columns=str.capitalize).tz_localize(None),
                Crossover,
                cash=CASH,
                commission=COMMISSION,
            )
            return float(test.run()["Equity Final [$]"])

    return f"backtesting.py {library.__version__} (rewritten)", run


def back_trader_cpp() -> tuple[str, Final]:
    from importlib.metadata import version

    import back_trader as bt

    class Crossover(bt.Strategy):  # type: ignore[misc]
        params = (("fast", 10), ("slow", 30))

        def __init__(self) -> None:
            self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

        def next(self) -> None:
            if self.cross > 0:
                self.buy(size=SIZE)
            elif self.cross < 0 and self.position:
                self.close()

    def run(frame: Any) -> float:
        cerebro = bt.Cerebro()
        cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)))
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=COMMISSION)
        cerebro.addstrategy(Crossover)
        cerebro.run()
        return float(cerebro.broker.getvalue())

    return f"back-trader-cpp {version('back-trader-cpp')}", run


if __name__ == "__main__":
    print(json.dumps(_child(json.loads(sys.argv[1]))))
