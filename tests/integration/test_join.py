"""`python -m optimize.worker --join` in real processes: it shares the trials, may be killed, and keeps to its limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from core.cli import run_command
from core.errors import UserError
from engine.command import settings_from
from optimize import arguments, join
from optimize import worker as worker_command
from optimize.plan import Plan
from optimize.requests import DONE, FAILED, Request, plain
from optimize.searches import take_part
from optimize.study import StudyStore
from store.database import parse_url
from tests.database_servers import postgresql_database, postgresql_server

ROOT = Path(__file__).parents[2]
SECONDS = 120
# The leader waits for the worker, so that both have something to do.
STRATEGY = '''
import json
import os
import time
from pathlib import Path

import backtrader as bt

ROLE, PLACE = os.environ.get("ROLE", ""), Path(os.environ.get("PLACE", "."))


def wait_for(name):
    while not (PLACE / name).exists():
        time.sleep(0.01)


def act(run):
    (PLACE / ROLE).touch()
    with open(PLACE / "ran", "a") as ran:
        ran.write(f"{ROLE} {run}\\n")
    if ROLE == "leader":
        wait_for("worker")
    if ROLE == "stuck":
        wait_for("never")
    if ROLE == "greedy":
        import threadpoolctl

        facts = {
            "cores": len(os.sched_getaffinity(0)),
            "threads": [each["num_threads"] for each in threadpoolctl.threadpool_info()],
            "numba": os.environ["NUMBA_NUM_THREADS"],
        }
        (PLACE / "facts").write_text(json.dumps(facts))
        bytearray(4_000_000_000)


class Cross(bt.Strategy):
    """Two averages."""

    params = (("fast", 4), ("slow", 11))

    def __init__(self):
        if ROLE:
            act(f"{len(self.data.array)} {self.p.fast} {self.p.slow}")
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()
'''
OPTIONS = [
    "cross.py:Cross", "--data", "csv:bars.csv", "--space", "fast=2:9", "--space", "slow=10:40", "--trials", "72",
    "--train", "120", "--test", "40", "--min-trades", "1", "--permutations", "0",
]  # fmt: skip
SEARCHES, TRIALS = 2, 72


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "cross.py").write_text(STRATEGY)
    close = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(4).standard_normal(170))
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 9.0}
    )
    frame.index = pd.date_range("2020-01-01", periods=len(close), name="time")
    frame.to_csv(tmp_path / "bars.csv")
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, place: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{place / 'shared.db'}"
    else:
        with postgresql_database(request.getfixturevalue("server")) as address:
            yield address


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """`start(role, module, *arguments)` starts a command; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(role: str, module: str, *argv: str) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "ROLE": role, "PLACE": str(place)}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", module, *argv],
                cwd=place, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_begun(address: str) -> bool:
    with suppress(UserError), join.opened(address) as requests:
        return bool(requests.all())
    return False


def ended(process: subprocess.Popen[str]) -> Any:
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, error
    return json.loads(out)


def trials_of(address: str, name: str) -> list[tuple[Any, ...]]:
    url = parse_url(address).render_as_string(hide_password=False)
    trials = optuna.load_study(study_name=name, storage=url).trials
    return [tuple(sorted(trial.params.items())) for trial in trials]


