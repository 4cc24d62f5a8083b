"""Worker processes: the same answers in order, after a death, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import StrategyError
from engine.account import Schemes
from engine.cerebro import stock_broker
from engine.choose import Task
from optimize import pool as pools
from optimize.pool import Part, Pool
from optimize.runs import load_function, run_each
from strategies import registry

STRATEGY = '''
import os
import backtrader as bt


class Probe(bt.Strategy):
    """Buys above its average; may fail, or end its process, as its parameters ask."""

    params = (("period", 5), ("fail_on", 0), ("die_unless", ""))

    def __init__(self):
        self.sma = bt.ind.SMA(period=self.p.period)
        if self.p.die_unless and not os.path.exists(self.p.die_unless):
            open(self.p.die_unless, "w").close()
            os.kill(os.getpid(), 9)
        if self.p.die_unless == "always":
            os.kill(os.getpid(), 9)

    def next(self):
        if self.p.fail_on and len(self) == self.p.fail_on:
            raise ZeroDivisionError("planned")
        if not self.position and self.data.close[0] > self.sma[0]:
            self.buy(size=10)
        elif self.position and self.data.close[0] < self.sma[0]:
            self.close()
'''
METRICS = ("sharpe", "trades", "end_value")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY)
    rng = np.random.default_rng(4)
    close = 100 * np.cumprod(1 + 0.01 * rng.standard_normal(240))
    index = pd.date_range("2020-01-01", periods=240, tz="UTC", name="time")
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1.0}, index=index
    )
    return Task(registry.load(f"{path}:Probe"), {}, {"A": frame}, stock_broker(10_000.0, 0.001))


@pytest.fixture
def pool(task: Task) -> Iterator[Pool]:
    with Pool(task, 2) as made:
        yield made


def part(task: Task, first: int = 0, last: int = 239, measured: int = 0) -> Part:
    times = task.frames["A"].index
    return Part(times[first], times[last], times[measured])


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_workers_answers_as_this_process_would_in_the_same_order(task: Task, jobs: int) -> None:
    params = [{"period": period, "fail_on": 100 * (period == 20)} for period in range(3, 40)]
    here = run_each(task, params, METRICS, task.frames["A"].index[0])
    seen: list[int] = []
    with Pool(task, jobs) as pool:
        there = pool.run(params, METRICS, part(task), on_done=seen.append)
        assert len(pool.workers) == jobs
    for name in METRICS:
        assert np.array_equal(here.metrics[name], there.metrics[name], equal_nan=True)
    assert np.array_equal(here.moments, there.moments)
    assert there.errors == here.errors
    assert [number for number, error in enumerate(there.errors) if error] == [17]
    assert sorted(there.tracebacks) == [17]
    assert seen[-1] == len(params)


@pytest.mark.parametrize(("trials", "jobs"), [(1, 2), (7, 2), (48, 2), (500, 3), (1000, 8)])
def test_what_travels_together_gets_less_towards_the_end(trials: int, jobs: int) -> None:
    params = [{"period": period} for period in range(trials)]
    chunks = pools._chunks(params, jobs)
    sizes = [len(chunk) for chunk in chunks]
    assert [each for chunk in chunks for each in chunk] == params
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= pools.CHUNK
    assert sizes[-jobs:] == [1] * min(jobs, trials)
    assert len(sizes) <= trials / pools.CHUNK + 16 * jobs, "each costs a journey"


def test_a_part_is_all_that_is_seen(task: Task, pool: Pool) -> None:
    params = [{"period": 7}]
    whole = pool.run(params, METRICS, part(task, 50, 150, 80))
    frame = task.frames["A"].iloc[50:151]
    alone = Task(task.strategy, {}, {"A": frame}, task.broker)
    here = run_each(alone, params, METRICS, task.frames["A"].index[80])
    assert np.array_equal(whole.moments, here.moments)
    assert whole.moments[0, :, 0].sum() == 71


def test_a_strategy_that_raises_ends_its_trial_alone(task: Task, pool: Pool) -> None:
    found = pool.run([{"period": 5}, {"fail_on": 60}, {"nope": 1}], METRICS, part(task))
    assert found.errors[0] == ""
    assert "planned" in found.errors[1]
    assert "ZeroDivisionError" in found.tracebacks[1]
    assert "nope" in found.errors[2]
    assert np.isnan(found.metrics["sharpe"][1])


def test_the_trials_of_a_killed_worker_are_run_again(task: Task, pool: Pool, tmp_path: Path) -> None:
    params = [{"period": period} for period in range(3, 20)]
    here = run_each(task, params, METRICS, task.frames["A"].index[0])
    params[5] = params[5] | {"die_unless": str(tmp_path / "dead")}
    found = pool.run(params, METRICS, part(task))
    assert (tmp_path / "dead").exists()
    assert found.errors == [""] * len(params)
    assert np.array_equal(found.metrics["end_value"], here.metrics["end_value"])


def test_a_trial_that_always_kills_its_worker_is_named(
    task: Task, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optimize.pool.CHUNK", 1)
    monkeypatch.chdir(tmp_path)
    Path("always").touch()
    found = pool.run([{"period": 5}, {"die_unless": "always"}, {"period": 9}], METRICS, part(task))
    assert found.errors[0] == found.errors[2] == ""
    assert "died 3 times" in found.errors[1]


def test_workers_end_with_the_pool(task: Task) -> None:
    with Pool(task, 2) as pool:
        pool.run([{"period": 5}], METRICS, part(task))
        workers = pool.workers
        assert workers
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, signal.SIG_DFL)
    assert pool.workers == []


def test_a_class_inside_a_function_cannot_travel(task: Task) -> None:
    class Local(task.strategy):  # type: ignore[misc, name-defined]
        pass

    with pytest.raises(StrategyError, match="cannot be loaded again"):
        Pool(Task(Local, {}, task.frames, task.broker), 1)


SCRIPT = """
from pathlib import Path
from tests_bars import bars
from optimize.evaluate import Evaluation
from optimize.trials import Span
from engine.cerebro import stock_broker
from feeds.market import load
import backtrader as bt

