"""One run in every format: the same figures everywhere, and a report for any run there can be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import openpyxl
import pandas as pd
import pypdfium2
import pytest

from analyzers.metrics import summarize
from core.config import ReportSettings
from core.results import RunResult
from engine.command import summary_rows
from reports import read_run, write_run
from reports.described import schema
from reports.document import Report, make_report
from reports.figures import FIGURES, GROUPS, MISSING, show
from tests.unit.reports.conftest import make
from tests.unit.reports.test_html import Page

pytestmark = pytest.mark.usefixtures("without_quantstats")
ALL = ReportSettings(formats="all")
TERMINAL = {
    "total return": "total_return",
    "yearly return (CAGR)": "cagr",
    "volatility a year": "volatility",
    "Sharpe": "sharpe",
    "Sortino": "sortino",
    "max drawdown": "max_drawdown",
    "win rate": "win_rate",
    "profit factor": "profit_factor",
    "commission paid": "commission",
}
Found = dict[str, str]


def in_terminal(result: RunResult) -> Found:
    rows = dict(summary_rows(result))
    start, _, end = rows["equity"].partition(" to ")
    return {key: rows[label] for label, key in TERMINAL.items()} | {"start_value": start, "end_value": end}


def in_json(folder: Path) -> Found:
    known = json.loads((folder / "result.json").read_text())["figures"]
    return {
        key: show(math.nan if known[key] is None else known[key], figure.unit)
        for key, figure in FIGURES.items()
    }


def in_excel(folder: Path) -> Found:
    sheet = openpyxl.load_workbook(folder / "report.xlsx")["Summary"]
    rows = list(sheet.iter_rows(min_row=7, values_only=True))
    assert [row[1] for row in rows] == [figure.label for figure in FIGURES.values()]
    return {
        key: show(math.nan if row[2] is None else float(row[2]), figure.unit)
        for (key, figure), row in zip(FIGURES.items(), rows, strict=True)
    }


def in_pdf(folder: Path) -> Found:
    document = pypdfium2.PdfDocument(folder / "report.pdf")
    text = " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)
    whole = text[text.index("All figures") :]
    return {key: _after(whole, figure.label) for key, figure in FIGURES.items()}


def _after(text: str, label: str) -> str:
    """The word that follows the label: where a label begins another, that with a figure behind it."""
    value = rf"(?:[\u2212]?[\d,.]+(?:e\+\d+)?%?|{MISSING})"
    found = re.search(rf"(?:^| ){re.escape(label)} ({value}) ", text)
    assert found, label
    return found.group(1)


def in_html(folder: Path) -> Found:
    text = (folder / "tearsheet.html").read_text()
    cells = re.findall(r'<tr><th scope="row">([^<]+)<small>[^<]*</small></th><td>([^<]*)', text)
    labels = {figure.label: key for key, figure in FIGURES.items()}
    return {labels[label.replace("&#39;", "'")]: value for label, value in cells}


def lively() -> RunResult:
    """Ups and downs, trades of both kinds, money in many digits."""
    walk = list(123_456.789 * np.cumprod(1 + np.random.default_rng(11).normal(0.0004, 0.012, 700)))
    rng = np.random.default_rng(12)
    trades = []
    for bar in range(0, 690, 7):
        gain = float(rng.normal(20, 300))
        trades.append(("AAA", bar, bar + 3, 10.0, 50.0, 50.0 + gain / 10, gain, gain - 1.5, 1.5, "signal", 3))
    fills = [(bar, "AAA", 10.0 if bar % 14 else -10.0, 50.0, 0.75, bar + 1) for bar in range(0, 690, 7)]
    return make(walk, trades=trades, fills=fills)


def test_terminal_json_excel_pdf_and_page_show_the_same_figures(tmp_path: Path):
    """R14"""
    run = lively()
    write_run(run, tmp_path, settings=ALL)
    expected = {key: figure.text(make_report(run).figures) for key, figure in FIGURES.items()}
    assert len([text for text in expected.values() if text != MISSING]) > 45
    readers: tuple[Callable[[Path], Found], ...] = (in_json, in_excel, in_pdf, in_html)
    for reader in readers:
        assert reader(tmp_path) == expected, reader.__name__
    for again in (run, read_run(tmp_path)):
        found = in_terminal(again)
        assert found == {key: expected[key] for key in found}


def test_intervals_are_the_same_in_json_excel_pdf_and_page(tmp_path: Path):
    """B19"""
    run = lively()
    write_run(run, tmp_path, settings=ALL)
    report = make_report(run)
    betweens = {row.figure.key: row.between for row in report.rows if row.between}
    assert len(betweens) >= 9
    kept = json.loads((tmp_path / "result.json").read_text())["intervals"]
    document = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    paper = " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)
    page = Page((tmp_path / "tearsheet.html").read_text()).text
    rows = openpyxl.load_workbook(tmp_path / "report.xlsx")["Summary"].iter_rows(min_row=7, values_only=True)
    cells = {row[1]: row for row in rows}
    for key, between in betweens.items():
        unit = FIGURES[key].unit
        assert f"{show(kept[key]['low'], unit)} to {show(kept[key]['high'], unit)}" == between
        cell = cells[FIGURES[key].label]
        assert f"{show(cell[3], unit)} to {show(cell[4], unit)}" == between
        assert between in paper
        assert between in page


def test_margin_calls_and_dividends_are_told_in_every_format(tmp_path: Path):
    """B15, B17"""
    events = [
        {"kind": "margin_call", "symbol": "AAA", "time": "2024-01-10T00:00:00+00:00", "amount": None, "ratio": None, "units": 7.0},
        {"kind": "dividend", "symbol": "AAA", "time": "2024-01-11T00:00:00+00:00", "amount": 12.5, "ratio": None, "units": 50.0},
    ]  # fmt: skip
    run = make(
        [1000.0 + bar for bar in range(40)], meta={"costs": {"text": "told in words", "events": events}}
    )
    write_run(run, tmp_path, settings=ALL)
    document = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    paper = " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)
    page = Page((tmp_path / "tearsheet.html").read_text()).text
    for text in (paper, page):
        assert "2024-01-10 AAA margin call 7" in text
        assert "2024-01-11 AAA dividend 50" in text
        assert "12.50" in text
        assert "told in words" in text
    rows = list(openpyxl.load_workbook(tmp_path / "report.xlsx")["Breakdowns"].iter_rows(values_only=True))
    assert any(row[2:5] == ("dividend", 50, 12.5) for row in rows)
    assert json.loads((tmp_path / "result.json").read_text())["meta"]["costs"]["events"] == events
    assert read_run(tmp_path).meta["costs"]["events"] == events


def prices_with_eight_decimals() -> RunResult:
    fills = [(1, "AAA", 1e7, 0.00001234, 0.123, 1), (5, "AAA", -1e7, 0.00001239, 0.124, 2)]
    trades = [("AAA", 1, 5, 1e7, 0.00001234, 0.00001239, 0.5, 0.25, 0.247, "signal", 4)]
    run = make([1.0 + 0.00000001 * bar for bar in range(60)], fills=fills, trades=trades)
    tiny = {name: run.prices["AAA"][name] * 2.5e-7 for name in ("open", "high", "low", "close", "volume")}
    return replace(run, prices={"AAA": pd.DataFrame(tiny)})


def losses(count: int) -> list[tuple[Any, ...]]:
    return [
        ("AAA", 3 * bar, 3 * bar + 2, 1.0, 50.0, 49.0, -1.0, -1.1, 0.1, "stop_loss", 2)
        for bar in range(count)
    ]


RUNS: dict[str, tuple[Callable[[], RunResult], str]] = {
    "no trades": (lambda: make([1000.0 + bar % 5 for bar in range(90)]), "No trade was closed"),
    "one trade": (
        lambda: make([1000.0 + bar % 5 for bar in range(90)], trades=losses(1)),
        "One trade was closed",
    ),
    "one day": (lambda: make([1000.0 + bar % 9 for bar in range(390)], freq="min"), "1 day long"),
    "one bar": (lambda: make([1000.0]), "1 day long"),
    "no bars": (lambda: make([]), "no bars"),
    "all losses": (lambda: make([1000.0 - bar for bar in range(90)], trades=losses(20)), "Every trade lost"),
    "zero drawdown": (lambda: make([1000.0 + bar for bar in range(90)]), "never fell below an earlier high"),
    "never changed": (lambda: make([1000.0] * 90), "never changed"),
    "values that are not finite": (
        lambda: make([1000.0, math.nan, 1010.0, math.inf, 990.0, -math.inf] * 15),
        "without a finite account value are left out",
    ),
    "nothing finite": (lambda: make([math.nan] * 30), "No bar has a finite account value"),
    "lost": (lambda: make([1000.0, 500.0, 0.0, -10.0] * 9), "The account was lost"),
    "returns beyond measure": (lambda: make([1e-300, 1e300] * 40), "No trade was closed"),
    "intraday": (
        lambda: make([1000.0 + bar % 50 for bar in range(3000)], freq="h", trades=losses(30)),
        "momentum on AAA",
    ),
    "around the clock": (
        lambda: make(
            [1000.0 + bar % 50 for bar in range(900)], freq="D", symbols=("BTC/USDT",), trades=losses(9)
        ),
        "momentum on BTC/USDT",
    ),
    "no benchmark": (
        lambda: make([1000.0 + bar % 5 for bar in range(90)], prices={}),
        "nothing to compare with",
    ),
    "eight decimals": (prices_with_eight_decimals, "One trade was closed"),
    "no reasons": (
        lambda: make(
            [1000.0 + bar % 5 for bar in range(90)],
            trades=[(*row[:9], None, row[10]) for row in losses(5)],
        ),
        "not recorded",
    ),
}


@pytest.mark.parametrize(("made", "said"), RUNS.values(), ids=RUNS)
def test_any_run_has_a_report_that_says_so_in_every_format(
    made: Callable[[], RunResult], said: str, tmp_path: Path
):
    """R8, R9, R10, R11"""
    run = made()
    write_run(run, tmp_path, settings=ALL)
    document = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(schema()).validate(document)
    paper = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    assert len(paper) >= 3
    printed = " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in paper)
    page = Page((tmp_path / "tearsheet.html").read_text()).text
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    cells = " ".join(
        str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row if cell
    )
    for text in (json.dumps(document, ensure_ascii=False), printed, page, cells):
        assert said in text
    for text in (printed, page, cells):
        assert not {"nan", "inf", "-inf", "nat", "none"} & set(re.split(r"[\s,;:()]+", text.lower())), text
    assert in_json(tmp_path) == in_excel(tmp_path) == in_html(tmp_path) == in_pdf(tmp_path)


@pytest.mark.parametrize("made", [made for made, _ in RUNS.values()], ids=RUNS)
def test_no_figure_of_any_run_is_silly(made: Callable[[], RunResult]):
    report: Report = make_report(made())
    for group in GROUPS.values():
        for figure in group:
            value = report.figures[figure.key]
            assert math.isnan(value) or math.isfinite(value)
    for key in ("max_drawdown", "win_rate", "exposure", "psr", "time_under_water", "average_drawdown"):
        value = report.figures[key]
        assert math.isnan(value) or 0 <= value <= 1, key


def test_metrics_of_a_run_are_among_its_figures():
    run = lively()
    figures = make_report(run).figures
    own = summarize(run.equity, run.trades, fills=run.fills)
    assert {key: figures[key] for key in own} == own
