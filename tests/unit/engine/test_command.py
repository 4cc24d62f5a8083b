from __future__ import annotations

import argparse
import json
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from core.errors import ConfigError
from core.results import RunResult
from engine import backtest
from engine.command import (
    add_run_arguments,
    bars_of,
    every,
    headline,
    new_run_folder,
    parameters,
    prepare,
    print_result,
    require_writable,
    settings_from,
    summary,
    summary_rows,
)
from reports.figures import MISSING, show

STRATEGY = """
import backtrader as bt


class Mine(bt.Strategy):
    params = (("fast", 5), ("name", "x"))
"""


def parsed(*args: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    return parser.parse_args(list(args))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_bars: Any) -> Path:
    """An empty working folder but for a strategy's file and bars; no setting from outside."""
    for name in list(os.environ):
        if name.startswith("APP_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(STRATEGY)
    make_bars(40).to_csv(tmp_path / "bars.csv")
    make_bars(40, seed=8).to_csv(tmp_path / "more.csv")
    return tmp_path


def test_arguments_become_settings(here: Path) -> None:
    settings = settings_from(
        parsed(
            *(
                "mine.py",
                "--data",
                "csv:bars.csv",
                "--data",
                "csv:more.csv",
                "--param",
                "fast=7",
                "--cash",
                "5000",
            ),
            *("--commission", "0.002", "--start", "2020-01-05", "--end", "2020-01-30", "--out", "results"),
            *("--set", "data.max_gap_bars=2"),
        )
    )
    assert (settings.strategy.name, settings.strategy.params) == ("mine.py", {"fast": "7"})
    assert (settings.data.source, settings.data.max_gap_bars) == ("csv:bars.csv,csv:more.csv", 2)
    assert (settings.data.start, settings.data.end) == (date(2020, 1, 5), date(2020, 1, 30))
    assert (settings.broker.cash, settings.broker.commission) == (5000.0, 0.002)
    assert settings.reports.directory == Path("results")


def test_nothing_given_leaves_the_defaults(here: Path) -> None:
    """No configuration at all: the sample market and the paper broker."""
    settings = settings_from(parsed("momentum"))
    assert (settings.data.source, settings.broker.name, settings.broker.cash) == (
        "sample:goog",
        "paper",
        100_000.0,
    )
    assert settings.strategy.params == {}


def test_what_the_caller_adds_goes_first(here: Path) -> None:
    settings = settings_from(parsed("mine.py", "--cash", "5000"), {"broker.cash": 7000, "live.bot": "other"})
    assert (settings.broker.cash, settings.live.bot) == (7000.0, "other")


def test_command_line_before_environment_before_dotenv_before_file_before_default(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S8"""
    asked = ["mine.py", "--data", "csv:bars.csv"]
    seen = [prepare(parsed(*asked)).params["fast"]]
    (here / "mine.toml").write_text("[strategy]\nname = 'mine.py'\n[strategy.params]\nfast = 6\n")
    asked += ["--config", "mine.toml"]
    seen.append(prepare(parsed(*asked)).params["fast"])
    (here / ".env").write_text("APP_STRATEGY__FAST=7\n")
    seen.append(prepare(parsed(*asked)).params["fast"])
    monkeypatch.setenv("APP_STRATEGY__FAST", "8")
    seen.append(prepare(parsed(*asked)).params["fast"])
    seen.append(prepare(parsed(*asked, "--param", "fast=9")).params["fast"])
    assert seen == [5, 6, 7, 8, 9]


def test_prepare_checks_and_loads(here: Path) -> None:
    plan = prepare(
        parsed("mine.py:Mine", "--data", "csv:bars.csv", "--resample", "1W", "--param", "name=a=b")
    )
    assert plan.strategy.__name__ == "Mine"
    assert issubclass(plan.strategy, bt.Strategy)
    assert dict(plan.params) == {"fast": 5, "name": "a=b"}
    assert list(map(len, plan.market.frames.values())) == [40]
    assert plan.resample == ("1W",)
    line = headline("BACKTEST", plan)
    assert line.startswith("BACKTEST ")
    assert (
        "Mine(fast=5, name=a=b) on BARS: 40 bars of 1d, 2020-01-01 to 2020-02-09, from csv:bars.csv" in line
    )


@pytest.mark.parametrize("text", ["fast", "=7", ""])
def test_a_parameter_without_a_value(text: str) -> None:
    with pytest.raises(ConfigError, match="not NAME=VALUE"):
        parameters([text])


def test_the_last_of_a_parameter_counts() -> None:
    assert parameters(["fast=1", "slow = 9", "fast=2"]) == {"fast": "2", "slow": "9"}


def test_a_run_folder_is_named_after_time_strategy_and_content(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    folder = new_run_folder(tmp_path / "runs", "path/To/file.py:MyStrategy", "seed")
    stamp, name, digest = re.fullmatch(r"(\d{8}T\d{6}Z)-(\w+)-([0-9a-f]{6})", folder.name).groups()  # type: ignore[union-attr]
    when = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert before <= when <= datetime.now(UTC) + timedelta(seconds=1)
    assert name == "mystrategy"
    assert folder.parent == tmp_path / "runs"
    assert list(tmp_path.iterdir()) == []
    assert new_run_folder(tmp_path, "momentum", "another").name.rpartition("-")[2] != digest


def test_a_taken_name_is_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Standing(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Standing:
            return cls(2024, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr("engine.command.datetime", Standing)
    names = set()
    for _ in range(5):
        folder = new_run_folder(tmp_path, "momentum", "same")
        folder.mkdir()
        names.add(folder.name)
    assert len(names) == 5
    assert all(name.startswith("20240102T030405Z-momentum-") for name in names)


def test_a_writable_base_is_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path)
    require_writable(tmp_path / "not" / "yet" / "there")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for base in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="is not a folder") as caught:
            new_run_folder(base, "momentum", "seed")
        assert "--out" in caught.value.hint


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc refuses everybody, root too")
def test_a_base_that_cannot_be_written_to() -> None:
    with pytest.raises(ConfigError, match="cannot write to /proc/runs"):
        require_writable(Path("/proc/runs"))


class Once(bt.Strategy):
    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=10)
        elif len(self) == 5:
            self.close()


@pytest.fixture
def result(make_bars: Any) -> RunResult:
    return backtest(Once, make_bars(30), cash=12_345.0)


def test_the_path_is_the_last_line_whole(result: RunResult, capsys: Any) -> None:
    tearsheet = Path("runs") / ("very-" * 60 + "long") / "tearsheet.html"
    print_result(result, tearsheet, next_command="python -m engine.parity x")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(tearsheet)
    assert lines[-2] == "next: python -m engine.parity x"
    assert any("12,345.00 to" in line for line in lines)
    assert any("2, 2, 1" in line for line in lines)
    assert any(line.startswith("serious: Few trades. 1 closed trades") for line in lines)
    assert not any(line.startswith("note: Nothing here is out of sample") for line in lines)


def test_the_table_is_of_this_run(result: RunResult) -> None:
    rows = dict(summary_rows(result))
    assert rows["commission paid"] == f"{result.trades['commission'].sum():,.2f}"
    assert rows["total return"] == show(result.equity.iloc[-1] / 12_345.0 - 1, "percent")
    assert rows["bars"] == "30"


def test_what_a_run_does_not_have_is_a_dash(make_bars: Any) -> None:
    rows = dict(summary_rows(backtest(bt.Strategy, make_bars(10))))
    assert rows["win rate"] == rows["Sharpe"] == MISSING


def test_the_summary_is_plain_json(make_bars: Any) -> None:
    idle = backtest(bt.Strategy, make_bars(10))
    document = summary(idle, Path("runs/x"), Path("runs/x/tearsheet.html"))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["metrics"]["win_rate"] is None
    assert (document["orders"], document["folder"]) == (0, "runs/x")
    assert document["data"]["start"] == "2020-01-01T00:00:00+00:00"
    assert {"no_trades", "short_history"} <= {finding["check"] for finding in document["findings"]}


def test_bars_are_counted_once_over_all_datas(make_bars: Any) -> None:
    frames = {"A": make_bars(10), "B": make_bars(10, start="2020-01-06")}
    assert bars_of(frames) == len(backtest(bt.Strategy, frames).equity) == 15


def test_every_so_many_bars() -> None:
    told: list[int] = []
    on_bar = every(told.append, 3)
    for bar in range(1, 8):
        on_bar(bar)
    assert told == [3, 6]
