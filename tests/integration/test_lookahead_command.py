"""`python -m engine.lookahead STRATEGY`: exit code 0 when clean, 1 for look-ahead, 2 for a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODULE = "engine.lookahead"
SHORT = ("--end", "2005-06-30", "--cuts", "2")
TOMORROW = """
import backtrader as bt


class Tomorrow(bt.Strategy):
    def next(self):
        print("a bar")
        if not self.position and self.data.close[1] > self.data.close[0]:
            self.buy(size=1)
        elif self.position and self.data.close[1] < self.data.close[0]:
            self.close()
"""


def test_a_clean_strategy_leaves_with_0_and_says_what_was_compared(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentum", *SHORT, module=MODULE)
    assert done.code == 0, done.stdout + done.stderr
    assert done.lines[1] == "no look-ahead found: 2 cuts, 2 perturbed, 219 bars"
    assert any(line.startswith("warm-up: self.atr (ATR(period=14))") for line in done.lines)
    assert list(tmp_path.iterdir()) == []


def test_look_ahead_leaves_with_1_and_names_bar_and_line(forked: Any, tmp_path: Path) -> None:
    (tmp_path / "tomorrow.py").write_text(TOMORROW)
    done = forked(tmp_path, "tomorrow.py:Tomorrow", *SHORT, module=MODULE)
    assert done.code == 1, done.stdout + done.stderr
    assert done.lines[1].startswith("look-ahead: ")
    assert any("tomorrow.py:8: self.data.close[1]" in line for line in done.lines)
    assert "a bar" not in done.stdout


def test_json(forked: Any, tmp_path: Path) -> None:
    (tmp_path / "tomorrow.py").write_text(TOMORROW)
    done = forked(tmp_path, "tomorrow.py:Tomorrow", *SHORT, "--json", module=MODULE)
    assert done.code == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["clean"] is False
    assert report["bars"] == 218  # all but the last, on which it fails
    assert {finding["kind"] for finding in report["findings"]} <= {"decision", "failure"}
    assert all(finding["time"].startswith(("2004", "2005")) for finding in report["findings"])


def test_a_mistake_is_one_line_and_leaves_with_2(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentun", module=MODULE)
    assert done.code == 2
    assert (
        done.stderr.strip()
        == "python -m engine.lookahead: unknown strategy 'momentun'; did you mean momentum?"
    )
    done = forked(tmp_path, "momentum", "--cuts", "0", module=MODULE)
    assert done.code == 2
    assert len(done.stderr.strip().splitlines()) == 1
