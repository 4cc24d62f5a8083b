from __future__ import annotations

import importlib
import json
import os
import pstats
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from core.cli import run_command
from core.config import load_settings
from core.errors import DataError, StrategyError, UnknownNameError, UserError
from core.space import Int
from engine import backtest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "pandas",
    "numpy",
    "backtrader",
    "sqlalchemy",
    "matplotlib",
    "quantstats",
    "ccxt",
    "yfinance",
    "pydantic",
    "rich",
)
CROSS = """
import backtrader as bt
from core.space import Int


class Cross(bt.Strategy):
    params = (("fast", 5), ("slow", 20))
    space = {"fast": Int(2, 30), "slow": Int(5, 90)}

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0:
            self.close()


class Breaks(bt.Strategy):
    def next(self):
        raise ValueError("in the middle")
"""


class Cross(bt.Strategy):
    params = (("fast", 5), ("slow", 20))
    space = {"fast": Int(2, 30)}

    def __init__(self) -> None:
        fast, slow = bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0:
            self.close()


def python(*args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *args], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "lines",
    [
        "from engine import backtest",
        "import engine.backtest; from engine import backtest",
        "from engine.backtest import main; from engine import backtest",
        "import importlib; importlib.import_module('engine.backtest'); import engine; backtest = engine.backtest",
        "from engine import backtest; import engine.backtest; from engine import backtest",
    ],
)
def test_the_name_is_the_function_in_every_order_of_imports(lines: str) -> None:
    check = (
        "import types, sys; assert isinstance(backtest, types.FunctionType), backtest; assert backtest.__doc__; "
        "assert sys.modules['engine.backtest'].backtest is backtest"
    )
    done = python("-W", "error::ImportWarning", "-c", f"{lines}; {check}")
    assert done.returncode == 0, done.stderr


def test_help_is_light_and_does_not_warn() -> None:
    done = python("-W", "error", "-X", "importtime", "-m", "engine.backtest", "--help")
    assert done.returncode == 0, done.stderr
    assert "example:\n  python -m engine.backtest momentum" in done.stdout
    imported = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }
    assert "argparse" in imported
    assert imported.isdisjoint(HEAVY)


def test_several_frames_and_a_higher_timeframe(make_bars: Any) -> None:
    result = backtest(Cross, {"A": make_bars(80), "B": make_bars(80, seed=3)}, resample=["1W"])
    assert list(result.prices) == ["A", "B"]
    assert result.data.symbols == ("A", "B")
    assert result.meta["resample"] == ["1W"]
    assert set(result.orders["symbol"]) == {"A"}


def test_open_trades_are_counted(make_bars: Any) -> None:
    class Holds(bt.Strategy):
        def next(self) -> None:
            if len(self) == 3:
                self.buy()

    result = backtest(Holds, make_bars(10))
    assert result.meta["open_trades"] == 1
    assert result.trades.empty
    assert result.strategy.endswith("Holds")


def test_settings_say_how_data_is_loaded(make_bars: Any) -> None:
    settings = load_settings(cli={"data.start": "2020-02-01"}, env={}, dotenv=None).data
    result = backtest(Cross, make_bars(120), settings=settings)
    assert result.equity.index[0] == pd.Timestamp("2020-02-01", tz="UTC")


