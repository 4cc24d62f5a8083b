"""A run's report on paper: A4, vector charts, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Table,
    TableStyle,
)

from reports import pictures
from reports.figures import CARDS, MISSING
from reports.grid import Grid
from reports.pdf_drawing import BOLD, SANS, SMALL, colour, drawing, heat, register_fonts
from reports.plots import Plot

if TYPE_CHECKING:
    from reports.document import Report

MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN
TRADES_SHOWN = 200
"""Rows of the table of trades: some four pages."""
SEVERITIES = {"serious": "loss", "warning": "warn", "note": "muted"}
LONGEST_TEXT = 600
"""Characters of a cell: a parameter may be a whole table, and a row has to fit a page."""


def write_pdf(report: Report, path: Path, *, trades_shown: int = TRADES_SHOWN) -> None:
    """Write the report as a PDF of three pages or more. Raises OSError when it cannot be written.

    trades_shown: rows of the table of trades, newest first.
    """
    register_fonts()
    document = BaseDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN + 6 * mm,
        bottomMargin=MARGIN,
        title=report.title,
        author="Tradewright",
        subject=f"{report.kind}, {report.facts[0]}",
    )
    frame = Frame(
        MARGIN, MARGIN, WIDTH, A4[1] - 2 * MARGIN - 6 * mm, leftPadding=0, rightPadding=0, id="whole"
    )
    document.addPageTemplates(PageTemplate(id="page", frames=[frame]))
    document.build(list(_story(report, trades_shown)), canvasmaker=_canvas(report))


def _canvas(report: Report) -> Callable[..., Canvas]:
    """A canvas that knows how many pages there are when it draws their numbers."""
    left, right = report.title, f"{report.kind}, {report.facts[0]}"

    class Numbered(Canvas):
        """Keeps the pages back until their number is known."""

        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **given)
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  # reportlab's name
            """Keep the page."""
            self._kept.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]  # as reportlab's own showPage does

        def save(self) -> None:
            """Draw header and number on every page, and write them."""
            for number, page in enumerate(self._kept, 1):
                self.__dict__.update(page)
                _edges(self, left, right, f"Page {number} of {len(self._kept)}")
                super().showPage()
            super().save()

    return Numbered


def _edges(canvas: Canvas, left: str, right: str, number: str) -> None:
    top, bottom = A4[1] - MARGIN + 1 * mm, MARGIN - 6 * mm
    canvas.setFont(SANS, SMALL)
    canvas.setFillColor(colour("muted"))
    canvas.drawString(MARGIN, top, left if len(left) < 70 else f"{left[:69]}…")
    canvas.drawRightString(A4[0] - MARGIN, top, right)
    canvas.drawString(
        MARGIN, bottom, "Times are UTC. Past results, simulated or not, say little about future ones."
    )
    canvas.drawRightString(A4[0] - MARGIN, bottom, number)
    canvas.setStrokeColor(colour("line"))
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, top - 2 * mm, A4[0] - MARGIN, top - 2 * mm)


def _story(report: Report, trades_shown: int) -> Iterator[Flowable]:
    yield from _first(report)
    yield from _charts(report)
    yield PageBreak()
    yield from _figures(report)
    yield from _breakdowns(report)
    yield PageBreak()
    yield from _trades(report, trades_shown)
    yield from _setup(report)


def _first(report: Report) -> Iterator[Flowable]:
    yield _text(report.title, size=18, bold=True, after=3)
    yield _text(f"{report.kind}. {report.promise}".strip(), style="muted")
    yield _text(" · ".join(report.facts), style="muted", after=8)
    yield _heading("Diagnosis")
    if not report.findings:
        yield _text("No check found anything.", style="muted")
    for finding in report.findings:
        mark = f'<font color="{colour(SEVERITIES[finding.severity]).hexval().replace("0x", "#")}"><b>{finding.severity}</b></font>'
        yield KeepTogether(
            [
                _markup(f"{mark}&nbsp;&nbsp;<b>{escape(finding.title)}</b>", size=9, before=3),
                _text(f"{finding.evidence} {finding.advice}", size=8, style="muted", after=2),
            ]
        )
    if report.remarks:
        yield _heading("Worth knowing")
        for remark in report.remarks:
            yield _markup(f"•&nbsp;&nbsp;{escape(remark[:LONGEST_TEXT])}", size=8.5, after=1)
    yield _heading("Key figures")
    yield _cards(report)


def _cards(report: Report) -> Table:
    cells = []
    for key in CARDS:
        row = report.row(key)
        between = f"{report.level}: {row.between}" if row.between else " "
        cells.append(
            [
                _text(row.figure.label, size=8, style="muted"),
                _text(row.text, size=15, bold=True, after=1),
                _text(between, size=7, style="muted"),
            ]
        )
    half = len(cells) // 2
    table = Table([cells[:half], cells[half:]], colWidths=[WIDTH / half] * half)
    table.setStyle(
        TableStyle(
            [
                ("BOX", (0, 0), (-1, -1), 0.5, colour("line")),
                ("INNERGRID", (0, 0), (-1, -1), 0.5, colour("line")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _charts(report: Report) -> Iterator[Flowable]:
    half = (WIDTH / 2 - 6, 128.0)
    yield from _chart("Equity", pictures.account(report, (WIDTH, 190.0)))
    yield from _chart("Drawdown", pictures.underwater(report, (WIDTH, 110.0)))
    months: Flowable = _text("There are no bars to make months of.", style="muted")
    if len(report.months):
        widths = [WIDTH * 0.07, *[WIDTH * 0.0705] * 12, WIDTH * 0.084]
        months = _grid(report.months, widths, size=6.6, missing="", extra=heat(report.months))
    yield KeepTogether([_heading("Monthly returns"), months])
    pairs = (
        ("Distribution of returns", pictures.spread(report, half)),
        ("What could have been", pictures.paths(report, half)),
        ("Rolling Sharpe", pictures.rolling_sharpe(report, half)),
        ("Rolling volatility", pictures.rolling_volatility(report, half)),
    )
    for one, other in (pairs[:2], pairs[2:]):
        sides = [[_heading(title), drawing(plot) if plot else _missing()] for title, plot in (one, other)]
        table = Table([sides], colWidths=[WIDTH / 2] * 2)
        table.setStyle(
            TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        )
        yield table


def _chart(title: str, plot: Plot) -> Iterator[Flowable]:
    yield KeepTogether([_heading(title), drawing(plot)])


def _missing() -> Paragraph:
    return _text("The run is too short for this.", style="muted")


def _figures(report: Report) -> Iterator[Flowable]:
    yield _heading("All figures")
    said = f"Between: {report.level} interval, by a stationary block bootstrap. " if report.level else ""
    yield _text(f"{said}A dash is a figure that is not defined for this run.", style="muted", after=3)
    lines = [["Figure", "Value", "Between", "What it is"]]
    groups = []
    for group, rows in groupby(report.rows, lambda row: row.group):
        groups.append(len(lines))
        lines.append([group, "", "", ""])
        lines += [[row.figure.label, row.text, row.between, row.figure.meaning] for row in rows]
    marks: list[Any] = [("FONTNAME", (0, line), (0, line), BOLD) for line in groups]
    marks.append(("LEFTPADDING", (3, 0), (3, -1), 12))
    widths = [WIDTH * share for share in (0.27, 0.12, 0.19, 0.42)]
    yield _table(lines, widths, texts=(0, 3), size=7, extra=marks)


def _breakdowns(report: Report) -> Iterator[Flowable]:
    parts = (
        ("Deepest drawdowns", report.drawdowns, "The account never fell below an earlier high."),
        ("By what ended the trades", report.exit_reasons, "No trade was closed."),
        ("By the state of the market", report.regimes, "There is no market to judge by."),
        ("What could have been (Monte Carlo)", report.outcomes, "The run is too short for this."),
        *((("What happened beside the fills", report.events, ""),) if len(report.events) else ()),
    )
    for title, grid, nothing in parts:
        rest = WIDTH * 0.78 / (len(grid.columns) - 1)
        widths = [WIDTH * 0.22, *[rest] * (len(grid.columns) - 1)]
        body = _grid(grid, widths, size=7) if len(grid) else _text(nothing, style="muted")
        yield KeepTogether([_heading(title), body])
    found = report.monte_carlo
    if found is not None:
        yield _text(report.outcomes_said, size=7.5, style="muted", before=2)


def _trades(report: Report, shown: int) -> Iterator[Flowable]:
    grid = report.trades
    yield _heading("Trades")
    if not len(grid):
        yield _text("No trade was closed.", style="muted")
        return
    some = min(len(grid), shown)
    told = (
        "Newest first."
        if some == len(grid)
        else f"The newest {some:,} of {len(grid):,}; all are in trades.csv."
    )
    yield _text(f"{told} Result is after commission.", style="muted", after=3)
    shares = (0.07, 0.045, 0.088, 0.088, 0.07, 0.08, 0.08, 0.062, 0.062, 0.062, 0.085, 0.085, 0.038, 0.085)
    yield _grid(Grid(grid.columns, grid.rows[:some]), [WIDTH * share for share in shares], size=5.6)


def _setup(report: Report) -> Iterator[Flowable]:
    for title, rows in (
        ("Strategy and parameters", report.parameters),
        ("Money and costs", report.costs),
        ("Data and its quality", report.quality),
    ):
        lines = [[_text(label, size=8), _text(text, size=8)] for label, text in rows]
        body = _table(lines, [WIDTH * 0.35, WIDTH * 0.65], texts=(0, 1), size=8, head=False)
        yield KeepTogether([_heading(title), body])


def _grid(
    grid: Grid, widths: Sequence[float], *, size: float, missing: str = MISSING, extra: Sequence[Any] = ()
) -> Table:
    texts = tuple(place for place, column in enumerate(grid.columns) if column.kind == "text" and place != 0)
    head = [column.label for column in grid.columns]
    rows = ([missing if text == MISSING else text for text in row] for row in grid.texts())
    return _table([head, *rows], widths, texts=(0, *texts), size=size, extra=extra)


def _table(
    lines: Iterable[Sequence[Any]],
    widths: Sequence[float],
    *,
    texts: Sequence[int],
    size: float,
    extra: Sequence[Any] = (),
    head: bool = True,
) -> Table:
    """Rows of text; `texts`: the columns that stand to the left."""
    table = Table([list(map(_cut, line)) for line in lines], colWidths=list(widths), repeatRows=int(head))
    style: list[Any] = [
        ("FONT", (0, 0), (-1, -1), SANS, size),
        ("TEXTCOLOR", (0, 0), (-1, -1), colour("ink")),
        ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, colour("line")),
        ("TOPPADDING", (0, 0), (-1, -1), 1.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.0),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        *[("ALIGN", (place, 0), (place, -1), "LEFT") for place in texts],
    ]
    if head:
        style += [
            ("TEXTCOLOR", (0, 0), (-1, 0), colour("muted")),
            ("BACKGROUND", (0, 0), (-1, 0), colour("panel")),
        ]
    table.setStyle(TableStyle([*style, *extra]))
    return table


def _cut(cell: Any) -> Any:
    return cell[:60] if isinstance(cell, str) else cell


def _heading(text: str) -> Paragraph:
    return _text(text, size=11, bold=True, before=9, after=3)


def _text(
    text: str,
    *,
    size: float = 8.5,
    style: str = "ink",
    bold: bool = False,
    before: float = 0,
    after: float = 0,
) -> Paragraph:
    return _markup(escape(text[:LONGEST_TEXT]), size=size, style=style, bold=bold, before=before, after=after)


def _markup(
    text: str, *, size: float, style: str = "ink", bold: bool = False, before: float = 0, after: float = 0
) -> Paragraph:
    """A paragraph of reportlab's own markup."""
    return Paragraph(
        text,
        ParagraphStyle(
            "text",
            fontName=BOLD if bold else SANS,
            fontSize=size,
            leading=size * 1.32,
            textColor=colour(style),
            spaceBefore=before,
            spaceAfter=after,
            splitLongWords=True,
        ),
    )


__all__ = ["TRADES_SHOWN", "write_pdf"]
