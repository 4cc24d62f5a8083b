"""`docs/features.md` and `docs/reliability.md` name the tests that show what they say: each must exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "features.md"
ROW = re.compile(r"^\| (?P<number>[A-Z]\d+) \| (?P<feature>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>[\w:]+)`")
GROUPS = {
    "D": 22,
    "S": 18,
    "E": 10,
    "O": 13,
    "R": 14,
    "M": 11,
    "L": 29,
    "P": 20,
    "N": 13,
    "A": 17,
    "X": 19,
    "T": 14,
    "B": 29,
}


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file, `Class::name` for those in a class."""
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return frozenset(found)


def rows() -> list[tuple[str, str]]:
    return [(row["number"], row["tests"]) for row in ROW.finditer(DOCUMENT.read_text())]


def test_the_list_has_rows_and_none_twice() -> None:
    numbers = [number for number, _ in rows()]
    assert len(numbers) >= 40
    assert len(set(numbers)) == len(numbers)


def test_every_number_is_one_of_the_229() -> None:
    assert sum(GROUPS.values()) == 229
    for number, _ in rows():
        assert 1 <= int(number[1:]) <= GROUPS[number[0]], number


def test_the_count_in_the_text_is_true() -> None:
    said = re.search(r"(\d+) of 229", DOCUMENT.read_text())
    assert said is not None
    assert int(said[1]) == len(rows())


@pytest.mark.parametrize(("number", "tests"), rows())
def test_every_named_test_exists(number: str, tests: str) -> None:
    named = TEST.findall(tests)
    assert named, f"{number} names no test"
    check_there(named)


def test_every_fault_has_tests_that_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    faults = re.findall(r"^\| (?!Fault|-)(.+) \|$", text, re.MULTILINE)
    assert len(faults) >= 13
    assert all(TEST.search(fault) for fault in faults)
    check_there(TEST.findall(text))


def check_there(named: list[tuple[str, str]]) -> None:
    for file, name in named:
        assert (ROOT / file).is_file(), f"{file} is gone"
        assert name in names_in(file), f"{file} has no {name}"
