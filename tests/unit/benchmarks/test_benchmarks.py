"""E9: a stored baseline of ratios, and a check that fails when one regressed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks.__main__ as command
from benchmarks import resampling, rivals, sections
from benchmarks.markets import market
from benchmarks.measure import MOST, Row, difference, measure, wants_more
from benchmarks.sweeps import grid
from core.errors import UserError


def row(what: str, ratio: float) -> Row:
    return Row("one run, 10 bars", what, 0.5, ratio)


def test_a_measurement_is_the_median_and_compares_final_values() -> None:
    calls: list[str] = []

    def run(name: str, value: float) -> Any:
        return lambda: calls.append(name) or value

    runs = {"base": run("base", 100.0), "same": run("same", 100.0 + 1e-9), "other": run("other", 101.0)}
    rows = measure("g", "base", runs, repeat=3, warm=calls.append)
    assert calls == ["base", "same", "other", *["base", "same", "other"] * MOST], "what is quick is repeated"
    assert [each.difference for each in rows] == ["same", "same", "+1.0000%"]
    assert rows[0].ratio == 1.0
    assert [each.key for each in rows] == ["g: base", "g: same", "g: other"]


@pytest.mark.parametrize(
    ("taken", "more"),
    [
        ([], True),
        ([0.01] * 5, True),
        ([0.01] * MOST, False),
        ([0.3] * 2, True),
        ([0.3] * 3, False),
        ([2.5], False),
    ],
)
def test_a_run_is_repeated_by_how_long_it_takes(taken: list[float], more: bool) -> None:
    assert wants_more(taken, 3) is more


def test_what_cannot_be_warmed_up_is_not_run_and_says_why() -> None:
    def warm(name: str) -> None:
        if name == "other":
            raise UserError("not on this machine")

    base, other = measure("g", "base", {"base": lambda: 1.0, "other": lambda: 1 / 0}, repeat=2, warm=warm)
    assert (base.note, other.note, other.value) == ("", "failed: not on this machine", None)
    assert math.isnan(other.ratio)


def test_no_difference_where_there_is_no_value() -> None:
    assert difference(None, 1.0) == ""


@pytest.mark.parametrize(("now", "fallen"), [(100.0, False), (71.0, False), (69.0, True), (math.nan, False)])
def test_a_ratio_that_fell_too_far_is_a_regression(now: float, fallen: bool) -> None:
    stored = {"one run, 10 bars: lean": 100.0}
    found = command.regressions([row("lean", now), row("new", 1.0)], stored, 30.0)
    assert bool(found) is fallen


def test_the_command_stores_ratios_and_fails_when_they_regress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    file = tmp_path / "baseline.json"
    monkeypatch.setattr(command, "BASELINE_FILE", file)
    ratio = 50.0
    monkeypatch.setattr(sections, "one_run", lambda bars, repeat: [row("stock", 1.0), row("lean", ratio)])

    def run(*options: str) -> int:
        return command.main(command.parser().parse_args(["--quick", "--only", "run", *options]))

    assert run("--store") == 0
    assert json.loads(file.read_text())["ratios"] == {"one run, 10 bars: lean": 50.0}
    assert run("--check", "20") == 0
    ratio = 30.0
    assert run("--check", "20") == 1
    assert "regression: one run, 10 bars: lean" in capsys.readouterr().out
    assert run("--check", "20", "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["regressions"]) == 1


def test_the_stored_baseline_is_about_what_is_measured() -> None:
    ratios = command.stored_ratios()
    assert all(ratio > 0 for ratio in ratios.values())
    assert any(key.startswith("one run, ") for key in ratios)


def test_stored_scans_and_trials_beat_the_baseline_by_half() -> None:
    """E10: what was last measured and stored; the clock of this run has no part in it."""
    ratios = command.stored_ratios()
    loops = [ratio for key, ratio in ratios.items() if key.startswith(("scan of ", "loop of "))]
    assert len(loops) >= 2
    assert min(loops) >= 1.5


def test_one_run_gives_stocks_answer_on_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "measured", lambda *arguments: None)
    rows = sections.one_run(200, 1)
    ours = [each for each in rows if "RunResult" in each.what]
    assert len(ours) == 3
    assert {each.difference for each in ours} == {"same"}
    assert sum("not installed" in each.note for each in rows) == len(rivals.MODULES)


def test_a_rival_that_is_not_installed_is_none() -> None:
    assert rivals.measured("no_such_backtester", 100, 1) is None


@pytest.mark.parametrize("combinations", [1, 10, 200, 10_000])
def test_a_grid_has_as_many_distinct_pairs_as_asked_for(combinations: int) -> None:
    pairs = grid(combinations)
    assert len(set(pairs)) == combinations
    assert all(fast < slow for fast, slow in pairs)


def test_the_200_of_the_sweep_are_a_whole_rectangle() -> None:
    """`optstrategy` runs every fast period with every slow one."""
    pairs = grid(200)
    assert len({fast for fast, _ in pairs}) * len({slow for _, slow in pairs}) == 200


def test_the_market_is_the_same_every_time() -> None:
    assert market(50).equals(market(50))
    assert not market(50).equals(market(50, seed=2))


def test_numpys_monte_carlo_measures_what_ours_does() -> None:
    """R6: mean Sharpe ratios of other draws of the same returns."""
    returns = np.random.default_rng(0).normal(0.001, 0.01, 120)
    theirs = resampling.in_numpy(returns, 3_000)
    sampling = 4 * math.sqrt(2 * 252 / 120 / 3_000)  # the deviation of an annual ratio of 120 bars, two means
    assert resampling.ours(returns, 3_000, "iid") == pytest.approx(theirs, abs=sampling)


def test_the_paths_are_timed_against_numpy_by_every_method() -> None:
    base, *rest = resampling.paths(20, 30, 1)
    assert base.what == resampling.BASELINE
    assert len(rest) == 4
    assert all(each.seconds > 0 and each.ratio > 0 and each.difference == "" for each in rest)
