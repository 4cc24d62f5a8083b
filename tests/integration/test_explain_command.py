"""`python -m engine.explain STRATEGY` as a person runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BROKEN = """
import backtrader as bt


class Broken(bt.Strategy):
    def next(self)
        self.buy()
"""


def test_a_syntax_error_is_one_line_with_file_and_line(forked: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    done = forked(tmp_path, "broken.py:Broken", module="engine.explain")
    assert done.code == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"{tmp_path / 'broken.py'}:6: expected ':'" in line


def test_a_mistake_is_one_line(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentun", module="engine.explain")
    assert done.code == 2
    assert done.stderr.strip().splitlines() == [
        "python -m engine.explain: unknown strategy 'momentun'; did you mean momentum?"
    ]


def test_a_helper_that_calls_itself_twice_is_explained_once(forked: Any) -> None:
    """Not once for each of the 2 ** 24 calls down to the limit."""
    done = forked(ROOT, "tests/parity/corpus/recursion.py:Recursion", module="engine.explain")
    assert done.code == 0
    assert done.stdout.count("^ fibonacci calls itself") == 1
