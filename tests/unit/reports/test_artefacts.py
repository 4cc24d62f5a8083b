"""The files of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
import reports.artefacts
from core.config import ReportSettings
from core.errors import UserError
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult

FILES = {
    "result.json",
    "config.json",
    "trades.csv",
    "orders.csv",
    "fills.csv",
    "equity.parquet",
    "prices.parquet",
    "tearsheet.html",
}
pytestmark = pytest.mark.usefixtures("without_quantstats")


def strict(path: Path) -> dict[str, object]:
    """JSON without the NaN and Infinity that Python alone accepts."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_writes_every_file_and_returns_the_page(run: RunResult, tmp_path: Path):
    page = reports.write_run(run, tmp_path / "runs" / "one")
    assert page == tmp_path / "runs" / "one" / "tearsheet.html"
    assert {path.name for path in page.parent.iterdir()} == FILES


def test_the_formats_are_those_that_are_asked_for(run: RunResult, tmp_path: Path):
    tables = FILES - {"tearsheet.html"}
    page = reports.write_run(run, tmp_path / "all", settings=ReportSettings(formats="all"))
    assert page.name == "tearsheet.html"
    assert {path.name for path in page.parent.iterdir()} == FILES | {"report.pdf", "report.xlsx"}
    page = reports.write_run(run, tmp_path / "pdf", settings=ReportSettings(formats="pdf"))
    assert page.name == "report.pdf"
    assert {path.name for path in page.parent.iterdir()} == tables | {"report.pdf"}
    assert (
        reports.write_run(run, tmp_path / "none", settings=ReportSettings(formats="json")).name
        == "result.json"
    )


def test_an_unknown_format_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean xlsx"):
        ReportSettings(formats="html,xlxs")


def test_result_json_describes_the_run_and_writes_undefined_figures_as_null(run: RunResult, tmp_path: Path):
    """R10"""
    reports.write_run(run, tmp_path)
    found = strict(tmp_path / "result.json")
    assert found["kind"] == "backtest"
    assert found["params"] == {"fast": 10}
    assert found["counts"] == {"bars": 30, "orders": 0, "fills": 3, "trades": 1}
    assert found["data"]["source"] == "csv:prices.csv"
    assert found["data"]["start"].startswith("2024-01-01T00:00:00")
    assert np.isnan(run.metrics["profit_factor"])
    assert found["metrics"]["profit_factor"] is None
    assert found["metrics"]["total_return"] == run.metrics["total_return"]
    assert found["notes"] == ["one bar was filled"]
    assert found["versions"]["pandas"] == pd.__version__


def test_tables_read_back_as_they_were(run: RunResult, tmp_path: Path):
    reports.write_run(run, tmp_path)
    for name, columns in (("trades", TRADE_COLUMNS), ("orders", ORDER_COLUMNS), ("fills", FILL_COLUMNS)):
        assert list(pd.read_csv(tmp_path / f"{name}.csv").columns) == list(columns)
    trades = pd.read_csv(tmp_path / "trades.csv", parse_dates=["entry_time", "exit_time"])
    assert trades["pnl_net"].tolist() == run.trades["pnl_net"].tolist()
    assert trades["entry_time"].tolist() == run.trades["entry_time"].tolist()
    assert (tmp_path / "fills.csv").read_text().splitlines()[
        1
    ] == "2024-01-08T00:00:00+00:00,AAA,2.0,50.5,0.101,1"


def test_equity_parquet_holds_equity_cash_and_drawdown_to_the_last_bit(run: RunResult, tmp_path: Path):
    reports.write_run(run, tmp_path)
    found = pd.read_parquet(tmp_path / "equity.parquet")
    assert list(found.columns) == ["equity", "cash", "drawdown"]
    assert found.index.name == "time"
    assert str(found.index.tz) == "UTC"
    assert (found["equity"].to_numpy() == run.equity.to_numpy()).all()
    assert found["drawdown"].max() == run.metrics["max_drawdown"]


def test_a_secret_in_configuration_or_parameters_reaches_no_file(make_run, tmp_path: Path):
    config = {
        "broker": {"api_key": "planted-key-4711"},
        "store": {"url": "postgresql://me:planted-pass@db/x"},
    }
    run = make_run(
        [100.0, 101.0], params={"api_key": "planted-key-4711"}, meta={"config": config, "open_trades": 0}
    )
    reports.write_run(run, tmp_path)
    for path in tmp_path.iterdir():
        assert b"planted" not in path.read_bytes(), path.name
    assert strict(tmp_path / "config.json")["broker"]["api_key"] == "***"


def test_writing_again_replaces_and_leaves_nothing_else(run: RunResult, tmp_path: Path):
    for name in FILES:
        (tmp_path / name).write_text("old")
    reports.write_run(run, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert all(path.read_bytes() != b"old" for path in tmp_path.iterdir())


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "result.json"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        reports.artefacts.write(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_users_mistake_in_one_line(run: RunResult, tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot write to") as caught:
        reports.write_run(run, tmp_path / "taken" / "run")
    assert "--out" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_tells_the_log_what_it_wrote(run: RunResult, tmp_path: Path):
    events = []

    class Log:
        def info(self, event: str, **fields: object) -> None:
            events.append((event, fields["path"]))

    page = reports.write_run(run, tmp_path, log=Log())
    assert events == [("report.written", str(page))]
