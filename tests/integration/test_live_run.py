"""`python -m live.run` as a person meets it: what it prints and writes, how it stops, resumes and refuses."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import store

HEAVY = {
    "pandas", "numpy", "backtrader", "sqlalchemy", "alembic", "matplotlib", "quantstats", "ccxt", "yfinance",
    "exchange_calendars", "pydantic", "rich", "numba", "asyncio",
}  # fmt: skip
DATA = ("--data", "csv:m.csv")
ARTEFACTS = {
    "config.json", "result.json", "trades.csv", "orders.csv", "fills.csv", "equity.parquet", "prices.parquet", "tearsheet.html", "log.jsonl",
}  # fmt: skip

EVERY_BAR = """
import backtrader as bt


class EveryBar(bt.Strategy):
    params = (("api_key", "none"), ("size", 3))

    def next(self):
        self.buy(size=self.p.size) if not self.position else self.close()
"""
PATIENCE_SECONDS = 60
"""For a process that should answer at once, on a machine that is busy."""


def run_folder(folder: Path) -> Path:
    (found,) = [path for path in (folder / "runs").iterdir() if path.is_dir()]
    return found


# What a new user sees


def test_help_is_light(spawned: Any, tmp_path: Path) -> None:
    process = spawned(tmp_path, "-X", "importtime", "-m", "live.run", "--help")
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "example:\n  python -m live.run momentum" in stdout
    imported = {line.rpartition("|")[2].strip() for line in stderr.splitlines()}
    assert "live.run" in imported or "argparse" in imported
    assert not imported & HEAVY


@pytest.fixture(scope="module")
def momentum(forked: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """`python -m live.run momentum` in an empty folder."""
    folder = tmp_path_factory.mktemp("momentum")
    return folder, forked(folder, "momentum", pages=True)


def test_no_configuration_at_all(momentum: tuple[Path, Any]) -> None:
    """S1, S3, R12"""
    folder, done = momentum
    assert (done.code, done.stderr) == (0, "")
    assert done.lines[0] == ("PAPER, replaying GOOG 2004-08-19 to 2008-10-14, no orders leave this machine")
    fills = [line for line in done.lines if re.match(r"\d{4}-\d\d-\d\d  (buy|sell) ", line)]
    table = pd.read_csv(run_folder(folder) / "fills.csv")
    assert len(fills) == len(table) > 10
    assert all(line.endswith(("signal", "trailing_stop")) for line in fills if "  sell " in line)
    assert any(re.match(r"  total return +\u2212?\d+\.\d\d%", line) for line in done.lines)
    assert done.lines[-2] == "next: python -m engine.parity momentum"
    assert (folder / done.lines[-1]).name == "tearsheet.html"
    assert (folder / done.lines[-1]).stat().st_size > 10_000
    assert {path.name for path in run_folder(folder).iterdir()} >= ARTEFACTS


def test_from_signal_to_fill_in_the_log(momentum: tuple[Path, Any]) -> None:
    """X13: every fill's line carries the client order id of its intent's line."""
    folder, _ = momentum
    lines = [json.loads(line) for line in (run_folder(folder) / "log.jsonl").read_text().splitlines()]
    intents = {line["correlation_id"]: line for line in lines if line["event"] == "order.intent"}
    fills = [line for line in lines if line["event"] == "order.event" and line["status"] == "filled"]
    with store.open_store(f"sqlite:///{folder}/runs/tradewright.db") as database:
        journal = database.journal(run_folder(folder).name)
        booked = [(fill.client_id, float(fill.price)) for fill in journal.fills()]
    assert len(fills) == len(booked) > 10
    assert sorted((line["correlation_id"], float(line["price"])) for line in fills) == sorted(booked)
    for fill in fills:
        assert intents[fill["correlation_id"]]["time"] < fill["time"]


def test_every_order_from_decision_to_trade(momentum: tuple[Path, Any], forked: Any) -> None:
    """L29: by the correlation id of the log's lines; every fill of the run is in one chain."""
    folder, _ = momentum
    run = run_folder(folder)
    done = forked(folder, run.name, "--json", "--verify", module="store.audit")
    assert (done.code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["status"], found["spooled"], found["contradictions"]) == ("finished", 0, [])
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    intents = {line["correlation_id"]: line["time"] for line in lines if line["event"] == "order.intent"}
    chains = {order["client_id"]: order["links"] for order in found["orders"]}
    assert set(intents) == set(chains)
    for client_id, links in chains.items():
        assert [link["what"] for link in links[:3]] == ["decision", "intent", "submitted"]
        committed = pd.Timestamp(links[1]["time"])
        assert committed == pd.Timestamp(intents[client_id])
        filled = any("fill" in link["facts"] for link in links)
        assert filled == (links[-1]["what"] == "trade")
    executed = [link["facts"] for links in chains.values() for link in links if "fill" in link["facts"]]
    table = pd.read_csv(run / "fills.csv")
    assert sorted(float(fact["price"]) for fact in executed) == sorted(table["price"])
    one = forked(folder, run.name, "--order", next(iter(chains)), module="store.audit")
    assert one.code == 0
    assert sum(line.startswith("tw") for line in one.lines) == 1


