"""A run's report as an Excel workbook: numbers as numbers, times as dates, charts of Excel's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xlsxwriter  # type: ignore[import-untyped]  # has no types

from analyzers.periods import DAY_NS, nanoseconds
from reports.figures import MISSING, number, price_decimals
from reports.grid import Column, Grid, Kind

if TYPE_CHECKING:
    from reports.document import Report

MOST_BARS, MOST_TRADES = 25_000, 100_000
"""Rows of the longest sheets. Excel holds 1,048,576, but draws no chart over so many at ease."""
LONGEST_TEXT = 32_000
"""Characters of a cell; Excel holds 32,767."""
FIRST_DAY = 25_569
"""1970-01-01 as Excel counts days."""
HIGHEST = 2_958_466
"""Excel's last day, 9999-12-31, and the one after."""
FORMATS: Mapping[Kind, str] = {
    "percent": "0.00%",
    "ratio": "0.00",
    "money": "#,##0.00",
    "count": "#,##0",
    "time": "yyyy-mm-dd hh:mm",
}
DATE = "yyyy-mm-dd"
ACCENT, LOSS, INK, PANEL = "#1a5fb4", "#b3261e", "#1b1f24", "#eef1f4"
FIGURES = (
    Column("group", "Of", "text"),
    Column("figure", "Figure", "text"),
    Column("value", "Value", "number"),
    Column("low", "Low", "number"),
    Column("high", "High", "number"),
    Column("meaning", "What it is", "text"),
)
FINDINGS = (
    Column("severity", "Severity", "text"),
    Column("title", "Finding", "text"),
    Column("evidence", "Evidence", "text"),
    Column("advice", "What to do", "text"),
)
ACCOUNT = (
    Column("time", "Time (UTC)", "time"),
    Column("equity", "Equity", "money"),
    Column("cash", "Cash", "money"),
    Column("drawdown", "Drawdown", "percent"),
)


def write_workbook(report: Report, path: Path) -> None:
    """Write the workbook: summary, diagnosis, trades, equity, monthly, breakdowns, parameters.

    What is not defined is an empty cell; no text is taken for a formula or an address. Equity and trades of more
    than `MOST_BARS` and `MOST_TRADES` rows are thinned, and the sheet says so. Raises OSError when it cannot be written.
    """
    options = {"strings_to_formulas": False, "strings_to_urls": False, "default_date_format": DATE}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        book = _Book(workbook)
        sheets = {
            name: workbook.add_worksheet(name)
            for name in ("Summary", "Diagnosis", "Trades", "Equity", "Monthly", "Breakdowns", "Parameters")
        }
        _summary(book, sheets["Summary"], report)
        _account(book, sheets["Equity"], report)
        _charts(book, sheets["Summary"], report, "H7")
        _diagnosis(book, sheets["Diagnosis"], report)
        _trades(book, sheets["Trades"], report)
        _months(book, sheets["Monthly"], report)
        _breakdowns(book, sheets["Breakdowns"], report)
        _parameters(book, sheets["Parameters"], report)
        for sheet in sheets.values():
            sheet.set_landscape()
            sheet.set_paper(9)
            sheet.fit_to_pages(1, 0)
            sheet.set_footer("&L&F, &A&RPage &P of &N")


