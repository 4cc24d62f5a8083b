"""B27 and the four ways to name a strategy."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import backtrader as bt
import pytest

from core.errors import StrategyError, UnknownNameError
from strategies import registry
from strategies.momentum import Momentum

SOURCE = "import backtrader as bt\n\nclass Mine(bt.Strategy):\n    params = (('fast', 5), ('label', 'x'))\n"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_names_and_help_do_not_import_backtrader() -> None:
    """A command's --help lists names within half a second."""
    code = "import sys, strategies, strategies.registry as r; print(r.names(), 'backtrader' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['level_based', 'momentum', 'range_bound'] False"


@pytest.mark.parametrize("ref", ["momentum", "strategies.momentum:Momentum", Momentum])
def test_one_class_by_any_reference(ref: str) -> None:
    assert registry.load(ref) is Momentum


def test_every_name_loads_and_refers_back() -> None:
    """S1"""
    for name in registry.names():
        assert registry.reference(registry.load(name)) == name


def test_a_file_gives_the_same_class_until_it_changes(mine: Path) -> None:
    first = registry.load(f"{mine}:Mine")
    assert registry.load(mine) is first
    assert registry.reference(first) == f"{mine.resolve()}:Mine"
    assert registry.load(registry.reference(first)) is first
    mine.write_text(SOURCE + "    extra = 1\n")
    os.utime(mine, ns=(1, 1))
    changed = registry.load(mine)
    assert changed is not first
    assert changed.extra == 1


def test_a_file_s_class_can_be_pickled_and_inspected(mine: Path) -> None:
    cls = registry.load(mine)
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert "class Mine" in inspect.getsource(cls)


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("FAST = 7\n")
    (tmp_path / "uses.py").write_text("from neighbour_of_mine import FAST\n" + SOURCE)
    assert registry.load(tmp_path / "uses.py").__name__ == "Mine"


@pytest.mark.parametrize(
    ("ref", "hint"),
    [("momentun", "did you mean momentum?"), ("Range-Bound", "range_bound"), ("zzz", "known:")],
)
def test_an_unknown_name_offers_the_nearest(ref: str, hint: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        registry.load(ref)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Broken(:\n", "broken.py:1: "),
        ("import backtrader as bt\nx = 1 / 0\n", "broken.py:2: ZeroDivisionError"),
        ("import no_such_package_here\n", "broken.py:1: ModuleNotFoundError"),
        ("import sys\nsys.exit()\n", "broken.py:2: the file ends the program"),
        ("x = 1\n", "defines no backtrader.Strategy"),
        (SOURCE + "class Other(Mine):\n    pass\n", "defines 2 strategies: Mine, Other"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(StrategyError) as caught:
        registry.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_classes_and_modules(mine: Path) -> None:
    for ref, message in (
        (f"{mine.parent}/mime.py:Mine", "did you mean"),
        (f"{mine}:Mime", "did you mean Mine?"),
        (f"{mine}:Zebra", "it has: Mine"),
        (f"{mine}:bt", "no class 'bt'"),
        ("no_such_package.here:Class", "no module named 'no_such_package'"),
        ("strategies.momentum:Momentun", "did you mean Momentum?"),
        ("pathlib:Path", "is not a backtrader.Strategy"),
    ):
        with pytest.raises(StrategyError) as caught:
            registry.load(ref)
        assert message in str(caught.value), ref


def test_a_class_is_returned_as_it_is_and_a_stranger_refused() -> None:
    class Local(bt.Strategy):
        pass

    assert registry.load(Local) is Local
    with pytest.raises(StrategyError, match="inside a function"):
        registry.reference(Local)
    with pytest.raises(StrategyError):
        registry.load(int)


def test_an_entry_point_of_another_distribution_runs_by_name(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B27: a real distribution on the path, found through its metadata."""
    root = mine.parent
    info = root / "other_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tradewright.strategies]\ntheirs = theirs_of_other:Mine\n")
    (root / "theirs_of_other.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(root))
    assert "theirs" in registry.names()
    cls = registry.load("theirs")
    assert cls.__module__ == "theirs_of_other"
    assert registry.load(registry.reference(cls)) is cls
    assert EntryPoint("theirs", "theirs_of_other:Mine", registry.ENTRY_POINT_GROUP).load() is cls