def test_a_worker_shares_the_trials_and_both_end_alike(
    place: Path, storage: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("--jobs", "1", "--no-cache", "--json")
    leader = start("leader", "optimize.walkforward", *OPTIONS, "--storage", storage, *own)
    until(lambda: has_begun(storage) or leader.poll() is not None)
    worker = start("worker", "optimize.worker", "--join", storage, "--cpus", "1", "--memory", "4GB", "--json")
    result, joined = ended(leader), ended(worker)
    assert joined["trials"] == result["counters"]["trials"] == SEARCHES * TRIALS
    assert joined["trials_here"] > 0
    assert result["counters"]["here"] > 0
    assert joined["trials_here"] + result["counters"]["here"] == SEARCHES * TRIALS
    assert (place / "ran").read_text().count("worker") == joined["trials_here"]
    # What both together found is what one finds alone.
    monkeypatch.chdir(place)
    plan, _ = planned(OPTIONS)
    alone = f"sqlite:///{place / 'alone.db'}"
    store = StudyStore.open(alone, "alone", plan.facts())
    take_part(plan, store, jobs=1)
    store.close()
    for name in ("window 1", "whole period"):
        params = trials_of(storage, f"{joined['study']}/{name}")
        assert len(params) == len(set(params)) == TRIALS
        assert best_of(storage, f"{joined['study']}/{name}") == best_of(alone, f"alone/{name}")


def best_of(address: str, name: str) -> Any:
    url = parse_url(address).render_as_string(hide_password=False)
    study = optuna.load_study(study_name=name, storage=url)
    return study.best_value, study.best_params


def planned(options: list[str]) -> tuple[Plan, Request]:
    """The plan of a command line in this folder, and its request."""
    args = arguments.parser().parse_args(options)
    configuration = settings_from(args)
    plan, reference = arguments.make_plan(args, configuration)
    facts = plain(plan.facts())
    said = arguments.restated(args, configuration)
    return plan, Request(reference, said, str(Path.cwd()), "report.html", facts, shared=True)


@pytest.fixture
def begun(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Plan, StudyStore]]:
    """A study that nobody works on."""
    monkeypatch.chdir(place)
    plan, request = planned(OPTIONS)
    address = f"sqlite:///{place / 'shared.db'}"
    store = StudyStore.open(address, "mine", plan.facts(), shared=True)
    store.requests.begin(replace(request, study="mine"))
    yield address, plan, store
    store.close()