class _Book:
    """A workbook and its formats, each made once."""

    def __init__(self, workbook: Any) -> None:
        self.workbook = workbook
        self._formats: dict[str, Any] = {}
        self.title = workbook.add_format({"bold": True, "font_size": 16, "font_color": INK})
        self.head = workbook.add_format(
            {"bold": True, "bg_color": PANEL, "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self.wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
        self.small = workbook.add_format({"font_color": "#59636e", "italic": True})

    def number_format(self, text: str) -> Any:
        """The format of that text."""
        if text not in self._formats:
            self._formats[text] = self.workbook.add_format({"num_format": text, "valign": "top"})
        return self._formats[text]

    def write(self, sheet: Any, row: int, place: int, value: Any, kind: Kind, wrap: bool = False) -> None:
        """One cell; empty where the value is not defined."""
        if kind == "text":
            text = str(value)[:LONGEST_TEXT]
            if text and text != MISSING:
                sheet.write_string(row, place, text, self.wrapped if wrap else None)
        elif kind == "time":
            if not pd.isna(value):
                day = FIRST_DAY + pd.Timestamp(value).as_unit("ns").value / DAY_NS
                if 0 < day < HIGHEST:
                    sheet.write_number(
                        row, place, day, self.number_format(FORMATS["time"] if day % 1 else DATE)
                    )
        elif math.isfinite(value):
            sheet.write_number(row, place, value, self.number_format(_format(value, kind)))

    def table(self, sheet: Any, top: int, grid: Grid, *, wrap: bool = False, most: int | None = None) -> int:
        """A grid with its head in row `top`; returns the row below it."""
        for place, column in enumerate(grid.columns):
            sheet.write_string(top, place, column.label, self.head)
        kinds = [column.kind for column in grid.columns]
        for row, values in enumerate(grid.rows[:most], top + 1):
            for place, (value, kind) in enumerate(zip(values, kinds, strict=True)):
                self.write(sheet, row, place, value, kind, wrap)
        return top + 1 + len(grid.rows[:most])

    def pairs(self, sheet: Any, top: int, title: str, rows: Iterable[tuple[str, str]]) -> int:
        """Labels and texts below a title; returns the row after a free one."""
        sheet.write_string(top, 0, title, self.head)
        sheet.write_blank(top, 1, None, self.head)
        for row, (label, text) in enumerate(rows, top + 1):
            self.write(sheet, row, 0, label, "text")
            self.write(sheet, row, 1, text, "text", wrap=True)
            top = row
        return top + 2


def _format(value: float, kind: Kind) -> str:
    """As many decimals as `reports.figures` shows."""
    if kind == "price":
        return "#,##0." + "0" * price_decimals(value)
    if kind == "number":
        decimals = len(number(value).partition(".")[2])
        return "#,##0" + ("." + "0" * decimals if decimals else "")
    return FORMATS[kind]


def _summary(book: _Book, sheet: Any, report: Report) -> None:
    sheet.set_column("A:A", 20)
    sheet.set_column("B:B", 32)
    sheet.set_column("C:E", 15)
    sheet.set_column("F:F", 46)
    sheet.write_string(0, 0, report.title[:LONGEST_TEXT], book.title)
    sheet.write_string(1, 0, f"{report.kind}. {report.promise}".strip())
    sheet.write_string(2, 0, "; ".join(report.facts)[:LONGEST_TEXT])
    serious = [finding.title for finding in report.findings if finding.severity != "note"]
    told = f"{len(report.findings)} findings of the diagnosis, on the next sheet"
    sheet.write_string(3, 0, f"{told}: {'; '.join(serious)}" if serious else told)
    level = f"Low and high: {report.level} interval. " if report.level else ""
    sheet.write_string(
        4, 0, f"{level}An empty cell is a figure that is not defined for this run.", book.small
    )
    for place, column in enumerate(FIGURES):
        sheet.write_string(5, place, column.label, book.head)
    for row, shown in enumerate(report.rows, 6):
        figure = shown.figure
        for place, text in ((0, shown.group), (1, figure.label), (5, figure.meaning)):
            sheet.write_string(row, place, text)
        for place, value in ((2, shown.value), (3, shown.low), (4, shown.high)):
            book.write(sheet, row, place, value, figure.unit)
    sheet.freeze_panes(6, 2)
    sheet.repeat_rows(5)


def _diagnosis(book: _Book, sheet: Any, report: Report) -> None:
    rows = tuple((each.severity, each.title, each.evidence, each.advice) for each in report.findings)
    sheet.set_column("A:A", 11)
    sheet.set_column("B:B", 34)
    sheet.set_column("C:D", 70)
    below = book.table(sheet, 0, Grid(FINDINGS, rows), wrap=True)
    if not rows:
        sheet.write_string(below, 0, "No check found anything.")
        below += 1
    for row, remark in enumerate(report.remarks, below + 1):
        sheet.write_string(row, 0, "to know")
        book.write(sheet, row, 1, remark, "text")
    sheet.freeze_panes(1, 0)


def _trades(book: _Book, sheet: Any, report: Report) -> None:
    grid = report.trades
    book.table(sheet, 0, grid, most=MOST_TRADES)
    for place, column in enumerate(grid.columns):
        sheet.set_column(place, place, 17 if column.kind in ("time", "text") else 13)
    if len(grid):
        sheet.autofilter(0, 0, min(len(grid), MOST_TRADES), len(grid.columns) - 1)
    told = "Newest first, closed trades alone."
    if len(grid) > MOST_TRADES:
        told = f"The newest {MOST_TRADES:,} of {len(grid):,} closed trades; all are in trades.csv."
    if not len(grid):
        told = "No trade was closed."
    sheet.write_string(0, len(grid.columns) + 1, told, book.small)
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)


def _account(book: _Book, sheet: Any, report: Report) -> None:
    """Every bar, or the last of each few."""
    equity, cash = report.result.equity, report.result.cash.to_numpy(dtype=np.float64)
    drawdown = np.full(len(equity), np.nan)
    drawdown[np.isfinite(equity.to_numpy(dtype=np.float64))] = report.drawdown
    bars, group = len(equity), _group(report)
    starts = np.arange(0, bars, group)
    last = np.minimum(starts + group, bars) - 1
    days = FIRST_DAY + nanoseconds(equity.index)[last] / DAY_NS
    deepest = np.fmax.reduceat(drawdown, starts) if bars else drawdown
    columns = (days, equity.to_numpy(dtype=np.float64)[last], cash[last], deepest)
    formats = [
        FORMATS["time"] if _within_days(report) else DATE,
        *(FORMATS[each.kind] for each in ACCOUNT[1:]),
    ]
    styles = [book.number_format(text) for text in formats]
    for place, column in enumerate(ACCOUNT):
        sheet.write_string(0, place, column.label, book.head)
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True), 1):
        for place, (value, style) in enumerate(zip(values, styles, strict=True)):
            if math.isfinite(value):
                sheet.write_number(row, place, value, style)
    sheet.set_column("A:A", 17)
    sheet.set_column("B:D", 15)
    told = "One row a bar." if bars else "The run has no bars."
    if group > 1:
        told = (
            f"Thinned: each row stands for {group} bars, with the last equity and cash of them and the deepest "
            f"drawdown; all {bars:,} bars are in equity.parquet."
        )
    sheet.write_string(0, len(ACCOUNT) + 1, told, book.small)
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    _charts(book, sheet, report, "F3")


