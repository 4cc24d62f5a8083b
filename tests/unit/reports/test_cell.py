"""What a notebook shows for a run."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from core.results import RunResult
from reports.cell import SHOWN
from reports.document import make_report
from reports.figures import MISSING
from tests.unit.reports.test_html import Page, assert_points_nowhere


def test_a_run_shows_its_figures_and_its_account(run: RunResult):
    """B24"""
    text = run._repr_html_()
    assert text is not None
    report = make_report(run)
    words = Page(text).text
    for key in SHOWN:
        assert f"{report.row(key).figure.label} {report.row(key).text}" in words
    assert report.findings[0].title in words
    assert text.count("<polyline") > 3


def test_it_is_escaped_and_loads_nothing(make_run):
    """B24"""
    evil = "<img src=x onerror=alert(1)>"
    page = Page(make_run([1000.0, 1001.0], strategy=evil, notes=(evil,))._repr_html_())
    assert_points_nowhere(page)
    assert "script" not in page.tags
    assert evil in page.text


@pytest.mark.parametrize("equity", [[], [1000.0], [float("nan")] * 9])
def test_a_run_without_anything_shows_that(make_run, equity: list[float]):
    assert MISSING in make_run(equity)._repr_html_()


def test_a_run_that_was_pickled_shows_itself(run: RunResult):
    assert pickle.loads(pickle.dumps(run))._repr_html_() == run._repr_html_()


def test_without_a_renderer_a_run_is_its_text(run: RunResult, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RunResult, "renderer", None)
    assert run._repr_html_() is None


def test_whoever_makes_a_run_brings_the_renderer_and_nothing_heavy():
    code = (
        "import sys, engine.result\nfrom core.results import RunResult\n"
        "assert RunResult.renderer is not None\n"
        "assert not {'jinja2', 'matplotlib', 'reportlab', 'xlsxwriter'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
