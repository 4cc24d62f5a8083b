"""The workbook, opened by another library."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from openpyxl.workbook import Workbook

import reports.excel
from reports.document import Report, make_report
from reports.excel import write_workbook

SHEETS = ["Summary", "Diagnosis", "Trades", "Equity", "Monthly", "Breakdowns", "Parameters"]
EXCEL_ROWS = 1_048_576


def opened(report: Report, folder: Path) -> Workbook:
    path = folder / "report.xlsx"
    write_workbook(report, path)
    return openpyxl.load_workbook(path)


@pytest.fixture
def report(make_run) -> Report:
    """300 bars, some trades, one of them at a price with eight decimals, and a text that looks like a formula."""
    walk = list(1000 * np.cumprod(1 + np.random.default_rng(5).normal(0.001, 0.01, 300)))
    walk[7] = math.nan
    trades = [
        ("AAA", bar, bar + 2, -1.5, 0.00012345, 0.00012, 1.0, 0.9, 0.1, "signal", 2)
        for bar in range(0, 90, 9)
    ]
    trades.append(("=1+1", 100, 102, 1.0, 50.0, 51.0, 1.0, 1.0, 0.0, "+x", 2))
    return make_report(make_run(walk, trades=trades, params={"fast": 10, "formula": "=HYPERLINK(0)"}))


def test_it_opens_with_its_sheets_frozen_and_with_charts(report: Report, tmp_path: Path):
    """R9"""
    book = opened(report, tmp_path)
    assert book.sheetnames == SHEETS
    assert all(sheet.freeze_panes for name, sheet in zip(SHEETS, book, strict=True) if name != "Breakdowns")
    assert [len(book[name]._charts) for name in ("Summary", "Equity")] == [2, 2]


def test_figures_have_the_numbers_and_formats_they_are_shown_with(report: Report, tmp_path: Path):
    """R9"""
    sheet = opened(report, tmp_path)["Summary"]
    formats = {"percent": "0.00%", "ratio": "0.00", "money": "#,##0.00", "count": "#,##0"}
    for cells, row in zip(sheet.iter_rows(min_row=7), report.rows, strict=True):
        assert cells[1].value == row.figure.label
        if math.isnan(row.value):
            assert cells[2].value is None
            continue
        assert cells[2].value == pytest.approx(row.value, rel=1e-14)
        assert cells[2].number_format == formats[row.figure.unit]


def test_times_are_dates_and_what_is_not_known_is_empty(report: Report, tmp_path: Path):
    book = opened(report, tmp_path)
    account = list(book["Equity"].iter_rows(min_row=2, max_col=4))
    assert len(account) == 300
    assert account[0][0].value == datetime(2024, 1, 1)
    assert account[0][0].number_format == "yyyy-mm-dd"
    assert account[7][1].value is None
    assert account[7][3].value is None
    assert account[9][3].value == pytest.approx(report.drawdown.iloc[8], rel=1e-12)
    newest = next(book["Trades"].iter_rows(min_row=2, values_only=True))
    assert newest[2] == report.result.trades["entry_time"].iloc[-1].to_pydatetime().replace(tzinfo=None)


def test_bars_within_a_day_keep_their_time(make_run, tmp_path: Path):
    report = make_report(make_run([1000.0 + bar % 7 for bar in range(100)], freq="min"))
    cell = opened(report, tmp_path)["Equity"]["A3"]
    assert (cell.value, cell.number_format) == (datetime(2024, 1, 1, 0, 1), "yyyy-mm-dd hh:mm")


def test_no_text_is_a_formula_and_prices_keep_their_decimals(report: Report, tmp_path: Path):
    book = opened(report, tmp_path)
    for sheet in book:
        for cells in sheet.iter_rows():
            assert all(cell.data_type != "f" for cell in cells)
            assert all(cell.hyperlink is None for cell in cells)
    newest, older = list(book["Trades"].iter_rows(min_row=2, max_row=3))
    assert newest[0].value == "=1+1"
    assert (older[5].value, older[5].number_format) == (0.00012345, "#,##0.00000000")
    assert (older[4].value, older[4].number_format) == (1.5, "#,##0.00")
    values = [cell for row in book["Parameters"].iter_rows(values_only=True) for cell in row]
    assert "=HYPERLINK(0)" in values


def test_a_long_run_is_thinned_and_the_sheet_says_so(
    make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert max(reports.excel.MOST_BARS, reports.excel.MOST_TRADES) < EXCEL_ROWS
    monkeypatch.setattr(reports.excel, "MOST_BARS", 40)
    monkeypatch.setattr(reports.excel, "MOST_TRADES", 5)
    trades = [("AAA", bar, bar + 1, 1.0, 50.0, 51.0, 1.0, 1.0, 0.0, "signal", 1) for bar in range(20)]
    report = make_report(make_run([1000.0 + bar % 13 for bar in range(101)], trades=trades, freq="min"))
    book = opened(report, tmp_path)
    rows = list(book["Equity"].iter_rows(min_row=2, max_col=4, values_only=True))
    assert len(rows) == 34
    assert rows[-1][1] == report.equity.iloc[-1]
    assert max(row[3] for row in rows) == pytest.approx(report.figures["max_drawdown"])
    assert "each row stands for 3 bars" in book["Equity"]["F1"].value
    assert book["Trades"].max_row == 6
    assert "newest 5 of 20 closed trades" in book["Trades"]["P1"].value


@pytest.mark.parametrize("equity", [[], [1000.0], [math.nan] * 5], ids=["no bars", "one bar", "not finite"])
def test_a_run_without_anything_says_so(make_run, tmp_path: Path, equity: list[float]):
    book = opened(make_report(make_run(equity)), tmp_path)
    assert book["Trades"]["P1"].value == "No trade was closed."
    assert book.sheetnames == SHEETS


def test_a_time_before_excels_calendar_is_an_empty_cell(make_run, tmp_path: Path):
    run = make_run([1000.0, 1001.0], trades=[("AAA", 0, 1, 1.0, 50.0, 51.0, 1.0, 1.0, 0.0, "signal", 1)])
    run.trades.loc[0, "entry_time"] = pd.Timestamp("1850-01-01", tz="UTC")
    book = opened(make_report(run), tmp_path)
    assert book["Trades"]["C2"].value is None