def test_limits_are_honoured_and_the_study_goes_on(
    place: Path, begun: tuple[str, Plan, StudyStore], start: Start
) -> None:
    address, plan, store = begun
    greedy = start("greedy", "optimize.worker", "--join", address, "--cpus", "1", "--memory", "2GB")
    _, error = greedy.communicate(timeout=SECONDS)
    assert greedy.returncode == 2
    assert len(error.strip().splitlines()) == 1
    assert "the memory limit of 2 GB is used up: the trial fast=" in error
    facts = json.loads((place / "facts").read_text())
    assert facts["cores"] == 1
    assert facts["numba"] == "1"
    assert set(facts["threads"]) <= {1}
    trials, here = take_part(plan, store, jobs=1)
    assert trials == here == SEARCHES * TRIALS
    kept = optuna.load_study(study_name="mine/whole period", storage=address).trials
    assert len(kept) == TRIALS
    assert not any("memory" in str(trial.user_attrs) for trial in kept)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_one_that_is_killed_or_interrupted_loses_no_trial(
    place: Path, begun: tuple[str, Plan, StudyStore], start: Start, how: signal.Signals
) -> None:
    address, plan, store = begun
    stuck = start("stuck", "optimize.worker", "--join", address)
    until(lambda: (place / "stuck").exists() or stuck.poll() is not None)
    stuck.send_signal(how)
    out, error = stuck.communicate(timeout=SECONDS)
    assert stuck.returncode == (130 if how == signal.SIGINT else -how)
    assert ("go back to the study" in out) == (how == signal.SIGINT)
    assert "Traceback" not in out + error
    trials, here = take_part(plan, store, jobs=1)
    assert trials == here == SEARCHES * TRIALS
    assert [len(trials_of(address, f"mine/{name}")) for name in ("window 1", "whole period")] == [TRIALS] * 2


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*argv)`: exit code and what was printed."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def command(*argv: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            run_command(worker_command.parser(), join.main, list(argv))
        found = capsys.readouterr()
        return int(left.value.code or 0), found.out + found.err

    return command


def test_what_differs_or_is_not_there_is_refused(
    place: Path, begun: tuple[str, Plan, StudyStore], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _, store = begun
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    cases: list[tuple[str, str, str]] = [
        ("cross.py", STRATEGY.replace("size=10", "size=11"), "the source of cross.py:Cross differs"),
        ("bars.csv", (place / "bars.csv").read_text().replace("2020-01-01", "2019-12-31"), "the bars differ"),
    ]
    for name, text, words in cases:
        for each in ("cross.py", "bars.csv"):
            (elsewhere / each).write_text((place / each).read_text())
        (elsewhere / name).write_text(text)
        code, said = run("--join", address)
        assert (code, said.count("\n")) == (2, 1)
        assert words in said
        assert f"from {place} on " in said
    store.requests.begin(replace(store.requests.all()[0], folder="/gone"))
    (elsewhere / "cross.py").unlink()
    code, said = run("--join", address)
    assert (code, said.count("\n")) == (2, 1)
    assert "cannot be joined here: no such file: cross.py; start the worker where" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--join", "sqlite:///{place}/none.db"], "there is no storage at"),
        (["--join", "sqlite:///{place}/bars.csv"], "cannot be used: file is not a database"),
        (["--join", "mysql://me:pa55word@host/x"], "--join names a database of kind 'mysql'"),
        (["--join", "postgresql://me:pa55word@127.0.0.1:1/x"], "cannot be used: connection"),
        (
            ["--join", "sqlite:///{place}/shared.db", "--study", "mien"],
            "unknown study 'mien'; did you mean mine?",
        ),
    ],
)
def test_a_mistake_is_one_line_without_a_password(
    place: Path, begun: tuple[str, Plan, StudyStore], run: Run, argv: list[str], words: str
) -> None:
    code, said = run(*(each.format(place=place) for each in argv))
    assert (code, said.count("\n")) == (2, 1)
    assert words in said
    assert "pa55word" not in said


def test_one_that_has_ended_or_is_not_the_only_one(begun: tuple[str, Plan, StudyStore], run: Run) -> None:
    address, _, store = begun
    request = store.requests.all()[0]
    store.requests.begin(replace(request, study="other"))
    code, said = run("--join", address)
    assert code == 2
    assert "2 optimisations are under way" in said
    assert "give --study: mine, other" in said
    store.requests.end("mine", DONE)
    code, said = run("--join", address, "--study", "mine")
    assert code == 0
    assert "the study mine is done; its report on" in said
    assert said.rstrip().endswith("report.html")
    store.requests.end("other", FAILED, "the account is lost")
    assert "no optimisation is under way" in run("--join", address)[1]
    assert "has ended: the account is lost" in run("--join", address, "--study", "other")[1]
    store.requests.begin(replace(request, study="alone", shared=False))
    code, said = run("--join", address)
    assert code == 2
    assert "is one process's own" in said


def test_what_is_not_here_is_taken_from_the_folder_of_the_walk_forward(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", [*sys.path])
    plan, request = planned(OPTIONS)
    (place / "empty").mkdir()
    monkeypatch.chdir(place / "empty")
    again = join.plan_here(request, worker_command.parser().parse_args([]))
    assert plain(again.facts()) == plain(plan.facts())


def test_a_request_says_all_that_came_from_files_and_the_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (place / "space.yaml").write_text("space:\n  fast: 2:9\nconstraint: fast < slow\n")
    (place / "tradewright.toml").write_text(
        "[broker]\ncash = 5000.0\n[strategy]\nname = 'cross.py:Cross'\n[strategy.params]\nslow = 30\n"
    )
    options = [
        "cross.py:Cross",
        "--data",
        "csv:bars.csv",
        "--space-file",
        "space.yaml",
        "--objective=-sortino",
    ]
    plan, request = planned([*options, "--prune", "--end", "2020-08-01"])
    (place / "tradewright.toml").write_text("[broker]\ncash = 1.0\n")
    monkeypatch.setenv("APP_STRATEGY__FAST", "3")
    text = (place / "space.yaml").read_text()
    args = worker_command.parser().parse_args([])
    again = join.plan_here(replace(request, space_file=text), args)
    assert plain(again.facts()) == plain(plan.facts())
    assert again.broker.p.cash == 5000.0
    assert again.space.fixed == {"slow": 30}
    assert "--cash=5000.0" in request.arguments
