"""What a search may vary."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError, UnknownNameError
from core.space import Choice, Float, Int
from optimize.space import SearchSpace, compile_constraint, parse_dimension, space_of

SPACE = SearchSpace(
    {
        "fast": Int(5, 50),
        "slow": Int(20, 200, 5),
        "stop": Float(0.01, 0.1),
        "rate": Float(1e-4, 1e-1, log=True),
        "mode": Choice(["a", "b", None]),
    }
)


class Plain(bt.Strategy):
    params = (("fast", 10), ("slow", 30), ("stop", 0.05), ("mode", "a"))


class Declared(Plain):
    space = {"fast": Int(2, 9), "slow": Int(5, 12)}
    constraint = staticmethod(lambda params: params["fast"] < params["slow"])


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 5), min_size=1, max_size=20))
def test_points_go_to_parameters_of_the_space_and_back(rows: list[tuple[float, ...]]) -> None:
    points = np.array(rows)
    params = SPACE.decode(points)
    for each in params:
        assert all(SPACE.dimensions[name].contains(value) for name, value in each.items())
    again = SPACE.decode(SPACE.encode(params))
    for each, twin in zip(params, again, strict=True):
        assert [twin[name] for name in ("fast", "slow", "mode")] == [
            each[name] for name in ("fast", "slow", "mode")
        ]
        assert twin["stop"] == pytest.approx(each["stop"])
        assert twin["rate"] == pytest.approx(each["rate"])
    assert SPACE.decode(SPACE.snap(points)) == params


def test_every_value_has_an_equal_share() -> None:
    drawn = [each["slow"] for each in SPACE.decode(np.random.default_rng(1).random((74_000, 5)))]
    counts = np.bincount(np.array(drawn) // 5 - 4)
    assert len(counts) == 37
    assert counts.min() > 1800
    assert counts.max() < 2200


def test_a_grid_has_every_allowed_combination_once() -> None:
    space = space_of(Declared)
    found = [(each["fast"], each["slow"]) for each in space.decode(space.grid())]
    assert found == [(fast, slow) for fast in range(2, 10) for slow in range(5, 13) if fast < slow]
    assert space.size == 64
    assert SPACE.size == float("inf")
    assert SPACE.sizes(7) == (46, 37, 7, 7, 3)


def test_a_grid_too_large_is_refused() -> None:
    with pytest.raises(ConfigError, match="use another --sampler"):
        SearchSpace({name: Int(1, 1000) for name in "abc"}).grid()


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("5:50", Int(5, 50)),
        ("20:200:5", Int(20, 200, 5)),
        ("0.01:0.1", Float(0.01, 0.1)),
        ("1e-4:1e-1:log", Float(1e-4, 1e-1, log=True)),
        ("0.1:0.5:0.2", Choice([0.1, 0.3, 0.5])),
        ("a,b", Choice(["a", "b"])),
        ("true,false", Choice([True, False])),
        ("7", Choice([7])),
    ],
)
def test_a_dimension_from_text(text: str, dimension: object) -> None:
    assert parse_dimension("x", text) == dimension


@pytest.mark.parametrize(
    "text", ["9:5", "a:b", "1:2:3:4", "1:5:0", "0:1:log", "1:inf", "1.5:2.5:x", "1:5:-1"]
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_dimension("x", text)


def test_what_is_given_goes_before_the_file_before_the_class(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("space:\n  fast: 3:6\n  stop: 0.01:0.2\n  mode: [a, b]\nconstraint: fast * 2 < slow\n")
    assert space_of(Declared).names == ("fast", "slow")
    read = space_of(Declared, file=file)
    assert read.dimensions == {"fast": Int(3, 6), "stop": Float(0.01, 0.2), "mode": Choice(["a", "b"])}
    assert read.allows({"fast": 6, "slow": 13})
    assert not read.allows({"fast": 6, "slow": 12})
    assert not read.allows({"fast": 15}), "slow is 30 by default"
    assert space_of(Declared, ["slow=9:11"], file=file).names == ("slow",)


def test_fixed_parameters_do_not_vary() -> None:
    space = space_of(Declared, fixed={"slow": 6})
    assert space.names == ("fast",)
    assert [each["fast"] for each in space.decode(space.grid())] == [2, 3, 4, 5]
    assert space.decode(np.array([[0.0]])) == [{"slow": 6, "fast": 2}]


@pytest.mark.parametrize(
    ("text", "params", "holds"),
    [
        ("fast < slow", {"fast": 1, "slow": 2}, True),
        ("fast < slow <= 2 * fast", {"fast": 5, "slow": 11}, False),
        ("not (fast > 5 and slow > 5) or mode == 'b'", {"fast": 6, "slow": 6, "mode": "b"}, True),
        ("slow / fast > 2", {"fast": 0, "slow": 6}, False),
        ("slow % 5 == 0", {"slow": 15}, True),
    ],
)
def test_a_constraint_from_text(text: str, params: dict[str, object], holds: bool) -> None:
    assert compile_constraint(text, dict(Plain.params._getitems()))(params) is holds


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ([], {}, "has no space to search; give --space fast=LOW:HIGH"),
        (["fats=1:2"], {}, "did you mean fast?"),
        (["fast"], {}, "is not NAME=VALUES"),
        (["fast=10:20"], {"constraint": "fast < 5"}, "no combination satisfies the constraints"),
        (["fast=10:20"], {"constraint": "fats < 5"}, "did you mean fast?"),
        (["fast=10:20"], {"constraint": "fast <"}, "cannot be read"),
        (["fast=10:20"], {"constraint": "__import__('os').remove(mode)"}, "__import__"),
        (["fast=10:20"], {"constraint": "[fast]"}, "uses list"),
        ([], {"file": Path("nowhere.yaml")}, "nowhere.yaml cannot be read"),
    ],
)
def test_what_cannot_be_searched_is_said(given: list[str], options: dict[str, object], words: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as raised:
        space_of(Plain, given, **options)  # type: ignore[arg-type]
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "text", ["fast: 3", "space: 5", "space: {fast: []}", "space: {fast: 1:2}\nother: 1", ": : :"]
)
def test_a_file_without_a_space_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises((ConfigError, UnknownNameError)):
        space_of(Plain, file=file)
