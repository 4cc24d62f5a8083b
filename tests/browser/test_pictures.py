"""The pictures of the README, taken of a run over the sample market: `PICTURES=docs pytest tests/browser/test_pictures.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from core.config import ReportSettings
from core.results import RunResult
from engine import backtest
from reports import write_run
from reports.comparison import compare, comparison_page

COLOURED = 2_000
"""Pixels of charts and marks: a page of text alone has fewer."""


@pytest.fixture(scope="module")
def sample() -> RunResult:
    """What the README runs first."""
    return backtest("momentum", "sample:goog", engine="cerebro")


@pytest.fixture(scope="module")
def folder(sample: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run's folder, with every format."""
    return write_run(sample, tmp_path_factory.mktemp("sample"), settings=ReportSettings(formats="all")).parent


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go."""
    return Path(os.environ.get("PICTURES") or tmp_path)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network."""
    context = browser.new_context(viewport={"width": 1280, "height": 1010}, color_scheme="light")
    context.set_offline(True)
    yield context.new_page()
    context.close()


def coloured(path: Path) -> int:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.ptp(pixels, axis=2) > 60).sum())


def test_the_tearsheet(page: Page, folder: Path, pictures: Path):
    """R11"""
    page.goto((folder / "tearsheet.html").as_uri())
    page.wait_for_function("window.tearsheet && tearsheet.panes.length === 3")
    page.wait_for_function("tearsheet.panes.every(pane => pane.box.querySelectorAll('canvas').length > 0)")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.screenshot(path=pictures / "tearsheet.png")
    assert coloured(pictures / "tearsheet.png") > COLOURED


def test_the_comparison(page: Page, sample: RunResult, pictures: Path, tmp_path: Path):
    """R7"""
    others = {
        f"fast={fast}": backtest("momentum", "sample:goog", {"fast": fast}, engine="cerebro")
        for fast in (5, 20)
    }
    text = comparison_page(compare({"fast=10": sample, **others}))
    (tmp_path / "comparison.html").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "comparison.html").as_uri())
    page.screenshot(path=pictures / "comparison.png")
    assert coloured(pictures / "comparison.png") > COLOURED


def test_the_first_pages_of_the_pdf(folder: Path, pictures: Path):
    """R8"""
    document = pypdfium2.PdfDocument(folder / "report.pdf")
    sides = [document[number].render(scale=1.25).to_pil() for number in range(2)]
    width, height = sides[0].size
    both = Image.new("RGB", (2 * width, height), "white")
    for number, side in enumerate(sides):
        both.paste(side, (number * width, 0))
    both.save(pictures / "report-pdf.png", optimize=True)
    assert coloured(pictures / "report-pdf.png") > COLOURED
