"""`python -m optimize.walkforward` in real processes: killed, interrupted, misused, and left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.cli import run_command
from optimize import command
from optimize.arguments import parser

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "optimize.walkforward"]
STRATEGY = '''
import backtrader as bt


class Cross(bt.Strategy):
    """Two averages."""

    params = (("fast", 4), ("slow", 11), ("mode", "plain"))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.p.mode == "broken" and len(self) > 60:
            raise ZeroDivisionError("planned")
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()
'''
SMALL = [
    "--space",
    "fast=2:9",
    "--space",
    "slow=10:30:2",
    "--trials",
    "24",
    "--windows",
    "3",
    "--permutations",
    "2",
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "cross.py").write_text(STRATEGY)
    close = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(4).standard_normal(400))
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 9.0}
    )
    frame.index = pd.date_range("2020-01-01", periods=400, name="time")
    frame.to_csv(tmp_path / "bars.csv")
    return tmp_path


def arguments(*more: str) -> list[str]:
    return [*COMMAND, "cross.py:Cross", "--data", "csv:bars.csv", *SMALL, *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def run(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(*more),
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def result_of(folder: Path) -> dict[str, Any]:
    """The written result without what may differ between equal runs: times, and where trials ran."""
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    found.pop("counters", None)
    return found


def test_it_ends_with_table_verdict_and_report(place: Path) -> None:
    done = run(place)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    page = place / lines[-1]
    assert page.name == "optimization.html"
    assert page.exists()
    for words in (
        "WALK-FORWARD",
        "walk-forward efficiency",
        "deflated Sharpe",
        "probability of backtest",
        "as good with random entries",
        "verdict: ",
    ):
        assert words in done.stdout
    names = {each.name for each in page.parent.iterdir()}
    assert {"study.db", "result.json", "trials.parquet", "windows.json", "equity.parquet"} <= names
    trials = pd.read_parquet(page.parent / "trials.parquet")
    assert {"params_fast", "params_slow", "sharpe"} <= set(trials.columns)


def test_json_is_one_document_and_progress_is_events(place: Path) -> None:
    done = run(place, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"]["label"]
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    kinds = {each["event"] for each in events}
    assert {"search", "window", "done"} <= kinds
    assert [each for each in events if each["event"] == "window"][-1]["of"] == 3
    batch = next(each for each in events if each["event"] == "batch")
    assert batch["trials_a_second"] > 0
    assert batch["left_seconds"] == pytest.approx((4 * 24 - batch["trials"]) / batch["trials_a_second"])
    assert batch["best"] is None or isinstance(batch["best"], float)


@pytest.mark.timeout(600)
def test_killed_ten_times_it_ends_as_if_it_had_not_been(place: Path) -> None:
    whole = run(place, "--out", "whole", "--no-cache")
    assert whole.returncode == 0, whole.stderr
    wanted = result_of((place / whole.stdout.splitlines()[-1]).parent)
    for number in range(10):
        process = subprocess.Popen(
            arguments("--out", "killed", "--no-cache", "--json"),
            cwd=place, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            for _ in range(1 + number):  # a little further each time, so that every kind of step is hit
                if not process.stderr.readline():
                    break
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stderr.close()
    last = run(place, "--out", "killed", "--no-cache")
    assert last.returncode == 0, last.stderr
    assert "going on with" in last.stdout or len(list((place / "killed").glob("2*"))) > 1
    folders = [each for each in (place / "killed").glob("2*") if (each / "result.json").exists()]
    assert all(result_of(each) == wanted for each in folders)
    assert folders


def test_ctrl_c_says_how_to_go_on(place: Path) -> None:
    process = subprocess.Popen(
        arguments("--trials", "88", "--json", "--permutations", "5000"),
        cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if '"permutation"' in line:
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error


def test_a_second_run_is_answered_from_the_cache(place: Path) -> None:
    first, second = json.loads(run(place, "--json").stdout), json.loads(run(place, "--json").stdout)
    assert second["counters"]["cached"] > 0
    assert second["counters"]["compiled"] == 0
    assert first["verdict"] == second["verdict"]
    assert first["folder"] != second["folder"]


def test_the_study_goes_on_where_trials_raise_and_the_log_names_them(place: Path) -> None:
    done = run(place, "--space", "mode=plain,broken", "--trials", "8", "--permutations", "0", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    folder = (place / done.stdout.splitlines()[-1]).parent
    trials = pd.read_parquet(folder / "trials.parquet")
    broken = trials["params_mode"] == "broken"
    assert 0 < broken.sum() < len(trials)
    assert trials.loc[broken, "sharpe"].isna().all()
    assert trials.loc[~broken, "sharpe"].notna().any()
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    failed = [
        each for each in records if each["event"] == "trial failed" and each["search"] == "whole period"
    ]
    assert [each["trial"] for each in failed] == np.flatnonzero(broken).tolist()
    for each in failed:
        assert each["params"]["mode"] == "broken"
        assert each["params"]["fast"] == trials["params_fast"][each["trial"]]
        assert 'raise ZeroDivisionError("planned")' in each["traceback"]


def test_going_on_logs_no_failure_twice(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    argv = arguments("--param", "mode=broken", "--trials", "6", "--jobs", "1")[len(COMMAND) :]
    failed = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            run_command(parser(), command.main, argv)
        said = capsys.readouterr()
        (file,) = place.glob("runs/*/log.jsonl")
        records = [json.loads(line) for line in file.read_text().splitlines()]
        failed.append([each["trial"] for each in records if each["event"] == "trial failed"])
    assert "going on with" in said.out
    assert f"the first, trial 0 with mode=broken, fast={records[0]['params']['fast']}, slow=" in said.err
    assert f"{file.relative_to(place)} has every traceback" in said.err
    assert failed == [list(range(6))] * 2


MISTAKES = [
    (["--space", "fats=1:5"], "did you mean fast?"),
    (["--space", "slow=9:5"], "is empty"),
    (["--constraint", "fast > slow * 100"], "no combination satisfies"),
    (["--train", "9000", "--test", "10"], "both a length and a number"),
    (["--windows", "900"], "too few for 900 windows"),
    (["--min-trades", "100000"], "none of 24 trials has 100,000 trades, the most is "),
    (["--storage", "postgresql://nobody@127.0.0.1:1/none"], "cannot be used"),
    (["--objective", "sharp"], "did you mean sharpe?"),
    (["--trials", "0"], "--trials is 0"),
    (["--sampler", "magic"], "invalid choice"),
]
IN_A_PROCESS = [
    (["--cluster", "tcp://127.0.0.1:1"], "cannot be reached"),
    (["--param", "mode=broken"], "planned"),
]


def test_what_cannot_be_reached_is_said_before_anything_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for option in ("--storage=postgresql://me:pa55word@127.0.0.1:1/none", "--cluster=nonsense"):
        with pytest.raises(SystemExit):
            run_command(parser(), command.main, arguments(option)[len(COMMAND) :])
        said = capsys.readouterr()
        assert said.out == ""
        assert "pa55word" not in said.err
        assert not (place / "runs").exists()


@pytest.mark.parametrize(("more", "words"), MISTAKES)
def test_a_mistake_is_one_line(
    place: Path,
    more: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as left:
        run_command(parser(), command.main, [*arguments(*more)[len(COMMAND) :]])
    error = capsys.readouterr().err
    assert left.value.code == 2, error
    assert words in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(("more", "words"), IN_A_PROCESS)
def test_a_mistake_is_one_line_of_the_whole_command(place: Path, more: list[str], words: str) -> None:
    done = run(place, *more)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
