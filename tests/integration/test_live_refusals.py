"""Bad input to `python -m live.run`: one line that says how to mend it, exit code 2, nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

DATA = ("--data", "csv:m.csv")
BACKTRADER = "import backtrader as bt\n\n\n"
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def refuse(forked: Any, listing: Any, folder: Path, *argv: str, env: Mapping[str, str] | None = None) -> str:
    """Run it; the one line it says."""
    before = listing(folder)
    done = forked(folder, *argv, env=env)
    assert listing(folder) == before, "something was written"
    assert (done.code, done.stdout) == (2, ""), done.stderr
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1, done.stderr
    line = done.stderr.removeprefix("python -m live.run: ").rstrip("\n")
    assert "; " in line or ".py:" in line, "it must say what to do, or where to look"
    return line


ARGUMENTS = {
    "unknown strategy": (["momentun"], "unknown strategy 'momentun'; did you mean momentum?"),
    "unknown parameter": (["momentum", "--param", "fas=3"], "unknown parameter 'fas'; did you mean fast?"),
    "parameter out of range": (["momentum", "--param", "fast=999"], "fast=999 is out of range"),
    "parameter of another type": (["momentum", "--param", "fast=abc"], "fast must be a whole number"),
    "parameter without a value": (["momentum", "--param", "fast"], "write it as --param fast=10"),
    "parameters at odds": (
        ["momentum", "--param", "fast=40", "--param", "slow=20"],
        "Fast must be below slow",
    ),
    "missing file": (["momentum", "--data", "csv:no.csv"], "no file no.csv"),
    "unknown source": (["momentum", "--data", "foo:bar"], "unknown data source 'foo'"),
    "unknown sample": (["momentum", "--data", "sample:gog"], "did you mean goog?"),
    "no bars in the period": (["momentum", "--start", "2020-01-01"], "the data runs from 2004-08-19"),
    "start after end": (["momentum", "--start", "2006-01-01", "--end", "2005-01-01"], "is after data.end"),
    "unknown setting": (
        ["momentum", "--set", "broker.cahs=3"],
        "unknown setting broker.cahs on the command line; did you mean broker.cash?",
    ),
    "setting without a value": (["momentum", "--set", "broker.cash"], "write it as KEY=VALUE"),
    "setting of another type": (["momentum", "--set", "broker.cash=lots"], "give a number above 0"),
    "no configuration file": (["momentum", "--config", "no.toml"], "no configuration file no.toml"),
    "unknown calendar": (
        ["momentum", "--set", "risk.trading_calendar=XNYX"],
        "unknown trading calendar 'XNYX'",
    ),
    "speed 0": (["momentum", "--speed", "0"], "live.speed = 0.0"),
    "speed below 0": (["momentum", "--speed", "-1"], "live.speed = -1.0"),
    "speed not a number": (["momentum", "--speed", "fast"], "invalid float value"),
    "cash below 0": (["momentum", "--cash", "-1"], "give a number above 0"),
    "folder in /proc": (["momentum", "--out", "/proc/x"], "name another folder with --out"),
    "database in /proc": (
        ["momentum", "--set", "store.url=sqlite:////proc/x.db"],
        "name another database with --set store.url",
    ),
    "resume without a database": (["momentum", "--resume"], "start a run first"),
    "resume with a parameter": (
        ["momentum", "--resume", "--param", "fast=3"],
        "leave --param out, or start a new run without --resume",
    ),
    "no strategy": ([], "the following arguments are required: STRATEGY"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(forked: Any, listing: Any, tmp_path: Path, case: str) -> None:
    argv, expected = ARGUMENTS[case]
    assert expected in refuse(forked, listing, tmp_path, *argv)


def spoil(column: str, value: float) -> Spoil:
    def spoiled(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[30, column] = value
        return bars

    return spoiled


def hollow(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[10:25, ["open", "high", "low", "close"]] = np.nan
    return bars


MARKETS: dict[str, tuple[Spoil, str]] = {
    "no bars": (lambda bars: bars.iloc[:0], "there are no bars"),
    "NaN throughout": (lambda bars: bars.assign(close=np.nan), "prices are missing"),
    "NaN beyond the limit": (hollow, "16 bars in a row"),
    "negative price": (spoil("low", -3.0), "low is negative in 1 row"),
    "high below low": (spoil("high", 1.0), "high is below low in 1 row"),
    "one time twice": (
        lambda bars: pd.concat([bars[:20], bars[19:].assign(high=lambda b: b.high * 1.01)]),
        "the same time twice",
    ),
    "unsorted": (lambda bars: pd.concat([bars[20:40], bars[:20], bars[40:]]), "time runs backwards"),
    "gap above the limit": (lambda bars: pd.concat([bars[:30], bars[45:]]), "15 bars are missing"),
    "shorter than the warm-up": (lambda bars: bars[:10], "Momentum needs 31 bars"),
    "no column": (lambda bars: bars.drop(columns="close"), "no column close"),
}


@pytest.mark.parametrize("case", MARKETS)
def test_markets(forked: Any, listing: Any, tmp_path: Path, daily: pd.DataFrame, case: str) -> None:
    """D2, D3"""
    change, expected = MARKETS[case]
    change(daily.copy()).to_csv(tmp_path / "m.csv", index=False)
    assert expected in refuse(forked, listing, tmp_path, "momentum", *DATA)


FILES: dict[str, tuple[dict[str, str], list[str], str]] = {
    "empty data": ({"m.csv": ""}, ["momentum", *DATA], "m.csv is empty"),
    "data that is no text": ({"m.csv": "\0\1\2"}, ["momentum", *DATA], "m.csv is not a text file"),
    "unknown key": (
        {"tradewright.toml": "[broker]\ncahs = 3\n"},
        ["momentum"],
        "unknown setting broker.cahs in tradewright.toml; did you mean broker.cash?",
    ),
    "broken configuration": ({"tradewright.toml": "[broker\n"}, ["momentum"], "is not valid TOML"),
    "folder below a file": ({"f": ""}, ["momentum", "--out", "f/runs"], "is not a folder"),
    "database below a file": (
        {"f": ""},
        ["momentum", "--set", "store.url=sqlite:///f/x.db"],
        "f/x.db cannot be written",
    ),
    "database that is none": (
        {"runs/tradewright.db": "some text " * 1000},
        ["momentum"],
        "file is not a database",
    ),
    "strategy without a file": ({}, ["s.py:S"], "no such file: s.py"),
    "syntax error": ({"s.py": "def next(:\n"}, ["s.py:S"], "s.py:1: invalid syntax"),
    "failing import": ({"s.py": "import backtrade\n"}, ["s.py:S"], "s.py:1: ModuleNotFoundError"),
    "no such class": ({"s.py": "x = 1\n"}, ["s.py:S"], "no class 'S' in s.py"),
    "no strategy": ({"s.py": "class S:\n    pass\n"}, ["s.py:S"], "not a backtrader.Strategy"),
    "failing __init__": (
        {"s.py": f"{BACKTRADER}class S(bt.Strategy):\n    def __init__(self):\n        1 / 0\n"},
        ["s.py:S"],
        "s.py:6 while it was being set up: ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files(forked: Any, listing: Any, tmp_path: Path, case: str) -> None:
    files, argv, expected = FILES[case]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert expected in refuse(forked, listing, tmp_path, *argv)


def test_an_unknown_key_in_the_environment(forked: Any, listing: Any, tmp_path: Path) -> None:
    """P11"""
    line = refuse(forked, listing, tmp_path, "momentum", env={"APP_BROKER__CAHS": "3"})
    assert line == "unknown setting APP_BROKER__CAHS in the environment; did you mean APP_BROKER__CASH?"


@pytest.fixture
def traded(forked: Any, tmp_path: Path) -> Path:
    """A folder in which a short run has finished."""
    done = forked(tmp_path, "momentum", "--end", "2004-11-30")
    assert done.code == 0, done.stderr
    return tmp_path


def test_a_database_of_a_newer_version(forked: Any, listing: Any, traded: Path) -> None:
    """P5"""
    with sqlite3.connect(traded / "runs/tradewright.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    connection.close()
    assert "newer version" in refuse(forked, listing, traded, "momentum")
    assert "newer version" in refuse(forked, listing, traded, "momentum", "--resume")


def test_nothing_to_resume(forked: Any, listing: Any, traded: Path) -> None:
    assert "no unfinished run of momentum" in refuse(forked, listing, traded, "momentum", "--resume")
    assert "no unfinished run of level_based" in refuse(forked, listing, traded, "level_based", "--resume")
    (run,) = [path.name for path in (traded / "runs").iterdir() if path.is_dir()]
    assert f"run {run} has finished" in refuse(forked, listing, traded, "momentum", "--resume", run)
    near = refuse(forked, listing, traded, "momentum", "--resume", run[:-1])
    assert near.endswith(f"did you mean {run}?")


def test_a_strategy_that_fails_in_next(forked: Any, tmp_path: Path, daily: pd.DataFrame) -> None:
    """The run is on record by then, as failed, and can be resumed by name only."""
    daily.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "s.py").write_text(
        f"{BACKTRADER}class S(bt.Strategy):\n    def next(self):\n        if len(self) == 20:\n            1 / 0\n"
    )
    done = forked(tmp_path, "s.py:S", *DATA)
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "s.py:7 on the bar of 2024-01-20T00:00:00+00:00: ZeroDivisionError" in done.stderr
    with sqlite3.connect(tmp_path / "runs/tradewright.db") as connection:
        ((status, reason),) = connection.execute("SELECT status, reason FROM runs").fetchall()
    connection.close()
    assert status == "failed"
    assert "ZeroDivisionError" in reason
    assert "no unfinished run" in forked(tmp_path, "s.py:S", "--resume").stderr
