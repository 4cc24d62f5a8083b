"""`python -m engine.explain`: the page it prints, on a hand-made explanation."""

from __future__ import annotations

from typing import Any

import pytest

from core.jsontext import jsonable
from engine.compiled.explanation import Explanation, MethodReport
from engine.explain import Choice, Indicators, document, parser, render
from engine.refusal import Refused

FILE = "/somewhere/strategy.py"
NEXT = MethodReport(
    "Odd.next",
    FILE,
    98,
    [
        "def next(self):",
        "    self.log('bar')",
        "    if self.data.close[0] > fetch(self.data):",
        "        self.buy()",
    ],
    [(100, "calls an unknown function: fetch")],
)
INIT = MethodReport("Odd.__init__", FILE, 9, ["def __init__(self):", "    self.seen = 0"])
REFUSED = Explanation(
    [INIT, NEXT],
    Refused("calls an unknown function: fetch", file=FILE, line=100),
    None,
    [(FILE, 99, "self.log('bar')")],
)
LEAN = Choice("lean", "not compiled: /somewhere/strategy.py:100: calls an unknown function: fetch")


def test_a_refused_line_is_marked_and_the_reason_stands_below_it() -> None:
    text = render("odd", REFUSED, Indicators(["SMA", "Lowest", "SMA"], ["Own"]), LEAN)
    assert text.splitlines() == [
        "odd: does not compile",
        "  /somewhere/strategy.py:100: calls an unknown function: fetch",
        "",
        "Odd.__init__  /somewhere/strategy.py:9  compiles",
        "     9  def __init__(self):",
        "    10      self.seen = 0",
        "",
        "Odd.next  /somewhere/strategy.py:98  1 problem",
        "     98  def next(self):",
        "  -  99      self.log('bar')",
        "  ! 100      if self.data.close[0] > fetch(self.data):",
        "             ^ calls an unknown function: fetch",
        "    101          self.buy()",
        "",
        "! does not compile   - left out: it has no effect on the run",
        "",
        "indicators  computed by kernels: 2 SMA, Lowest",
        "            by Backtrader's own code, once: Own",
        "engine      auto takes lean",
        "            not compiled: /somewhere/strategy.py:100: calls an unknown function: fetch",
    ]


def test_what_compiles_has_no_marks_and_shows_its_kernel_only_when_asked() -> None:
    fine = Explanation([INIT], None, "def kernel(L):\n    return 0\n")
    short = render("fine", fine, Indicators(), Choice("compiled", "the fastest"))
    assert short.startswith("fine: compiles\n\n")
    assert "does not compile" not in short
    assert "def kernel" not in short
    assert "computed by kernels: none" in short
    assert render("fine", fine, Indicators(), Choice("compiled", "the fastest"), kernel=True).endswith(
        "kernel\n  def kernel(L):\n      return 0"
    )
    assert render("odd", REFUSED, Indicators(), LEAN, kernel=True).endswith("none was generated")


def test_paths_are_as_seen_from_here(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = Explanation([], Refused("is too odd", file=str(tmp_path / "own.py"), line=3))
    assert "  own.py:3: is too odd" in render("own", refused, Indicators(), LEAN)


def test_json_says_the_same() -> None:
    said = jsonable(document("odd", REFUSED, Indicators(["SMA"], ["Own"]), LEAN))
    assert said["compiles"] is False
    assert said["refusal"] == {"reason": "calls an unknown function: fetch", "file": FILE, "line": 100}
    assert [method["problems"] for method in said["methods"]] == [
        [],
        [{"line": 100, "reason": "calls an unknown function: fetch"}],
    ]
    assert said["dropped"] == [{"file": FILE, "line": 99, "text": "self.log('bar')"}]
    assert said["indicators"] == {"fast": ["SMA"], "stock": ["Own"]}
    assert (said["engine"], said["kernel"]) == ("lean", None)


def test_the_command_takes_parameters_and_data() -> None:
    args = parser().parse_args(["momentum", "--param", "fast=5", "--data", "sample:goog", "--kernel"])
    assert (args.strategy, args.param, args.data, args.kernel, args.json) == (
        "momentum",
        ["fast=5"],
        ["sample:goog"],
        True,
        False,
    )
