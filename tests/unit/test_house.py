"""What the linters hold, held in the test run as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduling import LONG_FILES, WHOLE_FILES, longest_first, unit_of

ROOT = Path(__file__).parents[2]
LIGHT = [
    "core",
    "store",
    "feeds",
    "brokers",
    "analyzers",
    "strategies",
    "reports",
    "engine",
    "live",
    "optimize",
]
HEAVY = [
    "pandas",
    "numpy",
    "backtrader",
    "sqlalchemy",
    "matplotlib",
    "pydantic",
    "ccxt",
    "ib_async",
    "yfinance",
    "alembic",
]
COMMANDS = [
    "live.run",
    "live.supervisor",
    "live.doctor",
    "engine.backtest",
    "engine.parity",
    "engine.explain",
    "engine.sweep",
    "engine.scenarios",
    "engine.perturbed",
    "reports.tearsheet",
    "reports.compare",
    "optimize.jobs",
    "optimize.worker",
    "strategies.new",
    "brokers.simulation",
    "brokers.simulators",
    "core.config",
    "store.migrate",
    "benchmarks",
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_no_broad_except() -> None:
    """P20: the allow-list is empty."""
    done = run("-m", "ruff", "check", "--select", "BLE001", "--ignore-noqa", *LIGHT)
    assert done.returncode == 0, done.stdout


def test_import_layers() -> None:
    """T12"""
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", LIGHT)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    done = run("-c", f"import sys, {package}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))")
    assert done.stdout.split() == [], done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_loads_nothing_heavy(command: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--help']\n"
        "try:\n"
        f"    runpy.run_module({command!r}, run_name='__main__')\n"
        "finally:\n"
        f"    print('HEAVY', *sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "example:\n" in done.stdout
    assert f"python -m {command}" in done.stdout
    assert "--json" in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY"), done.stdout.rstrip().rpartition("\n")[2]


def test_files_that_are_run_first_are_there() -> None:
    for file in (*LONG_FILES, *WHOLE_FILES):
        assert (ROOT / file).is_file(), file


def test_long_files_are_handed_out_first_and_by_their_parameters() -> None:
    first, short = LONG_FILES[0], "tests/unit/test_house.py"
    tests = [f"{short}::test_a[x]", f"{first}::test_b[x]", f"{short}::test_b", f"{first}::test_c[y]"]
    assert longest_first(tests) == [1, 3, 0, 2]
    assert len(set(map(unit_of, tests))) == 3
    assert unit_of(f"{first}::test_other[x]") == unit_of(tests[1])
