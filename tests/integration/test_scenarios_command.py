"""`python -m engine.scenarios` and `python -m engine.perturbed`, as you would run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

FILE = """
scenarios:
  - name: flash crash
    shocks:
      - gap: {size: -0.2, at: 0.5}
  - name: too slow to run
    params: {slow: 5000}
"""
SHORT = ("--end", "2005-12-31")


def test_named_stresses_leave_a_table_behind(forked: Any, tmp_path: Path) -> None:
    """E6"""
    done = forked(tmp_path, "momentum", *SHORT, module="engine.scenarios")
    assert done.code == 0, done.stderr
    assert done.lines[0].startswith("SCENARIOS momentum(")
    page = tmp_path / done.lines[-1]
    table = pd.read_csv(page.parent / "scenarios.csv", index_col=0)
    assert table.index[0] == "as it was"
    assert {"spread x 5", "volatility x 3", "the worst 20 bars once more"} <= set(table.index)
    assert table.loc["spread x 5", "end_value_delta"] < 0
    text = page.read_text()
    assert all(name in text for name in table.index)
    assert f"{table.loc['spread x 5', 'total_return']:.2%}" in text


def test_a_file_of_scenarios_as_json(forked: Any, tmp_path: Path) -> None:
    """E7: what cannot run is said beside what can."""
    (tmp_path / "mine.yaml").write_text(FILE)
    done = forked(tmp_path, "momentum", *SHORT, "--file", "mine.yaml", "--json", module="engine.scenarios")
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    crash, slow = said["scenarios"]
    assert crash["changes"]["end_value"] == crash["figures"]["end_value"] - said["figures"]["end_value"]
    assert slow["figures"]["end_value"] is None
    assert "slow=5000 is out of range" in slow["failure"]
    assert (
        json.loads((tmp_path / said["folder"] / "scenarios.json").read_text())["scenarios"]
        == said["scenarios"]
    )


def test_mistakes_are_one_line(forked: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FILE.replace("gap", "gab"))
    for module, given, said in (
        ("engine.scenarios", ("--file", "mine.yaml"), "did you mean gap?"),
        ("engine.scenarios", ("--file", "none.yaml"), "cannot read none.yaml"),
        ("engine.scenarios", ("--seed", "-1"), "the seed is -1"),
        ("engine.perturbed", ("--seed", "-1"), "the seed is -1"),
        ("engine.perturbed", ("--runs", "0"), "give one run or more"),
        ("engine.perturbed", ("--what", "luck"), "invalid choice: 'luck'"),
    ):
        done = forked(tmp_path, "momentum", *given, module=module)
        assert done.code == 2, done.stdout
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_perturbed_runs_are_a_distribution(forked: Any, tmp_path: Path) -> None:
    """E5: with prices that differ and the strategy run anew."""
    given = ("momentum", *SHORT, "--runs", "12", "--json")
    once = json.loads(forked(tmp_path, *given, module="engine.perturbed").stdout)
    again = json.loads(forked(tmp_path, *given, module="engine.perturbed").stdout)
    assert once == again
    assert once["runs"] == 12
    returned = next(each for each in once["figures"] if each["figure"] == "total_return")
    assert returned["p5"] < returned["p50"] < returned["p95"]