print("started", flush=True)

class Mine(bt.Strategy):
    params = (("n", 3),)
    def next(self):
        self.buy(size=self.p.n)

{guard}
    with Evaluation(Mine, load(bars()), stock_broker(1e6, 0.0), metrics=["trades"], jobs=2, engine="lean") as run:
        print(run([{{"n": n}} for n in range(1, 9)], Span(0, 50)).errors, flush=True)
"""
BARS = """
import numpy as np, pandas as pd
def bars():
    close = np.linspace(100, 120, 60)
    index = pd.date_range("2020-01-01", periods=60, tz="UTC")
    return pd.DataFrame({c: close for c in ("open", "high", "low", "close", "volume")}, index=index)
"""


@pytest.mark.parametrize(("guard", "code"), [('if __name__ == "__main__":', 0), ("if True:", 1)])
def test_a_script_that_searches_when_imported_is_told_so(tmp_path: Path, guard: str, code: int) -> None:
    (tmp_path / "tests_bars.py").write_text(BARS)
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parents[3]}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert "if __name__ ==" in done.stderr
    else:
        assert done.stdout.splitlines()[-1] == str([""] * 8)


def test_a_broker_as_plain_values_is_the_same_broker() -> None:
    broker = stock_broker(5_000.0, 0.002)
    broker.set_slippage_perc(0.01)
    broker.setcommission(commission=2.0, margin=1000.0, mult=10.0, name="ES")
    again = Schemes.of(broker).broker()
    assert dict(again.p._getkwargs()).keys() == dict(broker.p._getkwargs()).keys()
    assert (again.p.cash, again.p.slip_perc) == (5_000.0, 0.01)
    for name in (None, "ES"):
        assert again.comminfo[name].getcommission(3, 50.0) == broker.comminfo[name].getcommission(3, 50.0)
        assert again.comminfo[name].get_margin(50.0) == broker.comminfo[name].get_margin(50.0)


def test_a_function_of_the_result_is_an_objective(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def score(result):\n    return result.equity.iloc[-1] - 10_000\ndef bad(result):\n    return 1 / 0\n"
    )
    names = ("end_value", f"{path}:score", f"{path}:bad")
    found = run_each(task, [{"period": 5}], names, task.frames["A"].index[0])
    assert "bad failed: ZeroDivisionError" in found.errors[0]
    found = run_each(task, [{"period": 5}], names[:2], task.frames["A"].index[0])
    assert found.metrics[names[1]][0] == found.metrics["end_value"][0] - 10_000
    for reference in ("nowhere:score", f"{path}:nothing", f"{tmp_path}/none.py:score"):
        with pytest.raises(Exception, match="cannot be loaded"):
            load_function(reference)
