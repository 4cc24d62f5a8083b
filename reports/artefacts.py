"""The files of one run, each written whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from analyzers.metrics import drawdowns
from core.errors import UserError
from core.formats import FORMATS, parse_formats
from core.jsontext import to_json
from core.redact import redact
from reports.described import describe
from reports.document import Report, make_report
from reports.html import TRADES_SHOWN, page_of
from reports.saved import CONFIG, EQUITY, PRICES, RESULT, price_table

if TYPE_CHECKING:
    from core.config import ReportSettings
    from core.results import RunResult

FILES: Mapping[str, str] = {
    "html": "tearsheet.html",
    "pdf": "report.pdf",
    "xlsx": "report.xlsx",
    "json": RESULT,
}


class Log(Protocol):
    """The part of a structured logger that is used here."""

    def info(self, event: str, **fields: Any) -> Any:
        """Note one event with its fields."""
        ...


def write_run(
    result: RunResult,
    out: Path,
    *,
    settings: ReportSettings | None = None,
    log: Log | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write the run's files into the folder `out`, made if missing; returns the path of the report.

    result.json, trades.csv, orders.csv, fills.csv, equity.parquet (equity, cash, drawdown), prices.parquet (the
    bars of all symbols) and config.json (`result.meta["config"]`), which `reports.saved.read_run` reads again, and
    tearsheet.html, report.pdf, report.xlsx as `settings.formats` asks for (the page, without settings). Times are UTC,
    undefined figures null, secrets hidden. Each file replaces the one of its name in one step. tables: more of them, by
    the name of the file. Raises UserError when `out` cannot be written.
    """
    started = time.perf_counter()
    report = make_report(result, title=None if settings is None else settings.title)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / CONFIG, to_json(redact(result.meta.get("config") or {}), indent=2) + "\n")
        whole = {name: getattr(result, name) for name in ("trades", "orders", "fills")}
        for name, table in {**whole, **(tables or {})}.items():
            write_text(out / f"{name}.csv", _csv(table))
        write(out / EQUITY, _equity_frame(result).to_parquet)
        write(out / PRICES, price_table(result.prices).to_parquet)
    formats = {*parse_formats(settings.formats if settings else "html"), "json"}
    shown = settings.trades_shown if settings else TRADES_SHOWN
    files = write_report(report, out, [name for name in FORMATS if name in formats], trades_shown=shown)
    page = next(iter(files.values()))
    if log is not None:
        log.info("report.written", path=str(page), seconds=round(time.perf_counter() - started, 3))
    return page


def write_report(
    report: Report, out: Path, formats: Sequence[str], *, trades_shown: int = TRADES_SHOWN
) -> dict[str, Path]:
    """Write a report into the folder `out`, made if missing; returns the paths by format, in their order.

    formats: of `core.formats.FORMATS`. trades_shown: rows of the tables of trades in page and PDF. Raises UserError
    when `out` cannot be written.
    """
    # What a format needs is loaded with it: a page does not wait for the PDF's libraries.
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        files = {name: out / FILES[name] for name in formats}
        for name, path in files.items():
            if name == "html":
                write_text(path, page_of(report, trades_shown=trades_shown))
            elif name == "json":
                write_text(path, to_json(describe(report), indent=1) + "\n")
            elif name == "pdf":
                from reports.pdf import write_pdf

                write(path, lambda temporary: write_pdf(report, temporary, trades_shown=trades_shown))
            else:
                from reports.excel import write_workbook

                write(path, lambda temporary: write_workbook(report, temporary))
    return files


def _equity_frame(result: RunResult) -> pd.DataFrame:
    equity = result.equity.to_numpy(dtype=np.float64)
    return pd.DataFrame(
        {"equity": equity, "cash": result.cash.to_numpy(dtype=np.float64), "drawdown": drawdowns(equity)},
        index=result.equity.index.rename("time"),
    )


def _csv(frame: pd.DataFrame) -> str:
    """Comma-separated text; times as ISO 8601, numbers as the shortest text that reads back the same."""
    text = frame.copy()
    for name in text.columns:
        if isinstance(text[name].dtype, pd.DatetimeTZDtype) or text[name].dtype.kind == "M":
            text[name] = [None if pd.isna(moment) else moment.isoformat() for moment in text[name]]
    return text.to_csv(index=False, lineterminator="\n")


def write_text(path: Path, text: str) -> None:
    """`write` of text in UTF-8."""
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explained(out: Path) -> Iterator[None]:
    """Turns an OSError into a UserError about the folder `out`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to {out}: {error.strerror or error}",
            hint="name another folder with --out, or change its permissions",
            path=str(out),
        ) from error
