"""Runs beside each other: ranking, notes, page, and the two commands that read runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from core.errors import ConfigError, UnknownNameError, UserError
from core.results import RunResult
from reports import compare as compare_command
from reports import tearsheet as tearsheet_command
from reports import write_run
from reports.compare import names_of
from reports.comparison import compare, comparison_page, plain, verdict
from reports.figures import FIGURES
from tests.unit.reports.conftest import make
from tests.unit.reports.test_html import Page, assert_points_nowhere

pytestmark = pytest.mark.usefixtures("without_quantstats")


def run_of(seed: int, mean: float, bars: int = 300) -> RunResult:
    return make(list(1000 * np.cumprod(1 + np.random.default_rng(seed).normal(mean, 0.01, bars))))


@pytest.fixture(scope="module")
def runs() -> dict[str, RunResult]:
    return {"poor": run_of(1, -0.001), "good": run_of(2, 0.003), "fair": run_of(3, 0.001)}


@pytest.mark.parametrize("rank", ["sharpe", "max_drawdown", "total_return"])
def test_the_best_comes_first(runs: dict[str, RunResult], rank: str):
    """R7"""
    found = compare(runs, rank=rank)
    values = [report.figures[rank] for report in found.reports.values()]
    assert values == sorted(values, reverse=rank != "max_drawdown")
    assert found.keys[0] == rank
    assert [(one, other) for one, other, _ in found.pairs] == [
        (next(iter(found.reports)), name) for name in list(found.reports)[1:]
    ]


def test_the_table_has_the_figures_and_intervals_of_each_report(runs: dict[str, RunResult]):
    """R7"""
    found = compare(runs)
    rows = dict(found.rows())
    for place, report in enumerate(found.reports.values()):
        assert rows["Sharpe"][place].text == FIGURES["sharpe"].text(report.figures)
        interval = report.intervals["sharpe"]
        assert (rows["Sharpe"][place].low, rows["Sharpe"][place].high) == (interval.low, interval.high)


def test_a_run_without_the_figure_comes_last(runs: dict[str, RunResult]):
    idle = make([1000.0] * 40)
    assert list(compare({"idle": idle, **runs}).reports)[-1] == "idle"
    assert list(compare({"idle": make([]), **runs}).reports)[-1] == "idle"


def test_periods_that_do_not_overlap_are_said(runs: dict[str, RunResult]):
    late = run_of(4, 0.0)
    index = late.equity.index + pd.Timedelta(days=4000)
    late = replace(late, equity=late.equity.set_axis(index), prices={})
    found = compare({"late": late, "good": runs["good"]})
    assert any("do not overlap" in note for note in found.notes)
    assert math.isnan(found.pairs[0][2].difference)
    assert "too few" in verdict(found.pairs[0][2])


def test_periods_that_differ_and_other_markets_are_said(runs: dict[str, RunResult]):
    short = run_of(5, 0.0, bars=200)
    short = replace(short, data=replace(short.data, symbols=("BBB",)))
    notes = compare({"short": short, "good": runs["good"]}).notes
    assert any("different periods" in note for note in notes)
    assert any("different markets" in note for note in notes)
    assert any("looks better than it is" in note for note in compare(runs).notes)


def test_what_cannot_be_compared_is_refused(runs: dict[str, RunResult]):
    with pytest.raises(UnknownNameError, match="did you mean sharpe"):
        compare(runs, rank="sharp")
    with pytest.raises(UserError, match="one run alone"):
        compare({"good": runs["good"]})


def test_the_page_points_nowhere_and_escapes_names(runs: dict[str, RunResult]):
    """R7, R11"""
    evil = "<script>alert(1)</script>"
    text = comparison_page(compare({evil: runs["poor"], "good": runs["good"]}))
    page = Page(text)
    assert_points_nowhere(page)
    assert evil not in text
    assert evil in page.text
    assert text.count("<polyline") > 10


def test_the_verdict_says_whether_it_is_chance(runs: dict[str, RunResult]):
    ((_, _, test),) = compare({"good": runs["good"], "poor": runs["poor"]}).pairs
    assert test.p_value < 0.05
    assert "more than chance" in verdict(test)
    assert "not more than chance" in verdict(replace(test, p_value=0.2))


def test_plain_is_json_with_everything(runs: dict[str, RunResult]):
    found = plain(compare(runs))
    assert found["ranking"] == ["good", "fair", "poor"]
    assert set(found["runs"]) == set(runs)
    assert found["pairs"][0]["p_value"] <= 1
    assert found["runs"]["good"]["intervals"]["sharpe"]["level"] == 0.95


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/a/one", "/a/two"], ["one", "two"]),
        (["/a/x", "/b/x"], ["a/x", "b/x"]),
        (["/a/x", "/a/x"], ["x (1)", "x (2)"]),
    ],
)
def test_names_are_short_and_differ(folders: list[str], names: list[str]):
    assert names_of([Path(each) for each in folders]) == names


class TestCommands:
    def test_compare_prints_a_table_writes_a_page_and_says_where(self, runs, tmp_path: Path, capsys):
        """R7"""
        for name, run in runs.items():
            write_run(run, tmp_path / name)
        folders = [str(tmp_path / name) for name in runs]
        assert compare_command.main(compare_command.build_parser().parse_args(folders)) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == str(tmp_path / "comparison.html")
        assert any("1. good" in line for line in lines)
        assert (tmp_path / "comparison.html").read_text().startswith("<!DOCTYPE html>")
        arguments = [*folders, "--json", "--rank", "calmar", "--out", str(tmp_path / "out")]
        compare_command.main(compare_command.build_parser().parse_args(arguments))
        found = json.loads(capsys.readouterr().out)
        assert (found["rank"], found["page"]) == ("calmar", str(tmp_path / "out" / "comparison.html"))

    def test_compare_of_one_run_is_refused(self, tmp_path: Path):
        with pytest.raises(UserError, match="one run alone"):
            compare_command.main(compare_command.build_parser().parse_args([str(tmp_path)]))

    def test_tearsheet_writes_what_is_asked_for(self, run: RunResult, tmp_path: Path, capsys):
        write_run(run, tmp_path / "run")
        parser = tearsheet_command.build_parser()
        arguments = [str(tmp_path / "run"), "--format", "pdf,xlsx", "--out", str(tmp_path / "out")]
        tearsheet_command.main(parser.parse_args(arguments))
        paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
        assert [path.name for path in paths] == ["report.pdf", "report.xlsx"]
        assert paths[0].read_bytes().startswith(b"%PDF")
        assert openpyxl.load_workbook(paths[1]).sheetnames[0] == "Summary"

    def test_tearsheet_takes_a_benchmark_and_a_title(self, run: RunResult, tmp_path: Path, capsys):
        """B18"""
        write_run(run, tmp_path)
        prices = np.linspace(100, 150, 30)
        market = run.prices["AAA"].assign(open=prices, high=prices, low=prices, close=prices)
        market.rename_axis("date").to_csv(tmp_path / "index.csv")
        arguments = [
            str(tmp_path),
            "--benchmark",
            f"csv:{tmp_path / 'index.csv'}",
            "--title",
            "Ours",
            "--json",
        ]
        tearsheet_command.main(tearsheet_command.build_parser().parse_args(arguments))
        found = json.loads(capsys.readouterr().out)
        assert found["title"] == "Ours"
        assert found["figures"]["benchmark_return"] == pytest.approx(0.5)
        assert found["figures"]["total_return"] == pytest.approx(run.metrics["total_return"])

    @pytest.mark.parametrize("arguments", [["--format", "docx"], ["--format", ","], ["--trades", "-1"]])
    def test_tearsheet_refuses_what_makes_no_sense(self, tmp_path: Path, arguments: list[str]):
        with pytest.raises((UnknownNameError, ConfigError)):
            tearsheet_command.main(tearsheet_command.build_parser().parse_args([str(tmp_path), *arguments]))

    def test_a_report_of_a_report_is_the_same(self, run: RunResult, tmp_path: Path):
        write_run(run, tmp_path)
        before = (tmp_path / "result.json").read_bytes()
        arguments = [str(tmp_path), "--format", "json"]
        tearsheet_command.main(tearsheet_command.build_parser().parse_args(arguments))
        assert (tmp_path / "result.json").read_bytes() == before