@pytest.mark.parametrize("strategy", ["range_bound", "level_based"])
def test_the_other_strategies_trade(forked: Any, tmp_path: Path, strategy: str) -> None:
    """S1: and `--json` prints one document, nothing else."""
    done = forked(tmp_path, strategy, "--json", "--end", "2005-12-31")
    assert (done.code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["strategy"] == strategy
    assert document["trades"] >= 1
    assert document["tearsheet"].endswith("tearsheet.html")


def test_a_plain_strategy_and_a_planted_secret(forked: Any, tmp_path: Path, daily: pd.DataFrame) -> None:
    """X13, X16: a class that knows nothing of us trades a file; a key it is given shows up nowhere."""
    secret = "planted0key7for9nobody"
    daily.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "plain.py").write_text(EVERY_BAR)
    arguments = ("plain.py:EveryBar", *DATA, "--param", f"api_key={secret}", "--param", "size=5")
    env = {"APP_LOG__LEVEL": "DEBUG"}
    for more in ((), ("--json",)):
        done = forked(tmp_path, *arguments, *more, env=env, pages=not more)
        assert done.code == 0
        assert secret not in done.stdout + done.stderr
    shown = [
        path
        for path in (tmp_path / "runs").rglob("*")
        if path.is_file() and "tradewright.db" not in path.name
    ]
    assert {path.name for path in shown} >= ARTEFACTS
    assert not [path for path in shown if secret.encode() in path.read_bytes()]
    config = next(path for path in shown if path.name == "config.json").read_text()
    assert "***" in config
    assert '"size"' in config


def test_a_password_in_the_database_url_is_not_shown(forked: Any, tmp_path: Path) -> None:
    """X13, X16"""
    url = "postgresql://user:plantedSECRET@127.0.0.1:1/x"
    for argv, env in (([], {"APP_STORE__URL": url}), (["--set", f"store.url={url}"], {})):
        done = forked(tmp_path, "momentum", *argv, env=env)
        assert done.code != 0
        assert done.stderr.count("\n") == 1
        assert "127.0.0.1" in done.stderr
        assert "SECRET" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


# Stopped, killed, resumed


