"""B12: the scaffold writes a strategy of about thirty lines and a passing test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import StrategyError
from strategies.new import scaffold

ROOT = Path(__file__).parents[3]


def command(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=cwd or ROOT, timeout=120, check=False
    )


def test_it_writes_a_strategy_and_a_test_that_passes(tmp_path: Path) -> None:
    """B12"""
    done = command("-m", "strategies.new", "golden_cross", "--dir", str(tmp_path / "mine"), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    written = Path(answer["strategy"])
    assert answer["class"] == "GoldenCross"
    assert answer["next"] == f"python -m live.run {written}:GoldenCross"
    assert 25 <= len(written.read_text().splitlines()) <= 40
    checked = command("-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path))
    assert checked.returncode == 0, checked.stdout
    shaped = command(
        "-m", "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)
    )
    assert shaped.returncode == 0, shaped.stdout
    tested = command(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), answer["test"]
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 passed" in tested.stdout


def test_it_prints_the_next_command(tmp_path: Path) -> None:
    """B12"""
    done = command("-m", "strategies.new", "calm", "--dir", str(tmp_path))
    assert done.stdout.splitlines()[-1].endswith(f"python -m live.run {tmp_path}/calm.py:Calm")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("GoldenCross", "golden_cross"),
        ("golden-cross", "golden_cross"),
        ("class", "class_strategy"),
        ("2fast", "fast"),
        ("../evil", "evil"),
        ("json", "json_strategy"),
        ("", "my_strategy"),
    ],
)
def test_a_bad_name_is_refused_with_a_good_one(tmp_path: Path, name: str, fix: str) -> None:
    with pytest.raises(StrategyError) as caught:
        scaffold(name, tmp_path)
    assert caught.value.hint.endswith(f"such as {fix}")
    assert list(tmp_path.iterdir()) == []
    scaffold(fix, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("kept")
    with pytest.raises(StrategyError, match="exists already"):
        scaffold("mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]
    assert (tmp_path / "test_mine.py").read_text() == "kept"


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("-m", "strategies.new", "mine", "--dir", str(tmp_path / "file" / "deeper"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--dir" in done.stderr


def test_help_needs_no_backtrader() -> None:
    done = command("-X", "importtime", "-m", "strategies.new", "--help")
    assert done.returncode == 0
    assert "example:" in done.stdout
    assert not any(name in done.stderr for name in ("backtrader", "pandas", "numpy"))
