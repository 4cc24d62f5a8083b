"""The report on paper, rendered and read by another library."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pypdfium2
import pytest

from reports.document import Report, make_report
from reports.figures import MINUS
from reports.pdf import write_pdf

INK = 0.002
"""Part of a page that header and footer alone do not colour: they take about a thousandth."""


def opened(report: Report, folder: Path, **given: int) -> pypdfium2.PdfDocument:
    path = folder / "report.pdf"
    write_pdf(report, path, **given)
    return pypdfium2.PdfDocument(path)


def words(page: pypdfium2.PdfPage) -> str:
    return " ".join(page.get_textpage().get_text_bounded().split())


def ink(page: pypdfium2.PdfPage) -> float:
    pixels = page.render(scale=1).to_numpy()
    return float((pixels.min(axis=2) < 200).mean())


def coloured(page: pypdfium2.PdfPage) -> int:
    """Pixels that are clearly blue or red: those of the charts."""
    pixels = page.render(scale=1).to_numpy().astype(int)
    return int((np.ptp(pixels, axis=2) > 80).sum())


@pytest.fixture
def report(make_run) -> Report:
    """Two years of days with ups and downs."""
    walk = list(1000 * np.cumprod(1 + np.random.default_rng(8).normal(0.0005, 0.01, 500)))
    trades = [
        ("AAA", bar, bar + 2, 1.0, 50.0, 50.0 + gain, gain, gain, 0.0, "signal", 2)
        for bar, gain in zip(range(0, 450, 9), [1.0, -2.5] * 25, strict=True)
    ]
    return make_report(make_run(walk, trades=trades, notes=("10 % & <b>marks</b>",)))


def test_three_pages_or_more_none_of_them_blank_with_charts(report: Report, tmp_path: Path):
    """R8"""
    document = opened(report, tmp_path)
    assert len(document) >= 3
    for number, page in enumerate(document, 1):
        assert ink(page) > INK
        assert f"Page {number} of {len(document)}" in words(page)
        assert "momentum on AAA" in words(page)
    assert sum(coloured(page) for page in document) > 2_000


def test_the_first_page_has_the_diagnosis_before_the_key_figures(report: Report, tmp_path: Path):
    """B20"""
    text = words(opened(report, tmp_path)[0])
    assert report.findings
    for finding in report.findings:
        assert finding.title in text
    assert text.index("Diagnosis") < text.index("Key figures")
    assert "10 % & <b>marks</b>" in text


def test_every_figure_stands_there_as_it_is_shown_with_a_true_minus(report: Report, tmp_path: Path):
    text = " ".join(words(page) for page in opened(report, tmp_path))
    for row in report.rows:
        assert f"{row.figure.label} {row.text}" in text
        assert row.between in text
    assert MINUS in text
    assert "\ufffd" not in text


def test_trades_are_cut_and_it_says_so(report: Report, tmp_path: Path):
    text = " ".join(words(page) for page in opened(report, tmp_path, trades_shown=5))
    assert "The newest 5 of 50; all are in trades.csv" in text


def test_long_texts_and_tables_of_parameters_fit(make_run, tmp_path: Path):
    params = {f"parameter_{number}": "long " * 400 for number in range(60)}
    run = make_run([1000.0 + bar for bar in range(40)], params=params, notes=("word " * 900, "x" * 5000))
    assert len(opened(make_report(run), tmp_path)) > 3


@pytest.mark.parametrize(
    "equity", [[], [1000.0], [math.nan] * 5, [1000.0] * 40], ids=["none", "one", "not finite", "flat"]
)
def test_a_run_without_anything_still_has_three_pages(make_run, tmp_path: Path, equity: list[float]):
    document = opened(make_report(make_run(equity)), tmp_path)
    assert len(document) >= 3
    assert "No trade was closed" in " ".join(words(page) for page in document)


def test_nothing_in_it_is_an_address(report: Report, tmp_path: Path):
    path = tmp_path / "report.pdf"
    write_pdf(report, path)
    assert b"/URI" not in path.read_bytes()