class Reader:
    """Reads a process's output line by line, never longer than it may take."""

    def __init__(self, process: subprocess.Popen[str], *, errors: bool = False) -> None:
        stream = process.stderr if errors else process.stdout
        assert stream is not None
        self._descriptor = stream.fileno()
        os.set_blocking(self._descriptor, False)
        self._rest = ""
        self.lines: list[str] = []

    def until(self, pattern: str) -> str:
        """The first line from here on that matches."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            while "\n" in self._rest:
                line, _, self._rest = self._rest.partition("\n")
                self.lines.append(line)
                if re.search(pattern, line):
                    return line
            if select.select([self._descriptor], [], [], 1.0)[0]:
                read = os.read(self._descriptor, 65536)
                if not read:
                    break
                self._rest += read.decode()
        raise AssertionError(f"no line like {pattern!r} among {self.lines}")


@dataclass
class Story:
    """One run that is interrupted, terminated, killed and resumed; beside it one that nobody disturbs."""

    folder: Path
    codes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    rival: Any = None
    fresh: Any = None
    end: Any = None
    folders: list[Path] = field(default_factory=list)


def last_fill_of(day: int) -> str:
    """What is printed just before the long wait for the next day begins."""
    return f"^2024-01-0{day} 14:39 "


@pytest.fixture(scope="module")
def story(
    forked: Any, spawned: Any, minutes: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    folder = tmp_path_factory.mktemp("story")
    minutes.to_csv(folder / "m.csv", index=False)
    (folder / "plain.py").write_text(EVERY_BAR)
    told = Story(folder)
    name = "plain.py:EveryBar"
    # 600 market seconds a second: a minute takes 0.1 s, a night more than two minutes: every signal meets a waiting process.
    start = ["-m", "live.run", name, "--speed", "600"]
    for day, number in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), start=1):
        process = spawned(folder, *start, *(DATA if day == 1 else ("--resume",)))
        Reader(process).until(last_fill_of(day))
        if day == 1:
            told.rival = forked(folder, name, "--resume")
        began = time.monotonic()
        process.send_signal(number)
        told.codes.append(process.wait(PATIENCE_SECONDS))
        told.seconds.append(time.monotonic() - began)
        told.said.append(process.stderr.read())
    disturbed = run_folder(folder)
    told.fresh = forked(folder, name, *DATA, pages=True)
    told.end = forked(folder, name, "--resume", pages=True)
    (fresh,) = [path for path in (folder / "runs").iterdir() if path.is_dir() and path != disturbed]
    told.folders = [disturbed, fresh]
    return told


@pytest.mark.parametrize("place", [0, 1])
def test_ctrl_c_and_sigterm_end_it_resumably(story: Story, place: int) -> None:
    """The process was waiting for a bar minutes away."""
    assert story.codes[place] == 130
    assert story.seconds[place] < 10
    bars = 10 * (place + 1)
    run = story.folders[0].name
    assert story.said[place] == (
        f"stopped after bar {bars} of 40; go on with: python -m live.run plain.py:EveryBar --resume {run} --speed 600\n"
    )


def test_one_process_a_run(story: Story) -> None:
    """L27"""
    assert story.rival.code == 2
    assert story.rival.stdout.count("\n") <= 3
    assert re.fullmatch(
        r"python -m live.run: run \S+ is being traded by process \d+; stop that one first\n",
        story.rival.stderr,
    )


def test_a_new_start_mentions_what_is_unfinished(story: Story) -> None:
    """Also after `kill -9`; and a second run in the same folder works."""
    assert story.codes[2] == -signal.SIGKILL
    assert story.fresh.code == 0
    run = story.folders[0].name
    assert (
        story.fresh.lines[0]
        == f"note: run {run} is unfinished; --resume goes on with it, this starts a new one"
    )


def test_disturbed_three_times_it_ends_the_same(story: Story) -> None:
    """L25: orders, fills and equity of a run that nobody disturbed."""
    assert story.end.code == 0, story.end.stderr
    assert f"going on with run {story.folders[0].name}" in story.end.lines
    ours, theirs = story.folders
    for name in ("orders.csv", "fills.csv", "trades.csv"):
        assert (ours / name).read_text() == (theirs / name).read_text(), name
    assert len(pd.read_csv(ours / "fills.csv")) > 30
    pd.testing.assert_frame_equal(
        pd.read_parquet(ours / "equity.parquet"), pd.read_parquet(theirs / "equity.parquet"), check_exact=True
    )
    assert len(pd.read_parquet(ours / "equity.parquet")) == 40


def test_resuming_prints_each_fill_once(story: Story) -> None:
    """Fills of earlier lives are not printed again."""
    printed = [line for line in story.end.lines if line.startswith("2024-")]
    assert len(printed) == 10
    assert all(line.startswith("2024-01-04") for line in printed)


def test_speed_paces(forked: Any, tmp_path: Path, daily: pd.DataFrame) -> None:
    """20 bars a second apart, at 10 market seconds a second."""
    bars = daily[:20].assign(date=pd.date_range("2024-01-01", periods=20, freq="1s").astype(str))
    bars.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "plain.py").write_text(EVERY_BAR)
    began = time.monotonic()
    done = forked(tmp_path, "plain.py:EveryBar", *DATA, "--speed", "10")
    assert done.code == 0, done.stderr
    assert 1.9 <= time.monotonic() - began < PATIENCE_SECONDS


# The daily loss limit

FALLING = """
import os
import signal
import backtrader as bt


class Falling(bt.Strategy):
    params = (("stop_at", 0),)

    def next(self):
        if self.p.stop_at == len(self) and os.environ.get("STOP"):
            os.kill(os.getpid(), signal.SIGINT)
        if not self.position and len(self) % 2:
            self.buy(size=500)
        elif len(self) % 4 == 0:
            self.close()
