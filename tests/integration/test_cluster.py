"""Trials on a Dask cluster whose scheduler and workers are processes of their own, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import UserError
from engine.cerebro import stock_broker
from engine.choose import Task
from feeds.market import load
from optimize.cluster import Cluster
from optimize.evaluate import Evaluation
from optimize.pool import Part
from optimize.runs import run_each
from optimize.trials import Span
from strategies import registry

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]
SECONDS = 90
METRICS = ("sharpe", "trades", "end_value")
STRATEGY = '''
import os
import time
import backtrader as bt


class Probe(bt.Strategy):
    """Buys above its average; may fail, wait for a file, or end its process once, as its parameters ask."""

    params = (("period", 5), ("fail", 0), ("kill", ""), ("wait", ""))

    def __init__(self):
        self.sma = bt.ind.SMA(period=self.p.period)
        if self.p.fail:
            raise ZeroDivisionError("planned")
        if self.p.kill == "always":
            os.kill(os.getpid(), 9)
        if self.p.kill and not os.path.exists(self.p.kill):
            open(self.p.kill, "w").close()
            os.kill(os.getpid(), 9)
        if self.p.wait:
            with open(self.p.wait + ".begun", "a") as begun:
                begun.write(f"{os.getpid()}\\n")
            until = time.monotonic() + 120
            while not os.path.exists(self.p.wait) and time.monotonic() < until:
                time.sleep(0.02)

    def next(self):
        if not self.position and self.data.close[0] > self.sma[0]:
            self.buy(size=10)
        elif self.position and self.data.close[0] < self.sma[0]:
            self.close()
'''


class Processes:
    """A scheduler, and workers that are started and killed one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-show")

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / f"{module}-{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.running.append(process)
        return process

    @property
    def alive(self) -> list[subprocess.Popen[bytes]]:
        return [worker for worker in self.workers if worker.poll() is None]

    def need(self, workers: int) -> None:
        """Have so many workers at least: one thread each, and no nanny that would start it again."""
        for _ in range(workers - len(self.alive)):
            self._worker()
        self._ready(len(self.alive))

    def _worker(self) -> None:
        worker = self._start(
            "dask_worker",
            self.address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--local-directory",
            str(self.folder),
        )
        self.workers.append(worker)

    def _ready(self, workers: int) -> None:
        """Wait until the scheduler answers and has so many workers."""
        from distributed import Client

        until = time.monotonic() + SECONDS
        while True:
            try:
                with Client(self.address, timeout=5, set_as_default=False) as client:
                    if workers:
                        client.wait_for_workers(workers, timeout=SECONDS)
                    return
            except OSError:
                assert time.monotonic() < until, "the scheduler does not answer"

    def end(self) -> None:
        for process in reversed(self.running):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Shared by the tests, for a worker takes seconds to start: they kill what they like, and ask for what they need."""
    started = Processes(tmp_path_factory.mktemp("cluster"))
    yield started
    started.end()


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Processes]:
    """A cluster for a test alone."""
    started = Processes(tmp_path)
    yield started
    started.end()


@pytest.fixture
def task(tmp_path: Path) -> Task:
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY)
    return Task(registry.load(f"{path}:Probe"), {}, {"A": bars()}, stock_broker(10_000.0, 0.001))


def bars() -> pd.DataFrame:
    close = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(4).standard_normal(240))
    index = pd.date_range("2020-01-01", periods=240, tz="UTC", name="time")
    return pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1.0}, index=index
    )


def part(task: Task, first: int = 0, last: int = 239, measured: int = 0) -> Part:
    times = task.frames["A"].index
    return Part(times[first], times[last], times[measured])


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def begun(path: Path) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(line) for line in Path(f"{path}.begun").read_text().splitlines()]
    return []


def test_a_cluster_answers_as_this_process_would(processes: Processes, task: Task) -> None:
    processes.need(2)
    params = [{"period": period} for period in range(3, 60)]
    params[7] = {"fail": 1}
    here = run_each(task, params, METRICS, task.frames["A"].index[0])
    with Cluster(processes.address) as cluster:
        there = cluster.run(task, params, METRICS, part(task))
        some = cluster.run(task, params[:3], METRICS, part(task, 50, 150, 80))
    for name in METRICS:
        assert np.array_equal(here.metrics[name], there.metrics[name], equal_nan=True)
    assert np.array_equal(here.moments, there.moments)
    assert there.errors == here.errors
    assert "planned" in there.errors[7]
    assert "ZeroDivisionError" in there.tracebacks[7]
    alone = Task(task.strategy, {}, {"A": task.frames["A"].iloc[50:151]}, task.broker)
    assert np.array_equal(
        some.moments, run_each(alone, params[:3], METRICS, task.frames["A"].index[80]).moments
    )


def test_an_evaluation_runs_there_what_does_not_compile(processes: Processes, task: Task) -> None:
    processes.need(1)
    market = load({"A": task.frames["A"]})
    params = [{"period": period} for period in range(3, 12)]
    with Evaluation(task.strategy, market, task.broker, metrics=METRICS, jobs=1) as evaluate:
        here = evaluate(params, Span(20, 200, 20))
    with (
        Cluster(processes.address) as cluster,
        Evaluation(task.strategy, market, task.broker, metrics=METRICS, cluster=cluster) as evaluate,
    ):
        there = evaluate(params, Span(20, 200, 20))
        assert evaluate.counters["cluster"] == len(params)
    assert np.array_equal(here.moments, there.moments)
    for name in METRICS:
        assert np.array_equal(here.metrics[name], there.metrics[name], equal_nan=True)


def test_the_trials_of_a_worker_killed_in_mid_run_are_run_again(
    processes: Processes, task: Task, tmp_path: Path
) -> None:
    processes.need(2)
    gate = tmp_path / "gate"
    plain = [{"period": period} for period in range(3, 50)]
    here = run_each(task, plain, METRICS, task.frames["A"].index[0])
    killed: list[int] = []

    def kill() -> None:
        until(lambda: begun(gate))
        killed.append(begun(gate)[0])
        os.kill(killed[0], signal.SIGKILL)
        until(lambda: len(begun(gate)) > 1)
        gate.touch()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with Cluster(processes.address) as cluster:
        waits = [*plain[:20], plain[20] | {"wait": str(gate)}, *plain[21:]]
        there = cluster.run(task, waits, METRICS, part(task))
        again = cluster.run(task, plain, METRICS, part(task))
    killer.join(SECONDS)
    assert killed[0] in [worker.pid for worker in processes.workers]
    assert begun(gate)[1] not in killed
    for found in (there, again):
        assert found.errors == [""] * len(plain)
        assert np.array_equal(found.moments, here.moments)


def test_the_bars_outlive_all_workers_that_had_them(
    others: Processes, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.need(1)
    params = [{"period": 5}, {"period": 6}]
    with Cluster(others.address) as cluster:
        before = cluster.run(task, params, METRICS, part(task))
        others.workers[0].kill()
        others.workers[0].wait()
        others.need(1)
        after = cluster.run(task, params, METRICS, part(task))
        assert np.array_equal(before.moments, after.moments)
        others.workers[1].kill()
        others.workers[1].wait()
        monkeypatch.setattr("optimize.cluster.ALONE_SECONDS", -1.0)
        with pytest.raises(UserError, match="has no workers left") as caught:
            cluster.run(task, params, METRICS, part(task))
    assert caught.value.exit_code == 2
    with pytest.raises(UserError, match=r"has no workers; start one: dask worker"):
        Cluster(others.address)


def test_a_trial_that_kills_its_workers_is_named_and_spares_the_others(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optimize.cluster.CHUNK", 1)
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")  # else it takes eight workers
    patient = Processes(tmp_path)
    try:
        patient.need(3)
        with Cluster(patient.address) as cluster:
            found = cluster.run(task, [{"period": 5}, {"kill": "always"}, {"period": 7}], METRICS, part(task))
    finally:
        patient.end()
    assert len(patient.workers) == 3
    here = run_each(task, [{"period": 5}, {"period": 7}], METRICS, task.frames["A"].index[0])
    assert "ended every worker" in found.errors[1]
    assert [found.errors[0], found.errors[2]] == ["", ""]
    assert np.array_equal(found.moments[[0, 2]], here.moments)


def test_a_cluster_that_cannot_be_used_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimize.cluster.CONNECT_SECONDS", 1)
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match="cannot be reached") as caught:
            Cluster(f"tcp://127.0.0.1:{closed.getsockname()[1]}")
    assert caught.value.exit_code == 2
    for address in ("nonsense://x:1", "not an address", "", "host"):
        with pytest.raises(UserError, match="is no address; write it as tcp://HOST:8786"):
            Cluster(address)


def test_a_scheduler_that_ends_in_mid_run_is_said_in_a_line(
    others: Processes, task: Task, tmp_path: Path
) -> None:
    others.need(1)
    gate = tmp_path / "gate"

    def end() -> None:
        until(lambda: begun(gate))
        others.running[0].kill()

    ender = threading.Thread(target=end, daemon=True)
    ender.start()
    with Cluster(others.address) as cluster, pytest.raises(UserError, match="was lost"):
        cluster.run(task, [{"wait": str(gate)}], METRICS, part(task))
    ender.join(SECONDS)
    gate.touch()


def test_ctrl_c_gives_up_what_the_cluster_has_not_begun(
    processes: Processes, task: Task, tmp_path: Path
) -> None:
    processes.need(1)
    gate = tmp_path / "gate"

    over = threading.Event()

    def interrupt() -> None:
        until(lambda: begun(gate) or over.is_set())
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt, daemon=True)
    interrupter.start()
    waits = [{"wait": str(gate), "period": 3 + number} for number in range(64)]
    with Cluster(processes.address) as cluster:
        try:
            with pytest.raises(KeyboardInterrupt):
                cluster.run(task, waits, METRICS, part(task))
        finally:
            over.set()
            interrupter.join(SECONDS)
            gate.touch()
        plain = cluster.run(task, [{"period": 5}], METRICS, part(task))
    assert plain.errors == [""]
    assert len(begun(gate)) <= 32  # the chunks under way on two workers; the others were never begun
