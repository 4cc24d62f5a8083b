"""Every rule of `docs/engine-semantics.md` names the test that pins it, and every such test has its rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "engine-semantics.md"
RULE = re.compile(r"^- \*\*(?P<number>\d+\.\d+)\*\* .*`(?P<test>test_\w+)`$", re.MULTILINE)
SAID = re.compile(r"Rule (\d+\.\d+)\b")
SECTION = re.compile(r"^## (\d+)\. .*?\n\n`(tests/parity/test_semantics_\w+\.py)`$", re.MULTILINE)


def rules() -> dict[str, str]:
    return {rule["number"]: rule["test"] for rule in RULE.finditer(DOCUMENT.read_text())}


def pinned_by_rule() -> dict[str, tuple[str, str]]:
    """File and name of the test of each rule."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((ROOT / "tests" / "parity").glob("test_semantics_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = SAID.match(ast.get_docstring(node) or "")
                assert said is not None, f"{path.name}::{node.name} names no rule"
                assert said[1] not in found, f"rule {said[1]} has two tests"
                found[said[1]] = (str(path.relative_to(ROOT)), node.name)
    return found


def test_every_rule_has_its_test_and_every_test_its_rule() -> None:
    assert rules() == {number: name for number, (_, name) in pinned_by_rule().items()}


def test_every_line_that_begins_like_a_rule_is_one() -> None:
    begun = re.findall(r"^\W*\*\*(\d+\.\d+)", DOCUMENT.read_text(), re.MULTILINE)
    assert begun == list(rules())
    assert len(begun) >= 100


def test_rules_are_numbered_without_holes() -> None:
    last: dict[int, int] = {}
    for number in rules():
        section, rule = map(int, number.split("."))
        assert rule == last.get(section, 0) + 1, number
        last[section] = rule
    assert list(last) == list(range(1, len(last) + 1))


def test_each_section_names_the_file_of_its_tests() -> None:
    files = {int(number): file for number, file in SECTION.findall(DOCUMENT.read_text())}
    for rule, (file, _) in pinned_by_rule().items():
        assert files[int(rule.split(".")[0])] == file, rule