"""


def session(day: str, hour: int, prices: list[float]) -> pd.DataFrame:
    times = pd.date_range(f"{day} {hour}:00", periods=len(prices), freq="1min").astype(str)
    shape = dict.fromkeys(("open", "high", "low", "close"), prices)
    return pd.DataFrame({"date": times, **shape, "volume": 1.0})


@pytest.fixture
def falling(tmp_path: Path) -> Path:
    (tmp_path / "falling.py").write_text(FALLING)
    level = [100.0] * 4
    session("2024-01-02", 10, [*level, *[90.0] * 8]).to_csv(tmp_path / "morning.csv", index=False)
    session("2024-01-02", 14, [100.0] * 8).to_csv(tmp_path / "afternoon.csv", index=False)
    session("2024-01-03", 10, [100.0] * 8).to_csv(tmp_path / "tomorrow.csv", index=False)
    return tmp_path


def fills_and_refusals(done: Any) -> tuple[list[str], list[str]]:
    assert done.code == 0, done.stderr
    lines = [line for line in done.lines if line.startswith("2024-")]
    refused = [line for line in lines if "refused" in line]
    assert all("daily loss limit" in line for line in refused)
    return [line for line in lines if line not in refused], refused


LIMIT = ("falling.py:Falling", "--set", "risk.max_daily_loss=0.02", "--set", "risk.check_cash=true")


def test_the_daily_loss_limit_outlives_the_run(forked: Any, falling: Path) -> None:
    """L15: the bot's later market of that day is closed to entries, the next day's is open, so is another bot's."""
    morning = fills_and_refusals(forked(falling, *LIMIT, "--data", "csv:morning.csv"))
    assert len(morning[0]) == 2, "one entry, and the exit that a limit never refuses"
    assert len(morning[1]) > 1
    fills, refusals = fills_and_refusals(forked(falling, *LIMIT, "--data", "csv:afternoon.csv"))
    assert not fills
    assert refusals
    fills, refusals = fills_and_refusals(
        forked(falling, *LIMIT, "--data", "csv:afternoon.csv", "--bot", "other")
    )
    assert fills
    assert not refusals
    fills, refusals = fills_and_refusals(forked(falling, *LIMIT, "--data", "csv:tomorrow.csv"))
    assert fills
    assert not refusals
    assert fills_and_refusals(forked(falling, *LIMIT, "--data", "csv:morning.csv")) == morning, (
        "a replay of an earlier market begins anew"
    )


def test_the_daily_loss_limit_outlives_a_stop(forked: Any, falling: Path) -> None:
    """L15: a resumed run still has its limit, and its state, without being told again."""
    arguments = (*LIMIT, "--data", "csv:morning.csv", "--param", "stop_at=9")
    undisturbed = fills_and_refusals(forked(falling, *arguments))
    stopped = forked(falling, *arguments, env={"STOP": "1"})
    assert stopped.code == 130
    refused = forked(falling, "falling.py:Falling", "--resume", "--set", "risk.max_daily_loss=0.5")
    assert refused.code == 2
    assert "--set risk.max_daily_loss was given with --resume" in refused.stderr
    before = [line for line in stopped.lines if line.startswith("2024-")]
    resumed = forked(falling, "falling.py:Falling", "--resume", env={"APP_RISK__MAX_DAILY_LOSS": "0.9"})
    fills, refusals = fills_and_refusals(resumed)
    assert refusals, "the limit was hit before the stop"
    assert sorted(before + fills + refusals) == sorted(undisturbed[0] + undisturbed[1])


# On a terminal


def on_a_terminal(folder: Path, *argv: str) -> tuple[int, str, str]:
    """Exit code, what reached standard output's terminal, and standard error's."""
    terminals = [pty.openpty(), pty.openpty()]
    environment = {
        "TERM": "xterm",
        "COLUMNS": "100",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": "",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "live.run", *argv],
        cwd=folder,
        env=environment,
        stdout=terminals[0][1],
        stderr=terminals[1][1],
    )
    for _, theirs in terminals:
        os.close(theirs)
    texts = {ours: b"" for ours, _ in terminals}
    open_ends = set(texts)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while open_ends and time.monotonic() < deadline:
        for ours in select.select(list(open_ends), [], [], 1.0)[0]:
            try:
                read = os.read(ours, 65536)
            except OSError:  # a terminal whose other side has closed
                read = b""
            texts[ours] += read
            if not read:
                open_ends.discard(ours)
                os.close(ours)
    process.wait(PATIENCE_SECONDS)
    out, err = (texts[ours].decode().replace("\r\n", "\n") for ours, _ in terminals)
    return process.returncode, out, err


def test_the_progress_line_keeps_out_of_the_way(tmp_path: Path, daily: pd.DataFrame) -> None:
    """Fills stay on standard output, whole; the line is drawn on standard error only, and wiped."""
    bars = daily[:40].assign(date=pd.date_range("2024-01-01", periods=40, freq="1s").astype(str))
    bars.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "plain.py").write_text(EVERY_BAR)
    code, out, err = on_a_terminal(tmp_path, "plain.py:EveryBar", *DATA, "--speed", "12")
    assert code == 0, err
    lines = out.splitlines()
    assert sum(line.startswith("2024-01-01 00:00  ") for line in lines) == 39
    assert lines[-1].endswith("tearsheet.html")
    assert "\x1b[2K" not in out
    assert "replaying" in err
    assert " of 40" in err
    assert err.endswith("\r\x1b[2K"), "nothing of it stays"