def test_progress_is_told(make_bars: Any) -> None:
    counts: list[int] = []
    backtest(Cross, make_bars(30), engine="lean", on_bar=counts.append)
    assert counts == list(range(1, 31))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"engine": "cerbro"}, UnknownNameError, "did you mean cerebro"),
        ({"cash": 0}, UserError, "cash is 0"),
        ({"commission": 1.0}, UserError, "commission is 1"),
        ({"strategy": dict}, StrategyError, "not a backtrader.Strategy"),
        ({"strategy": "momentun"}, UnknownNameError, "did you mean momentum"),
        ({"params": {"fats": 3}}, UnknownNameError, "did you mean fast"),
        ({"params": {"fast": 99}}, StrategyError, "out of range"),
        (
            {"params": {"slow": 200}},
            DataError,
            "Cross needs 201 bars before its first decision, the data has 60",
        ),
        ({"resample": ["1W", "1W"]}, UserError, "two datas would be named"),
        ({"resample": ["1h"]}, UserError, "cannot resample"),
        ({"resample": ["weekly"]}, UserError, "cannot read the timeframe"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    make_bars: Any, changes: dict[str, Any], kind: type[UserError], message: str
) -> None:
    given = {"strategy": Cross, "data": make_bars(60), **changes}
    with pytest.raises(kind, match=message) as caught:
        backtest(given.pop("strategy"), given.pop("data"), **given)
    assert "\n" not in str(caught.value)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_bars: Any) -> Path:
    """An empty working folder but for a strategy's file and bars; no setting from outside."""
    for name in list(os.environ):
        if name.startswith("APP_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CROSS)
    make_bars(120).to_csv(tmp_path / "bars.csv")
    return tmp_path


def command(*args: str) -> int:
    main = importlib.import_module("engine.backtest")
    with pytest.raises(SystemExit) as left:
        run_command(main.parser(), main.main, list(args))
    return int(left.value.code or 0)


RUN = ("mine.py:Cross", "--data", "csv:bars.csv")


def test_the_command_writes_a_folder_and_ends_with_the_tearsheet(here: Path, capsys: Any) -> None:
    """E3"""
    assert command(*RUN, "--param", "fast=7", "--cash", "5000") == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith("BACKTEST ")
    assert "fast=7" in lines[0]
    tearsheet = Path(lines[-1])
    assert tearsheet.is_file()
    assert tearsheet.parent.parent == Path("runs")
    assert {"result.json", "trades.csv", "equity.parquet", "config.json", "tearsheet.html"} <= {
        file.name for file in tearsheet.parent.iterdir()
    }
    assert any("5,000.00 to" in line for line in lines)
    config = json.loads((tearsheet.parent / "config.json").read_text())
    assert (config["broker"]["cash"], config["strategy"]["params"]) == (5000.0, {"fast": "7"})


def test_json_is_one_document(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S8: a variable of the environment changes the run. --out names where its folder goes."""
    monkeypatch.setenv("APP_STRATEGY__FAST", "8")
    assert command(*RUN, "--json", "--out", "deep/inside") == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["params"] == {"fast": 8, "slow": 20}
    assert document["engine"] in {"compiled", "lean"}
    assert document["engine_reason"]
    assert document["data"]["bars"] == 120
    assert Path(document["tearsheet"]).is_file()
    assert printed.err == ""
    (folder,) = (here / "deep/inside").iterdir()
    assert "-cross-" in folder.name
    assert Path(document["tearsheet"]).parent.resolve() == folder
    assert not (here / "runs").exists()


@pytest.mark.parametrize("engine", ["auto", "lean", "cerebro"])
def test_the_engine_can_be_named_and_profiled(here: Path, capsys: Any, engine: str) -> None:
    """E9: the profile of a run lies in its folder."""
    assert command(*RUN, "--engine", engine, "--profile", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert engine in {"auto", document["engine"]}
    folder = Path(document["folder"])
    assert "cumulative" in (folder / "profile.txt").read_text()
    functions = {name for _, _, name in pstats.Stats(str(folder / "profile.pstats")).stats}
    assert "backtest" in functions


def spoilt(column: str, value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame.iloc[50, frame.columns.get_loc(column)] = value
        return frame

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoilt("low", -1.0), "negative"),
        (spoilt("high", 1.0), "high"),
        (lambda frame: pd.concat([frame, frame.iloc[[5]]]), "time"),
        (lambda frame: frame.iloc[:10], "needs 21 bars"),
        (lambda frame: frame.iloc[:0], "bars"),
    ],
)
def test_bad_bars_are_refused(
    here: Path, capsys: Any, make_bars: Any, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    spoil(make_bars(120)).to_csv(here / "bars.csv")
    assert_mistake(here, capsys, RUN, message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("momentun",), "did you mean momentum"),
        (("mine.py:Crosss", "--data", "csv:bars.csv"), "did you mean Cross"),
        ((*RUN, "--param", "fats=3"), "did you mean fast"),
        ((*RUN, "--param", "fast=99"), "from 2 to 30"),
        ((*RUN, "--param", "fast"), "NAME=VALUE"),
        ((*RUN, "--set", "broker.cahs=1"), "did you mean broker.cash"),
        ((*RUN, "--set", "broker.cash"), "KEY=VALUE"),
        ((*RUN, "--cash", "-5"), "cash"),
        ((*RUN, "--commission", "2"), "commission"),
        ((*RUN, "--cash", "much"), "--cash"),
        (("mine.py:Cross", "--data", "csv:bras.csv"), "did you mean"),
        ((*RUN, "--out", "mine.py"), "mine.py is not a folder"),
        ((*RUN, "--out", "mine.py/below"), "mine.py is not a folder"),
        ((*RUN, "--engine", "fast"), "unknown engine"),
        ((*RUN, "--resample", "1h"), "cannot resample"),
        ((*RUN, "--start", "2030-01-01"), "period"),
        ((*RUN, "--start", "someday"), "start"),
        ((*RUN, "--config", "none.toml"), "none.toml"),
        (("mine.py:Breaks", "--data", "csv:bars.csv"), "ValueError: in the middle"),
        ((), "STRATEGY"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    here: Path, capsys: Any, args: tuple[str, ...], message: str
) -> None:
    assert_mistake(here, capsys, args, message)


def written_below(folder: Path) -> list[Path]:
    """Every file but what Python keeps of its own."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def assert_mistake(here: Path, capsys: Any, args: tuple[str, ...], message: str) -> None:
    before = written_below(here)
    assert command(*args) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert message in line
    assert written_below(here) == before
    assert not (here / "runs").exists()


def test_an_interrupted_report_leaves_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a tearsheet would pass for a run."""
    import reports

    def interrupted(result: object, out: Path, **options: object) -> Path:
        out.mkdir(parents=True)
        (out / "result.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(reports, "write_run", interrupted, raising=False)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module("engine.backtest")
    arguments = ["momentum", "--start", "2005-01-01", "--end", "2005-12-31", "--json"]
    with pytest.raises(KeyboardInterrupt):
        module.main(module.parser().parse_args(arguments))
    assert list((tmp_path / "runs").iterdir()) == []
