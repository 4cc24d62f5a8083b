"""`python -m engine.parity STRATEGY`: identical with counts, or the first difference and exit code 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Buys more with every instance of its class: no two runs of one process are alike.
RESTLESS = """
import itertools

import backtrader as bt

SIZES = itertools.count(1)


class Restless(bt.Strategy):
    def __init__(self):
        self.size = next(SIZES)

    def next(self):
        if len(self) == 10:
            self.buy(size=self.size)
"""


def test_identical_and_different(forked: Any, tmp_path: Path) -> None:
    """B3"""
    same = forked(tmp_path, "momentum", "--end", "2005-12-31", module="engine.parity")
    assert same.code == 0, same.stderr
    assert same.lines[-1].startswith("identical: ")
    assert "bars" in same.lines[-1]
    assert "orders" in same.lines[-1]
    assert "fills" in same.lines[-1]

    (tmp_path / "restless.py").write_text(RESTLESS)
    other = forked(tmp_path, "restless.py:Restless", "--end", "2005-12-31", module="engine.parity")
    assert other.code == 1, other.stderr
    assert other.lines[-1].startswith("different: ")
    assert "size" in other.lines[-1]


def test_json_and_nothing_left_behind(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "range_bound", "--end", "2005-12-31", "--json", module="engine.parity")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["identical"] is True
    assert report["difference"] is None
    assert report["orders"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_one_line(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentun", module="engine.parity")
    assert done.code == 2
    assert done.stderr.strip().splitlines() == [
        "python -m engine.parity: unknown strategy 'momentun'; did you mean momentum?"
    ]
