"""`python -m engine.parity STRATEGY`: a line for every engine; exit code 1 on any difference."""

from __future__ import annotations

import json
import re
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


ENGINES = ["cerebro", "compiled", "lean", "paper replay"]


def said(lines: list[str]) -> dict[str, str]:
    """What the command says of each engine."""
    return {
        name: line.removeprefix(name).strip() for line in lines for name in ENGINES if line.startswith(name)
    }


def test_identical_and_different(forked: Any, tmp_path: Path) -> None:
    """B3"""
    same = forked(tmp_path, "momentum", "--end", "2005-12-31", module="engine.parity")
    assert same.code == 0, same.stdout + same.stderr
    answers = said(same.lines)
    assert list(answers) == ENGINES
    for engine in ("lean", "paper replay"):
        assert re.fullmatch(
            r"identical: 346 bars, \d+ orders, \d+ fills, \d+ trades compared", answers[engine]
        ), answers
    assert answers["compiled"].startswith(("identical: ", "refused: "))

    (tmp_path / "restless.py").write_text(RESTLESS)
    other = forked(tmp_path, "restless.py:Restless", "--end", "2005-12-31", module="engine.parity")
    assert other.code == 1, other.stderr
    answer = said(other.lines)["paper replay"]
    assert answer.startswith("different: ")
    assert "size" in answer


def test_json_and_nothing_left_behind(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "range_bound", "--end", "2005-12-31", "--json", module="engine.parity")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["identical"] is True
    assert [engine["engine"] for engine in report["engines"]] == ENGINES
    for engine in report["engines"]:
        assert engine["difference"] is None
        if engine["refusal"] is None:
            assert engine["identical"] is True
            assert engine["orders"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_no_difference(forked: Any, tmp_path: Path) -> None:
    """Resampled bars are no business of every engine; whoever refuses them says so and differs in nothing."""
    done = forked(
        tmp_path, "momentum", "--end", "2005-06-30", "--resample", "1W", "--json", module="engine.parity"
    )
    assert done.code == 0, done.stdout + done.stderr
    engines = {engine["engine"]: engine for engine in json.loads(done.stdout)["engines"]}
    refused = [engine for engine in engines.values() if engine["refusal"] is not None]
    assert all(engine["identical"] is None for engine in refused)
    assert engines["paper replay"]["identical"] is True


def test_a_mistake_is_one_line(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentun", module="engine.parity")
    assert done.code == 2
    assert done.stderr.strip().splitlines() == [
        "python -m engine.parity: unknown strategy 'momentun'; did you mean momentum?"
    ]