def _group(report: Report) -> int:
    """Bars to a row of the account."""
    return max(1, -(-len(report.result.equity) // MOST_BARS))


def _within_days(report: Report) -> bool:
    return bool(np.any(nanoseconds(report.result.equity.index) % DAY_NS))


def _charts(book: _Book, sheet: Any, report: Report, place: str) -> None:
    """Equity above drawdown, drawn by Excel over the sheet of the account."""
    rows = -(-len(report.result.equity) // _group(report))
    if rows < 2:
        return
    for number_of, (column, name, colour) in enumerate(((1, "Equity", ACCENT), (3, "Drawdown", LOSS))):
        chart = book.workbook.add_chart({"type": "line" if column == 1 else "area"})
        series: dict[str, Any] = {
            "name": name,
            "categories": ["Equity", 1, 0, rows, 0],
            "values": ["Equity", 1, column, rows, column],
            "line": {"color": colour, "width": 1.25},
        }
        if column == 3:
            series["fill"] = {"color": colour, "transparency": 60}
        chart.add_series(series)
        chart.set_title({"name": name, "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        # A drawdown hangs down from the top, where Excel would put the dates too.
        labels = "low" if column == 1 else "high"
        chart.set_x_axis(
            {"date_axis": not _within_days(report), "num_format": DATE, "label_position": labels}
        )
        axis: dict[str, Any] = {"num_format": "#,##0" if column == 1 else "0%", "major_gridlines": {"visible": True, "line": {"color": "#dfe3e8"}}}  # fmt: skip
        chart.set_y_axis(axis | ({"reverse": True} if column == 3 else {}))
        chart.set_size({"width": 760, "height": 300})
        sheet.insert_chart(place, chart, {"y_offset": 310 * number_of})


def _months(book: _Book, sheet: Any, report: Report) -> None:
    grid = report.months
    below = book.table(sheet, 0, grid)
    sheet.set_column(0, 0, 8)
    sheet.set_column(1, len(grid.columns) - 1, 10)
    if len(grid):
        scale = {
            "type": "3_color_scale", "mid_type": "num", "mid_value": 0,
            "min_color": "#e39a94", "mid_color": "#ffffff", "max_color": "#8fcbae",
        }  # fmt: skip
        sheet.conditional_format(1, 1, below - 1, 12, scale)
    else:
        sheet.write_string(1, 0, "There are no bars to make months of.")
    sheet.freeze_panes(1, 1)


def _breakdowns(book: _Book, sheet: Any, report: Report) -> None:
    sheet.set_column("A:A", 26)
    sheet.set_column("B:G", 18)
    top = 0
    parts: Sequence[tuple[str, Grid]] = (
        ("Deepest drawdowns", report.drawdowns),
        ("By what ended the trades", report.exit_reasons),
        ("By the state of the market", report.regimes),
        ("What could have been (Monte Carlo)", report.outcomes),
        *((("What happened beside the fills", report.events),) if len(report.events) else ()),
    )
    for title, grid in parts:
        sheet.write_string(top, 0, title, book.title)
        if len(grid):
            top = book.table(sheet, top + 1, grid) + 1
        else:
            sheet.write_string(top + 1, 0, "There is nothing to show for this run.")
            top += 3


def _parameters(book: _Book, sheet: Any, report: Report) -> None:
    sheet.set_column("A:A", 30)
    sheet.set_column("B:B", 80)
    top = book.pairs(sheet, 0, "Strategy and parameters", report.parameters)
    top = book.pairs(sheet, top, "Money and costs", report.costs)
    book.pairs(sheet, top, "Data and its quality", report.quality)
    sheet.freeze_panes(1, 1)


__all__ = ["MOST_BARS", "MOST_TRADES", "write_workbook"]
